package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// stampDir holds one file per product, inside the output folder.
const stampDir = ".stamps"

// fingerprint is what all products depend on: the pinned versions, this
// program and the Go toolchain.
func fingerprint(ctx context.Context) (string, error) {
	files, err := filepath.Glob("build/*.go")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range append([]string{"go.mod", "go.sum"}, files...) {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
	}
	version, err := output(ctx, ".", "go", "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	fmt.Fprintln(sum, version)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func stamp(base string, p product) string {
	sum := sha256.Sum256([]byte(base + "\n" + p.name + "\n" + p.from))
	return hex.EncodeToString(sum[:])
}

func upToDate(out string, p product, base string) bool {
	if _, err := os.Stat(filepath.Join(out, p.name)); err != nil {
		return false
	}
	have, err := os.ReadFile(filepath.Join(out, stampDir, p.name))
	return err == nil && strings.TrimSpace(string(have)) == stamp(base, p)
}

func writeStamp(out string, p product) error {
	path := filepath.Join(out, stampDir, p.name)
	if err := os.WriteFile(path+".new", []byte(p.stamp+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// output runs a command and returns what it printed, trimmed.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := command(ctx, dir, name, args...)
	var problem strings.Builder
	cmd.Stderr = &problem
	data, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimSpace(string(data)), nil
}
