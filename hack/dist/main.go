// Command dist builds and checks what is published of a version.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kuberik/kuberik/internal/dist"
)

// verbs by name.
var verbs = map[string]func(context.Context, dist.Source, string) error{
	"generate":    generate,
	"image":       images,
	"image-check": checkImages,
	"manifests":   manifests,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || verbs[args[0]] == nil {
		return fmt.Errorf("usage: dist VERB -version VERSION -out FOLDER")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	version := flags.String("version", "dev", "version that is built")
	out := flags.String("out", "bin", "folder to write to")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	root, err := dist.Root()
	if err != nil {
		return err
	}
	source, err := dist.ReadSource(ctx, root, *version)
	if err != nil {
		return err
	}
	return verbs[args[0]](ctx, source, *out)
}
