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

// separation: environments and applications are separate, even if they share names and IDs.
func separation(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	one := state(production, c.deployment(1, v1alpha1.BakeInProgress))
	two := state(staging, c.deployment(1, v1alpha1.BakeSucceeded))
	two.Deployments[0].Key = "uid-2/1"
	other := state(staging, c.deployment(1, v1alpha1.BakeFailed))
	other.Application = "shop-admin"
	other.Deployments[0].Key = "uid-3/1"
	for _, s := range []environment.State{one, two, other} {
		publish(t, b, s)
	}
	c.expect(t, b, one, two)
	c.expect(t, c.Backend(t, self), one, two)
	snapshot, err := b.Read(t.Context(), "shop-admin")
	if err != nil || len(snapshot.Environments) != 1 ||
		snapshot.Environments[0].Deployments[0].State != v1alpha1.BakeFailed {
		t.Errorf("the other application: %+v, %v", snapshot, err)
	}
}

func order(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	var newestFirst []environment.Deployment
	for id := int64(9); id > 0; id-- {
		newestFirst = append(newestFirst, c.deployment(id, v1alpha1.BakeSucceeded))
	}
	names := []string{"zurich", "amsterdam", production}
	for i, name := range names {
		s := state(name, newestFirst...)
		s.Deployments = nil
		for _, d := range newestFirst {
			d.Key = fmt.Sprintf("uid-%d/%d", i, d.ID)
			s.Deployments = append(s.Deployments, d)
		}
		// A history that grew while the service was unreachable is published in two parts.
		publish(t, b, state(name, s.Deployments[5:]...))
		publish(t, b, s)
	}
	snapshot := c.read(t, c.Backend(t, self))
	for i, want := range []string{"amsterdam", production, "zurich"} {
		if len(snapshot.Environments) != len(names) || snapshot.Environments[i].Environment != want {
			t.Fatalf("the environments are not sorted by name: %+v", snapshot.Environments)
		}
		for j, d := range snapshot.Environments[i].Deployments {
			if d.ID != newestFirst[j].ID {
				t.Errorf("%s: deployment %d has the ID %d, want %d", want, j, d.ID, newestFirst[j].ID)
			}
		}
	}
}

// relations: those of the newest deployment count.
func relations(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(production, c.deployment(1, v1alpha1.BakeSucceeded))
	s.After = []string{"qa"}
	publish(t, b, s)
	s.Deployments = append([]environment.Deployment{c.deployment(2, v1alpha1.BakeDeploying)}, s.Deployments...)
	s.Deployments[1].At = s.Deployments[0].At.Add(-time.Minute)
	s.After, s.URL = []string{staging}, "https://kuberik.example.com/new"
	publish(t, b, s)
	got, _ := c.read(t, c.Backend(t, self)).Find(production)
	if len(got.After) != 1 || got.After[0] != staging || got.URL != s.URL {
		t.Errorf("got after %q at %s", got.After, got.URL)
	}
}

func timeOfSnapshots(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	publish(t, b, state(staging, c.deployment(1, v1alpha1.BakeSucceeded)))
	first := c.read(t, b)
	if first.At.Before(c.Now()) || first.At.After(c.Now()) {
		t.Errorf("the snapshot of %s has the time %s", c.Now(), first.At)
	}
	c.Step(10 * c.Interval)
	if second := c.read(t, b); !second.At.Equal(c.Now()) {
		t.Errorf("without a change, the snapshot of %s has the time %s", c.Now(), second.At)
	}
}

func unreachable(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, b, s)
	before := c.read(t, b)
	c.Down(true)
	c.Step(10 * c.Interval)
	snapshot, err := b.Read(t.Context(), app)
	if err == nil || !snapshot.At.Equal(before.At) || len(snapshot.Environments) != 1 {
		t.Errorf("got %+v and %v, want the snapshot of %s and an error", snapshot, err, before.At)
	}
	if snapshot, err := c.Backend(t, self).Read(t.Context(), app); err == nil || !snapshot.At.IsZero() {
		t.Errorf("a backend without a snapshot returned %+v and %v, want an error", snapshot, err)
	}
	c.Down(false)
	c.Step(time.Hour)
	c.expect(t, b, s)
}

func untrustedDeployment(t *testing.T, c *contract) {
	t.Helper()
	publish(t, c.Backend(t, mallory), state(staging, c.deployment(1, v1alpha1.BakeSucceeded)))
	reader := c.Backend(t, self)
	if n := c.read(t, reader).Untrusted; n != 1 {
		t.Errorf("%d untrusted deployments, want 1", n)
	}
	if n := c.read(t, c.Backend(t, mallory)).Untrusted; n != 0 {
		t.Errorf("%d of its own deployments are untrusted", n)
	}
	d := c.only(t, reader, staging)
	if d.UntrustedReason == "" || d.Key != "" || d.Version.Tag != "v1.1.0" {
		t.Errorf("an untrusted deployment is returned as %+v", d)
	}
}

