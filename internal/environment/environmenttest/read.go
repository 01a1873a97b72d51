package environmenttest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

// apart: neither environments nor applications mix, whatever their names and ids have in common.
func apart(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	one := state(production, w.deployment(1, v1alpha1.BakeInProgress))
	two := state(staging, w.deployment(1, v1alpha1.BakeSucceeded))
	two.Deployments[0].Key = "uid-2/1"
	other := state(staging, w.deployment(1, v1alpha1.BakeFailed))
	other.Application = "shop-admin"
	other.Deployments[0].Key = "uid-3/1"
	for _, s := range []environment.State{one, two, other} {
		publish(t, b, s)
	}
	w.tells(t, b, one, two)
	w.tells(t, w.Backend(t, us), one, two)
	snapshot, err := b.Read(t.Context(), "shop-admin")
	if err != nil || len(snapshot.Environments) != 1 || snapshot.Environments[0].Deployments[0].State != v1alpha1.BakeFailed {
		t.Errorf("the other application: %+v, %v", snapshot, err)
	}
}

func order(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	var newestFirst []environment.Deployment
	for id := int64(9); id > 0; id-- {
		newestFirst = append(newestFirst, w.deployment(id, v1alpha1.BakeSucceeded))
	}
	names := []string{"zurich", "amsterdam", production}
	for i, name := range names {
		s := state(name, newestFirst...)
		s.Deployments = nil
		for _, d := range newestFirst {
			d.Key = fmt.Sprintf("uid-%d/%d", i, d.ID)
			s.Deployments = append(s.Deployments, d)
		}
		// A history that grew while nobody could be reached comes in two parts.
		publish(t, b, state(name, s.Deployments[5:]...))
		publish(t, b, s)
	}
	snapshot := w.read(t, w.Backend(t, us))
	for i, want := range []string{"amsterdam", production, "zurich"} {
		if len(snapshot.Environments) != len(names) || snapshot.Environments[i].Environment != want {
			t.Fatalf("environments are not in the order of their names: %+v", snapshot.Environments)
		}
		for j, d := range snapshot.Environments[i].Deployments {
			if d.ID != newestFirst[j].ID {
				t.Errorf("%s: number %d is %d, want %d", want, j, d.ID, newestFirst[j].ID)
			}
		}
	}
}

// relations: those of the newest deployment hold, not those of the oldest.
func relations(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(production, w.deployment(1, v1alpha1.BakeSucceeded))
	s.After = []string{"qa"}
	publish(t, b, s)
	s.Deployments = append([]environment.Deployment{w.deployment(2, v1alpha1.BakeDeploying)}, s.Deployments...)
	s.Deployments[1].At = s.Deployments[0].At.Add(-time.Minute)
	s.After, s.URL = []string{staging}, "https://kuberik.example.com/new"
	publish(t, b, s)
	got, _ := w.read(t, w.Backend(t, us)).Find(production)
	if len(got.After) != 1 || got.After[0] != staging || got.URL != s.URL {
		t.Errorf("got after %q at %s", got.After, got.URL)
	}
}

func ageOfSnapshots(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	publish(t, b, state(staging, w.deployment(1, v1alpha1.BakeSucceeded)))
	first := w.read(t, b)
	if first.At.Before(w.Now()) || first.At.After(w.Now()) {
		t.Errorf("the snapshot of %s is dated %s", w.Now(), first.At)
	}
	w.Step(10 * w.Interval)
	if second := w.read(t, b); !second.At.Equal(w.Now()) {
		t.Errorf("nothing changed, and the snapshot of %s is still dated %s", w.Now(), second.At)
	}
}

func unreachable(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, b, s)
	before := w.read(t, b)
	w.Down(true)
	w.Step(10 * w.Interval)
	snapshot, err := b.Read(t.Context(), app)
	if err == nil || !snapshot.At.Equal(before.At) || len(snapshot.Environments) != 1 {
		t.Errorf("got %+v and %v, want the snapshot of %s and an error", snapshot, err, before.At)
	}
	if snapshot, err := w.Backend(t, us).Read(t.Context(), app); err == nil || !snapshot.At.IsZero() {
		t.Errorf("who never knew anything got %+v and %v, want an error", snapshot, err)
	}
	w.Down(false)
	w.Step(time.Hour)
	w.tells(t, b, s)
}

func untrustedDeployment(t *testing.T, w *world) {
	t.Helper()
	publish(t, w.Backend(t, mallory), state(staging, w.deployment(1, v1alpha1.BakeSucceeded)))
	reader := w.Backend(t, us)
	if n := w.read(t, reader).Untrusted; n != 1 {
		t.Errorf("%d deployments of untrusted logins are counted, want 1", n)
	}
	if n := w.read(t, w.Backend(t, mallory)).Untrusted; n != 0 {
		t.Errorf("%d of its own deployments are counted as untrusted", n)
	}
	d := w.only(t, reader, staging)
	if d.UntrustedReason == "" || d.Key != "" || d.Version.Tag != "v1.1.0" {
		t.Errorf("an untrusted deployment is returned as %+v", d)
	}
}

