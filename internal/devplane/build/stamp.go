package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// stampDir holds a file for each product, inside the output folder.
	stampDir = ".stamps"
	// scratchPrefix begins the names of the folders in which products are made.
	scratchPrefix = ".making-"
)

// fingerprint identifies what all products depend on: the pinned versions and the Go toolchain.
func fingerprint(ctx context.Context, module string) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		sum.Write(fmt.Appendf(nil, "%s %d\n", name, len(data)))
		sum.Write(data)
	}
	version, err := goOutput(ctx, module, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	sum.Write([]byte(version + "\n"))
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func stamp(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

func upToDate(out, name, stamp string) bool {
	if _, err := os.Stat(filepath.Join(out, name)); err != nil {
		return false
	}
	have, err := os.ReadFile(filepath.Join(out, stampDir, name))
	return err == nil && strings.TrimSpace(string(have)) == stamp
}

// install moves a product into place and then records that it is there.
func install(scratch, out, name, stamp string) error {
	target := filepath.Join(out, name)
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(scratch, name), target); err != nil {
		return err
	}
	path := filepath.Join(out, stampDir, name)
	if err := os.WriteFile(path+".new", []byte(stamp+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// sweep removes what a run that was killed left behind.
func sweep(out string) error {
	left, err := filepath.Glob(filepath.Join(out, scratchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// goOutput runs the go command and returns its output without surrounding blanks.
func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := command(ctx, dir, "go", args...)
	var problem strings.Builder
	cmd.Stderr = &problem
	data, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimSpace(string(data)), nil
}

// command prepares a command that ends with all of its children when ctx ends.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
