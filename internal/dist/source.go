package dist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// epochEnv sets the time of everything that is built, in seconds since 1970, see reproducible-builds.org.
const epochEnv = "SOURCE_DATE_EPOCH"

// Source is the source code that is built.
type Source struct {
	// Root is the folder of the main module.
	Root string
	// Version is what the programs print, such as v0.1.0.
	Version string
	// Revision is the commit. Empty if the source comes without git.
	Revision string
	// Author is who wrote the commit. Empty if the source comes without git.
	Author string
	// Created is the time of the commit, or what SOURCE_DATE_EPOCH says.
	Created time.Time
}

// ReadSource describes the source in a folder. Without git, it is dated 1970, unless SOURCE_DATE_EPOCH is set.
func ReadSource(ctx context.Context, root, version string) (Source, error) {
	s := Source{Root: root, Version: version, Created: time.Unix(0, 0).UTC()}
	if out, err := command(ctx, root, nil, "git", "log", "-1", "--format=%H%n%an%n%ct"); err == nil {
		lines := strings.SplitN(strings.TrimSpace(out), "\n", 3)
		if len(lines) != 3 {
			return s, fmt.Errorf("git describes the last commit as %q", out)
		}
		s.Revision, s.Author = lines[0], lines[1]
		if s.Created, err = parseEpoch(lines[2]); err != nil {
			return s, err
		}
	}
	if epoch := os.Getenv(epochEnv); epoch != "" {
		var err error
		if s.Created, err = parseEpoch(epoch); err != nil {
			return s, fmt.Errorf("%s: %w", epochEnv, err)
		}
	}
	return s, nil
}

func parseEpoch(seconds string) (time.Time, error) {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a number of seconds since 1970", seconds)
	}
	return time.Unix(n, 0).UTC(), nil
}

// Tag is the version without the v, as registries and charts have it.
func (s Source) Tag() string { return strings.TrimPrefix(s.Version, "v") }

// Target is the platform that a program is built for.
type Target struct {
	OS, Arch string
}

// String returns the target as Go names it, such as linux/arm64.
func (t Target) String() string { return t.OS + "/" + t.Arch }

// env makes the go command build for the target, without anything of the machine that it runs on.
func (t Target) env() []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + t.OS, "GOARCH=" + t.Arch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0"}
}

// Flags are the arguments of go build. They leave out paths, symbols and the state of the checkout, so that two
// machines build the same bytes.
func (s Source) Flags() []string {
	return []string{
		"-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X github.com/kuberik/kuberik/internal/buildinfo.Version=" + s.Version,
	}
}

// Compile builds a program of cmd/ into a file.
func (s Source) Compile(ctx context.Context, program string, t Target, file string) error {
	args := append([]string{"build"}, s.Flags()...)
	if _, err := command(ctx, s.Root, t.env(), "go", append(args, "-o", file, "./cmd/"+program)...); err != nil {
		return fmt.Errorf("building %s for %s: %w", program, t, err)
	}
	return nil
}

// command runs a program in a folder and returns what it prints.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// Root returns the folder of the main module above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		mod, missing := os.ReadFile(filepath.Join(dir, "go.mod"))
		if missing == nil && bytes.HasPrefix(mod, []byte("module github.com/kuberik/kuberik\n")) {
			return dir, nil
		}
	}
	return "", errors.Join(errors.New("not inside the repository"), err)
}
