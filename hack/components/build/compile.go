package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// pulse is how often a running build says that it is alive.
const pulse = 10 * time.Second

// binary is a product that go build makes from pkg.
func binary(name, pkg, ldflags string) product {
	return product{name: name, from: pkg + ldflags, make: func(ctx context.Context, target, label string) error {
		return compile(ctx, pkg, "-s -w"+ldflags, target, label)
	}}
}

// compile builds pkg and reports how many packages are behind it.
func compile(ctx context.Context, pkg, ldflags, target, label string) error {
	fmt.Printf("%s: looking what has to be compiled\n", label)
	listing, err := output(ctx, ".", "go", "list", "-trimpath", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", pkg)
	if err != nil {
		return err
	}
	total := len(strings.Fields(listing))

	cmd := command(ctx, ".", "go", "build", "-v", "-trimpath", "-ldflags="+ldflags, "-o", target, pkg)
	names, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	var done atomic.Int64
	stop := report(label, &done, total)
	defer stop()
	if err := cmd.Start(); err != nil {
		return err
	}
	problem := count(names, &done)
	if err := cmd.Wait(); err != nil {
		return errors.Join(err, errors.New(problem))
	}
	return nil
}

// count reads the package names that go build -v prints; every other line is
// a problem to show.
func count(names io.Reader, done *atomic.Int64) string {
	var problem strings.Builder
	lines := bufio.NewScanner(names)
	for lines.Scan() {
		line := lines.Text()
		if strings.ContainsAny(line, " \t") {
			problem.WriteString(line + "\n")
			continue
		}
		done.Add(1)
	}
	return problem.String()
}

// report prints progress until the returned function is called.
func report(label string, done *atomic.Int64, total int) func() {
	began, ticker, quit := time.Now(), time.NewTicker(pulse), make(chan struct{})
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				state := fmt.Sprintf("%d of about %d packages", done.Load(), total)
				if int(done.Load()) >= total {
					state = "linking"
				}
				fmt.Printf("%s: %s, %s\n", label, state, time.Since(began).Round(time.Second))
			}
		}
	}()
	return func() { close(quit) }
}
