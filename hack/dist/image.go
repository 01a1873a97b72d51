package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kuberik/kuberik/internal/dist"
)

// images builds the images of every platform into OCI image layouts.
func images(ctx context.Context, s dist.Source, out string) error {
	for _, p := range dist.Programs() {
		index, err := s.Image(ctx, p, dist.ImageTargets()...)
		if err != nil {
			return err
		}
		dir := filepath.Join(out, "image", p.Name)
		if err := s.WriteLayout(dir, index); err != nil {
			return err
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		say("%s %s", dir, digest)
	}
	return nil
}

// checkImages builds the images of this machine's architecture in this folder and in a copy of it, and requires them to
// be the same and to work.
func checkImages(ctx context.Context, s dist.Source, _ string) error {
	work, err := os.MkdirTemp("", "kuberik-image-check-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // what is left is in the temporary folder
	copied, err := s.CopySource(ctx, filepath.Join(work, "source"))
	if err != nil {
		return err
	}
	for _, p := range dist.Programs() {
		index, err := twice(ctx, p, s, copied)
		if err == nil {
			err = errors.Join(dist.CheckImage(p, index), startImage(ctx, s, p, index, filepath.Join(work, p.Name)))
		}
		if err != nil {
			return fmt.Errorf("the image of %s: %w", p.Name, err)
		}
	}
	return nil
}

func here() dist.Target { return dist.Target{OS: "linux", Arch: runtime.GOARCH} }

// twice builds an image from two folders.
func twice(ctx context.Context, p dist.Program, first, second dist.Source) (v1.ImageIndex, error) {
	var digests []string
	var index v1.ImageIndex
	for _, s := range []dist.Source{first, second} {
		var err error
		if index, err = s.Image(ctx, p, here()); err != nil {
			return nil, err
		}
		digest, err := index.Digest()
		if err != nil {
			return nil, err
		}
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		return nil, fmt.Errorf("the same source was built twice, with the digests %s", strings.Join(digests, " and "))
	}
	say("%s: %s, twice", p.Name, digests[0])
	return index, nil
}

// startImage starts the program of an image in the image, where that is possible.
func startImage(ctx context.Context, s dist.Source, p dist.Program, index v1.ImageIndex, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := dist.Unpack(index, here(), dir); err != nil {
		return err
	}
	for _, arg := range []string{"--help", "--version"} {
		out, ok, err := dist.Start(ctx, dir, p.Name, arg)
		switch {
		case err != nil:
			return err
		case !ok:
			say("%s: not started, which needs root on Linux", p.Name)
			return nil
		case !strings.Contains(out, p.Name) && !strings.Contains(out, "Usage"):
			return fmt.Errorf("%s prints %q", arg, out)
		case arg == "--version" && !strings.HasPrefix(out, p.Name+" "+s.Version+" "):
			return fmt.Errorf("it says that it is %q, want version %s", out, s.Version)
		}
	}
	say("%s: starts as user %d in its image", p.Name, dist.UserID)
	return nil
}

// say prints what was done.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stdout, format+"\n", args...) //nolint:errcheck // nobody reads the error of a closed standard output
}
