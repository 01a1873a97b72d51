package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// pinsFile is beside go.mod and go.sum. It lists an image on each line, as repository:tag@digest.
const pinsFile = "images.txt"

//nolint:lll // these are lines of a generated file
const pinsHeader = `# The official images of the local cluster's programs, by digest. A program whose image is not listed is compiled from source.
# After a version in go.mod has changed, write this file anew on a machine that can reach the registries, and review the result:
#   go run ./internal/devplane/build -pin
`

// readPins returns the pinned images by their tags. Lines of tags that no program needs do no harm: they are never
// looked up.
func readPins(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pins := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := name.NewDigest(line); err != nil {
			return nil, fmt.Errorf("%s: %q is not repository:tag@digest: %w", file, line, err)
		}
		tag, _, _ := strings.Cut(line, "@")
		pins[tag] = line
	}
	return pins, nil
}

// pin resolves the tags of the official images to digests and writes those whose programs are what they should be.
func pin(ctx context.Context, binaries []binary, file string, log io.Writer) error {
	scratch, err := os.MkdirTemp("", "kuberik-pins-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder
	text := pinsHeader
	for _, b := range binaries {
		pinned, err := resolveImage(ctx, b)
		if err == nil {
			err = takeBinary(ctx, b, pinned, scratch, patience)
		}
		if err != nil {
			_, _ = fmt.Fprintf(log, "%s is not pinned: %v\n", b.image(), err) //nolint:errcheck // progress only
			continue
		}
		_, _ = fmt.Fprintln(log, pinned) //nolint:errcheck // progress only
		text += pinned + "\n"
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// resolveImage returns the official image of a program by digest.
func resolveImage(ctx context.Context, b binary) (string, error) {
	tag, err := name.NewTag(b.image())
	if err != nil {
		return "", err
	}
	ctx, transport := watch(ctx, patience)
	defer transport.timer.Stop()
	manifest, err := remote.Get(tag, remote.WithContext(ctx), remote.WithTransport(transport))
	if err != nil {
		return "", cause(ctx, err)
	}
	return b.image() + "@" + manifest.Digest.String(), nil
}