// untrustedKey: an untrusted deployment with our key is not mistaken for ours, and ours is created.
func untrustedKey(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	publish(t, c.Backend(t, mallory), state(staging, c.deployment(1, v1alpha1.BakeSucceeded)))
	own := c.deployment(1, v1alpha1.BakeInProgress)
	publish(t, b, state(staging, own))
	if n := c.Deployments(own.Key); n != 2 {
		t.Fatalf("there are %d deployments, want the untrusted one and ours", n)
	}
	before := c.Writes()
	publish(t, c.Backend(t, self), state(staging, own))
	if c.Writes() != before {
		t.Error("the deployment was published again")
	}
	s, _ := c.read(t, c.Backend(t, self)).Find(staging)
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

func untrustedQuarantine(t *testing.T, c *contract) {
	t.Helper()
	publish(t, c.Backend(t, self), state(staging, c.deployment(1, v1alpha1.BakeSucceeded)))
	// Mallory trusts our login, so it adopts our deployment and reports its status.
	d := c.deployment(1, v1alpha1.BakeSucceeded)
	d.Quarantine = "broken"
	publish(t, c.Backend(t, mallory, self), state(staging, d))
	if got := c.only(t, c.Backend(t, self), staging); got.Quarantine != "" && got.UntrustedReason == "" {
		t.Errorf("an untrusted report counts: %+v", got)
	}
	// Neither can an untrusted report turn a failure into a success.
	failed := c.deployment(2, v1alpha1.BakeFailed)
	publish(t, c.Backend(t, self), state(production, failed))
	failed.State, failed.AvailableSince = v1alpha1.BakeSucceeded, failed.At
	publish(t, c.Backend(t, mallory, self), state(production, failed))
	if got := c.only(t, c.Backend(t, self), production); got.State == v1alpha1.BakeSucceeded && got.UntrustedReason == "" {
		t.Errorf("an untrusted report counts: %+v", got)
	}
}

func trustedLogins(t *testing.T, c *contract) {
	t.Helper()
	s := state(staging, c.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, c.Backend(t, "trusted"), s)
	c.expect(t, c.Backend(t, self, "other", "trusted"), s)
	if d := c.only(t, c.Backend(t, self, "other"), staging); d.UntrustedReason == "" {
		t.Error("a reader that does not trust the login accepts it as evidence")
	}
}

// longTexts: a text is cut between characters, and a cut text is not published again and again.
func longTexts(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	for shift := range 4 {
		long := strings.Repeat("x", shift) + strings.Repeat("ß語🚀", 2000)
		d := c.deployment(int64(shift+1), v1alpha1.BakeFailed)
		d.Message, d.StateMessage = long, long
		quarantined := c.deployment(int64(shift+11), v1alpha1.BakeFailed)
		quarantined.Quarantine = long
		name := fmt.Sprintf("env-%d", shift)
		publish(t, b, state(name, quarantined, d))
		before := c.Writes()
		publish(t, c.Backend(t, self), state(name, quarantined, d))
		if n := c.Writes() - before; n != 0 {
			t.Errorf("the same long text made %d writes", n)
		}
		got, _ := c.read(t, c.Backend(t, self)).Find(name)
		if len(got.Deployments) != 2 {
			t.Fatalf("got %+v", got)
		}
		for _, text := range []string{
			got.Deployments[1].Message, got.Deployments[1].StateMessage, got.Deployments[0].Quarantine,
		} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) || len(text) < c.Text ||
				text[:c.Text/2] != long[:len(text[:c.Text/2])] {
				t.Errorf("a long text became %q", text)
			}
		}
	}
}

// concurrency finds data races, and deployments that are published twice.
func concurrency(t *testing.T, c *contract) {
	t.Helper()
	const environments, each = 4, 3
	b := c.Backend(t, self)
	var group sync.WaitGroup
	for i := range environments * each {
		group.Go(func() {
			d := c.deployment(1, v1alpha1.BakeSucceeded)
			d.Key = fmt.Sprintf("uid-%d/1", i%environments)
			if err := b.Publish(t.Context(), state(fmt.Sprintf("env-%d", i%environments), d)); err != nil {
				t.Errorf("publish: %v", err)
			}
			if _, err := b.Read(t.Context(), app); err != nil {
				t.Errorf("read: %v", err)
			}
		})
	}
	group.Wait()
	for i := range environments {
		if n := c.Deployments(fmt.Sprintf("uid-%d/1", i)); n != 1 {
			t.Errorf("there are %d deployments of environment %d", n, i)
		}
	}
	if snapshot := c.read(t, b); len(snapshot.Environments) != environments {
		t.Errorf("got %d environments", len(snapshot.Environments))
	}
}

func cancelledContext(t *testing.T, c *contract) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(1, v1alpha1.BakeSucceeded))
	if err := b.Publish(ctx, s); err == nil {
		t.Error("no error although the context is cancelled")
	}
	publish(t, b, s)
	if n := c.Deployments("uid-1/1"); n != 1 {
		t.Errorf("there are %d deployments of it", n)
	}
}