// untrustedKey: whoever reads a key can write it. The deployment is not mistaken for ours and does not stop ours from being created.
func untrustedKey(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	publish(t, w.Backend(t, mallory), state(staging, w.deployment(1, v1alpha1.BakeSucceeded)))
	own := w.deployment(1, v1alpha1.BakeInProgress)
	publish(t, b, state(staging, own))
	if n := w.Deployments(own.Key); n != 2 {
		t.Fatalf("there are %d deployments, want the untrusted one and ours", n)
	}
	before := w.Writes()
	publish(t, w.Backend(t, us), state(staging, own))
	if w.Writes() != before {
		t.Error("it was published once more")
	}
	s, _ := w.read(t, w.Backend(t, us)).Find(staging)
	evidence := 0
	for _, d := range s.Deployments {
		if d.UntrustedReason != "" {
			continue
		}
		evidence++
		if d.State != v1alpha1.BakeInProgress || d.Key != own.Key {
			t.Errorf("ours is returned as %+v", d)
		}
	}
	if evidence != 1 {
		t.Errorf("%d deployments are evidence, want 1", evidence)
	}
}

func untrustedQuarantine(t *testing.T, w *world) {
	t.Helper()
	publish(t, w.Backend(t, us), state(staging, w.deployment(1, v1alpha1.BakeSucceeded)))
	// Mallory trusts us, so it adopts our deployment and reports about it.
	d := w.deployment(1, v1alpha1.BakeSucceeded)
	d.Quarantine = "I say so"
	publish(t, w.Backend(t, mallory, us), state(staging, d))
	if got := w.only(t, w.Backend(t, us), staging); got.Quarantine != "" && got.UntrustedReason == "" {
		t.Errorf("an untrusted report counts: %+v", got)
	}
	// Nor can it make a failed deployment look successful.
	failed := w.deployment(2, v1alpha1.BakeFailed)
	publish(t, w.Backend(t, us), state(production, failed))
	failed.State, failed.AvailableSince = v1alpha1.BakeSucceeded, failed.At
	publish(t, w.Backend(t, mallory, us), state(production, failed))
	if got := w.only(t, w.Backend(t, us), production); got.State == v1alpha1.BakeSucceeded && got.UntrustedReason == "" {
		t.Errorf("an untrusted report counts: %+v", got)
	}
}

func trustedLogins(t *testing.T, w *world) {
	t.Helper()
	s := state(staging, w.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, w.Backend(t, "trusted"), s)
	w.tells(t, w.Backend(t, us, "other", "trusted"), s)
	if d := w.only(t, w.Backend(t, us, "other"), staging); d.UntrustedReason == "" {
		t.Error("it is evidence for a reader that does not trust the login")
	}
}

// longTexts: a text that is cut is cut between characters, and what was cut is not published for ever.
func longTexts(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	for shift := range 4 {
		long := strings.Repeat("x", shift) + strings.Repeat("ß語🚀", 2000)
		d := w.deployment(int64(shift+1), v1alpha1.BakeFailed)
		d.Message, d.StateMessage = long, long
		hurt := w.deployment(int64(shift+11), v1alpha1.BakeFailed)
		hurt.Quarantine = long
		name := fmt.Sprintf("env-%d", shift)
		publish(t, b, state(name, hurt, d))
		before := w.Writes()
		publish(t, w.Backend(t, us), state(name, hurt, d))
		if n := w.Writes() - before; n != 0 {
			t.Errorf("the same long text again was %d writes", n)
		}
		got, _ := w.read(t, w.Backend(t, us)).Find(name)
		if len(got.Deployments) != 2 {
			t.Fatalf("got %+v", got)
		}
		for _, text := range []string{got.Deployments[1].Message, got.Deployments[1].StateMessage, got.Deployments[0].Quarantine} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) || len(text) < w.Text || text[:w.Text/2] != long[:len(text[:w.Text/2])] {
				t.Errorf("a long text became %q", text)
			}
		}
	}
}

// manyAtOnce is for the race detector, and to see that nothing is published twice.
func manyAtOnce(t *testing.T, w *world) {
	t.Helper()
	const environments, each = 4, 3
	b := w.Backend(t, us)
	var group sync.WaitGroup
	for i := range environments * each {
		group.Go(func() {
			d := w.deployment(1, v1alpha1.BakeSucceeded)
			d.Key = fmt.Sprintf("uid-%d/1", i%environments)
			if err := b.Publish(t.Context(), state(fmt.Sprintf("env-%d", i%environments), d)); err != nil {
				t.Errorf("one of many: %v", err)
			}
			if _, err := b.Read(t.Context(), app); err != nil {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	group.Wait()
	for i := range environments {
		if n := w.Deployments(fmt.Sprintf("uid-%d/1", i)); n != 1 {
			t.Errorf("there are %d deployments of environment %d", n, i)
		}
	}
	if snapshot := w.read(t, b); len(snapshot.Environments) != environments {
		t.Errorf("got %d environments", len(snapshot.Environments))
	}
}

func givenUp(t *testing.T, w *world) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(1, v1alpha1.BakeSucceeded))
	if err := b.Publish(ctx, s); err == nil {
		t.Error("nobody waits any more, and it was published")
	}
	publish(t, b, s)
	if n := w.Deployments("uid-1/1"); n != 1 {
		t.Errorf("there are %d deployments of it", n)
	}
}
