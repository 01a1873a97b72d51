package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	out, module string
	pin         bool
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "bin/devplane", "folder for the programs, CRDs and stages")
	flag.StringVar(&o.module, "module", "hack/components", "folder of the module that pins the versions")
	flag.BoolVar(&o.pin, "pin", false, "write the digests of the official images to images.txt; build nothing")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the local cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, log io.Writer) error {
	binaries, err := resolve(ctx, o.module)
	if err != nil {
		return err
	}
	if o.pin {
		return pin(ctx, binaries, filepath.Join(o.module, pinsFile), log)
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(out, stampDir), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(out, ".lock"), log)
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweep(out); err != nil {
		return err
	}
	b := builder{module: o.module, out: out, log: log}
	return b.run(ctx, binaries)
}

// builder makes what is missing or out of date.
type builder struct {
	// module is the folder of the module that pins the versions.
	module string
	// out is the folder of the products.
	out string
	log io.Writer
}

func (b builder) run(ctx context.Context, binaries []binary) error {
	began := time.Now()
	base, err := fingerprint(ctx, b.module)
	if err != nil {
		return err
	}
	todo, err := b.outOfDate(base, binaries)
	if err != nil {
		return err
	}
	extras, err := b.extrasOutOfDate(ctx, base)
	if err != nil || len(todo)+len(extras) == 0 {
		return err
	}
	b.printf("Making %d parts of the local cluster in %s.\n", len(todo)+len(extras), b.out)
	scratch, err := os.MkdirTemp(b.out, scratchPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // what is left is ignored
	for _, e := range extras {
		if err := e.make(ctx, filepath.Join(scratch, e.name)); err != nil {
			return b.failed(ctx, fmt.Errorf("making %s: %w", e.name, err))
		}
		if err := install(scratch, b.out, e.name, e.stamp); err != nil {
			return err
		}
	}
	rest, err := b.fetch(ctx, todo, scratch)
	if err == nil {
		err = b.compile(ctx, rest, scratch)
	}
	if err != nil {
		return b.failed(ctx, err)
	}
	b.printf("The local cluster is ready to start (%s).\n", time.Since(began).Round(time.Second))
	return nil
}

// failed words an error. An interruption is the user's doing and loses no work.
func (b builder) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; run it again to continue")
	}
	return err
}

func (b builder) printf(format string, args ...any) {
	// The build does not depend on its log.
	_, _ = fmt.Fprintf(b.log, format, args...) //nolint:errcheck // see above
}

// lock waits until nobody else holds the lock at path. It says so once.
func lock(ctx context.Context, path string, log io.Writer) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; said = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil //nolint:errcheck // nothing was written
		}
		if !said {
			_, _ = fmt.Fprintln(log, "Another build of the local cluster is running; waiting for it.") //nolint:errcheck // progress only
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(time.Second):
		}
	}
}
