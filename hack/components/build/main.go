package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	out := flag.String("out", "../../bin/devplane", "folder for the binaries, CRDs and stages")
	mainModule := flag.String("main-module", "../..", "folder of the main module, which decides the version of the image CRDs")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *out, *mainModule)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the local cluster:", err)
		os.Exit(1)
	}
}

// run makes every product that is missing or out of date.
func run(ctx context.Context, out, mainModule string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(out, stampDir), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(out, ".lock"), os.Stdout)
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweep(out); err != nil {
		return err
	}

	base, err := fingerprint(ctx)
	if err != nil {
		return err
	}
	todo, err := outOfDate(ctx, out, mainModule, base)
	if err != nil || len(todo) == 0 {
		return err
	}
	return makeAll(ctx, todo, out)
}

// outOfDate lists the products that have to be made.
func outOfDate(ctx context.Context, out, mainModule, base string) ([]product, error) {
	products, err := products(ctx, mainModule, os.Getenv("KUBEBUILDER_ASSETS"))
	if err != nil {
		return nil, err
	}
	var todo []product
	for _, p := range products {
		if !upToDate(out, p, base) {
			p.stamp = stamp(base, p)
			todo = append(todo, p)
		}
	}
	return todo, nil
}

func makeAll(ctx context.Context, todo []product, out string) error {
	began := time.Now()
	fmt.Printf("Building %d parts of the local cluster into %s.\n", len(todo), out)
	fmt.Println("The first build compiles Kubernetes and Flux and can take a quarter of an hour; later ones start from the cache.")
	for i, p := range todo {
		label := fmt.Sprintf("[%d/%d] %s", i+1, len(todo), p.name)
		if err := makeOne(ctx, p, out, label); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted at %s; run it again to go on from there", p.name)
			}
			return fmt.Errorf("making %s: %w", p.name, err)
		}
	}
	fmt.Printf("The local cluster is built (%s).\n", time.Since(began).Round(time.Second))
	return nil
}

// makeOne makes a product in a scratch folder, moves it into place and only
// then records that it is there.
func makeOne(ctx context.Context, p product, out, label string) error {
	began := time.Now()
	scratch, err := os.MkdirTemp(out, ".making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made := filepath.Join(scratch, p.name)
	if err := p.make(ctx, made, label); err != nil {
		return err
	}
	target := filepath.Join(out, p.name)
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if err := os.Rename(made, target); err != nil {
		return err
	}
	fmt.Printf("%s: done after %s\n", label, time.Since(began).Round(time.Second))
	return writeStamp(out, p)
}

// sweep removes what builds that were killed left half made.
func sweep(out string) error {
	scraps, err := filepath.Glob(filepath.Join(out, ".making-*"))
	if err != nil {
		return err
	}
	for _, scrap := range scraps {
		if err := os.RemoveAll(scrap); err != nil {
			return err
		}
	}
	return nil
}

// lock waits for the lock at path, telling so once if it is held.
func lock(ctx context.Context, path string, log io.Writer) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !told {
			fmt.Fprintln(log, "Another build of the local cluster is running; waiting for it.")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// command prepares a command that ends with all its children when ctx ends.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
