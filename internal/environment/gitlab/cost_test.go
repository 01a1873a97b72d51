package gitlab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/gitlab/gitlabtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// TestRequestsWithoutChanges measures the numbers in the guide: the requests in an hour without changes, of
// Environments with three deployments each that share a pool.
func TestRequestsWithoutChanges(t *testing.T) {
	t.Parallel()
	for many, want := range map[int]int{1: 60, 50: 60, 200: 240} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.pool.Budget = 1 << 20 // to publish it all in a minute
			pool := gitlab.NewPool(b.pool)
			backends, states := make([]*gitlab.Backend, many), make([]environment.State, many)
			for i := range many {
				states[i] = environment.State{Application: fmt.Sprintf("app-%d", i%50), Environment: fmt.Sprintf("env-%d", i)}
				for id := int64(3); id > 0; id-- {
					d := deployment(id, v1alpha1.BakeSucceeded)
					d.Key = fmt.Sprintf("uid-%d/%d", i, id)
					states[i].Deployments = append(states[i].Deployments, d)
				}
				var err error
				if backends[i], err = pool.Backend(b.options(self)); err != nil {
					t.Fatal(err)
				}
				publish(t, backends[i], states[i])
			}
			b.Calls()
			for range 60 {
				b.clock.Step(time.Minute)
				for i, s := range states {
					publish(t, backends[i], s)
					if _, err := backends[i].Read(t.Context(), s.Application); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := len(b.Calls()); got != want {
				t.Errorf("%d Environments made %d requests in an hour, want %d", many, got, want)
			}
		})
	}
}

// TestFailureIsShared: while GitLab is down, not every Environment calls it.
func TestFailureIsShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pool := gitlab.NewPool(b.pool)
	b.Break(func(*http.Request) *gitlabtest.Fault { return &gitlabtest.Fault{Status: http.StatusBadGateway} })
	for range 20 {
		backend, err := pool.Backend(b.options(self))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backend.Read(t.Context(), app); kind(err) != "temporary" {
			t.Errorf("the error is %v", err)
		}
		if err := backend.Publish(t.Context(), state(deployment(1, v1alpha1.BakeFailed))); kind(err) != "temporary" {
			t.Errorf("the error is %v", err)
		}
	}
	if got := len(b.Calls()); got != 1 {
		t.Errorf("there were %d requests", got)
	}
}

// TestHistoryIsBounded: a record keeps twenty deployments, and does not publish the dropped ones again.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	backend := b.backend(t, b.options(self))
	var s environment.State
	for id := range int64(40) {
		s = state(append([]environment.Deployment{deployment(id+1, v1alpha1.BakeSucceeded)}, s.Deployments...)...)
		publish(t, backend, s)
	}
	got := b.read(t, b.backend(t, b.options(self)))
	if len(got) != 20 || got[0].ID != 40 || got[19].ID != 21 {
		t.Errorf("%d deployments are returned", len(got))
	}
	writes := b.Writes()
	publish(t, b.backend(t, b.options(self)), s)
	if b.Writes() != writes {
		t.Error("a dropped deployment was published again")
	}
}

// TestMemoryOfANamespaceIsBounded: what a namespace has read above its share is read again, and what another one has read
// is not.
func TestMemoryOfANamespaceIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := deployment(1, v1alpha1.BakeSucceeded)
	for i := range 20 {
		d.ID, d.Key, d.Message = int64(i+1), fmt.Sprint("key-", i), strings.Repeat("x", 256)
		publish(t, b.backend(t, b.options(fmt.Sprint("writer-", i))), state(d))
	}
	b.pool.MemoryOfNamespace = 3 * 64 << 10 // each token keeps more than 64 KiB
	pool := gitlab.NewPool(b.pool)
	requests := func(namespace, username string) int {
		t.Helper()
		o := b.options(username)
		o.Namespace = namespace
		backend, err := pool.Backend(o)
		if err != nil {
			t.Fatal(err)
		}
		b.Calls()
		if _, err := backend.Read(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		return len(b.Calls())
	}
	if requests("quiet", self) == 0 {
		t.Fatal("the first read makes no request")
	}
	for i := range 10 {
		requests("loud", fmt.Sprint("user-", i))
	}
	if n := requests("loud", "user-9"); n > 0 {
		t.Errorf("the last token makes %d requests again", n)
	}
	if requests("loud", "user-0") == 0 {
		t.Error("what was read with every token is in memory")
	}
	if n := requests("quiet", self); n > 0 {
		t.Errorf("another namespace makes %d requests again", n)
	}
}

// TestPageFits: a page of full records, with texts that need escaping, is shorter than the bound of a response.
func TestPageFits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var s environment.State
	for id := int64(20); id > 0; id-- {
		d := deployment(id, v1alpha1.BakeFailed)
		d.Message, d.StateMessage, d.Quarantine = strings.Repeat(`"`, 999), strings.Repeat(`"`, 999), strings.Repeat("語", 999)
		s = state(append(s.Deployments, d)...)
	}
	publish(t, b.backend(t, b.options(self)), s)
	b.Edit(self, func(text string) string {
		sent, err := json.Marshal(text)
		if err != nil || 50*(len(sent)+1000) > 4<<20 {
			t.Errorf("a snippet is %d bytes: %v", len(sent), err)
		}
		return text
	})
}

// counter is an Observer.
type counter struct {
	codes map[int]int
	left  int
}

func (c *counter) Request(_, _ string, code int)   { c.codes[code]++ }
func (c *counter) Left(_, _ string, budget, _ int) { c.left = budget }

// TestObserver: every request is observed.
func TestObserver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := &counter{codes: map[int]int{}}
	b.pool.Observer = c
	backend := b.backend(t, b.options(self))
	publish(t, backend, state(deployment(1, v1alpha1.BakeSucceeded)))
	b.Break(func(*http.Request) *gitlabtest.Fault { return &gitlabtest.Fault{} })
	b.clock.Step(time.Minute)
	_, _ = backend.Read(t.Context(), app)
	// The user, the snippets, the deployments of the environment, and two writes.
	if c.codes[200] != 3 || c.codes[201] != 2 || c.codes[0] < 1 || c.left > remote.DefaultBudget-6 {
		t.Errorf("observed %v, %d left", c.codes, c.left)
	}
}

// TestBudget: with the budget spent, there are no requests.
func TestBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pool.Budget = 5
	backend := b.backend(t, b.options(self))
	for range 10 {
		b.clock.Step(time.Minute)
		_, _ = backend.Read(t.Context(), app)
	}
	snapshot, err := backend.Read(t.Context(), app)
	if got := kind(err); got != "wait 13:01:00" || snapshot.At.IsZero() {
		t.Errorf("the error is %s: %v", got, err)
	}
	if got := len(b.Calls()); got != 5 {
		t.Errorf("there were %d requests", got)
	}
	b.clock.Step(time.Hour)
	if _, err := backend.Read(t.Context(), app); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
