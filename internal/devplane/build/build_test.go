package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

func TestExecutable(t *testing.T) {
	for pkg, want := range map[string]string{
		"go.etcd.io/etcd/server/v3":              "server",
		"k8s.io/kubernetes/cmd/kube-apiserver":   "kube-apiserver",
		"github.com/fluxcd/source-controller":    "source-controller",
		"example.com/vendor/version/v3/cmd/kwok": "kwok",
	} {
		if got := executable(pkg); got != want {
			t.Errorf("%s: got %s, want %s", pkg, got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	p := &progress{weights: map[string]int64{"a": 30, "b/c": 10}, total: 100}
	problem := follow(strings.NewReader("go: downloading x v1\na\nstd\n# b/c\nb/c/x.go:1:2: undefined: y\n"), p)
	if want := "# b/c\nb/c/x.go:1:2: undefined: y\n"; problem != want {
		t.Errorf("got the problem %q, want %q", problem, want)
	}
	if p.done != 30 || len(p.weights) != 1 {
		t.Errorf("done %d, left %v", p.done, p.weights)
	}
}

func TestProgressText(t *testing.T) {
	linked := filepath.Join(t.TempDir(), "etcd")
	if err := os.WriteFile(linked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &progress{
		done: linkWeight, total: 8 * linkWeight, programs: []string{linked, linked + "-not-yet"},
		weights: map[string]int64{"left": 1}, current: "k8s.io/kubernetes/pkg/apis/core",
	}
	cases := map[string]struct {
		elapsed time.Duration
		width   int
		want    string
	}{
		"Pipe":     {4 * time.Minute, 0, " 25%  4m0s, about 12m0s left  k8s.io/kubernetes/pkg/apis/core\n"},
		"Terminal": {4 * time.Minute, 80, "\r█████░░░░░░░░░░░░░░░  25%  4m0s, about 12m0s left  k8s.io/kubernetes/pkg/apis/…" + ansi.EraseLineRight},
		"Early":    {time.Second, 0, " 25%  1s  k8s.io/kubernetes/pkg/apis/core\n"},
		"Narrow":   {time.Second, 10, "\r█████░░░…" + ansi.EraseLineRight},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := p.text(c.elapsed, c.width); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestProgressTextOfLinking(t *testing.T) {
	p := &progress{total: 2 * linkWeight, done: linkWeight, current: "starting"}
	if got, want := p.text(time.Second, 0), " 50%  1s  linking\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestInstall: a product counts as up to date only with its own stamp, and only while it is there.
func TestInstall(t *testing.T) {
	out, scratch := t.TempDir(), t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(out, stampDir), 0o755), os.WriteFile(filepath.Join(scratch, "etcd"), nil, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	if upToDate(out, "etcd", "1") {
		t.Error("it is up to date before it is made")
	}
	if err := install(scratch, out, "etcd", "1"); err != nil {
		t.Fatal(err)
	}
	if !upToDate(out, "etcd", "1") || upToDate(out, "etcd", "2") {
		t.Error("the stamp does not decide")
	}
	if err := os.Remove(filepath.Join(out, "etcd")); err != nil || upToDate(out, "etcd", "1") {
		t.Errorf("it is up to date without being there (%v)", err)
	}
}

// TestLock: a second run waits, says so, and can be interrupted.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	unlock, err := lock(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(ctx, path, &said); !errors.Is(err, context.Canceled) || !strings.Contains(said.String(), "waiting") {
		t.Errorf("got %v and %q", err, said.String())
	}
	unlock()
	again, err := lock(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
