package github_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// manyEnvironments are Environments of one repository, each with ten deployments.
type manyEnvironments struct {
	*bench
	states   []environment.State
	backends []*github.Backend
}

const (
	many    = 200
	history = 10
)

func newManyEnvironments(tb testing.TB, applications int) *manyEnvironments {
	tb.Helper()
	// The requests are too many to validate each.
	c := &manyEnvironments{bench: serve(tb, func(s http.Handler) http.Handler { return s })}
	c.pool.Budget = 1 << 20 // to publish everything at once
	pool := github.NewPool(c.pool)
	for i := range many {
		s := environment.State{Application: fmt.Sprintf("app-%d", i%applications), Environment: fmt.Sprintf("env-%d", i)}
		for id := int64(history); id > 0; id-- {
			d := deployment(id, v1alpha1.BakeSucceeded)
			d.Key = fmt.Sprintf("uid-%d/%d", i, id)
			s.Deployments = append(s.Deployments, d)
		}
		c.states = append(c.states, s)
		backend, err := pool.Backend(c.options("kuberik"))
		if err != nil {
			tb.Fatal(err)
		}
		c.backends = append(c.backends, backend)
	}
	for i, s := range c.states {
		for {
			// The writes of a minute are limited.
			c.clock.Step(8 * time.Minute)
			if c.backends[i].Publish(tb.Context(), s) == nil {
				break
			}
		}
	}
	return c
}

// hour lets every Environment publish and read once a minute for an hour, and returns the number of requests.
func (c *manyEnvironments) hour(tb testing.TB) (all, unchanged int) {
	tb.Helper()
	c.Calls()
	for range 60 {
		c.clock.Step(time.Minute)
		for i, s := range c.states {
			if err := c.backends[i].Publish(tb.Context(), s); err != nil {
				tb.Fatal(err)
			}
			if _, err := c.backends[i].Read(tb.Context(), s.Application); err != nil {
				tb.Fatal(err)
			}
		}
	}
	calls := c.Calls()
	for _, call := range calls {
		if call.Status == http.StatusNotModified {
			unchanged++
		}
	}
	return len(calls), unchanged
}

// TestRequestsWithoutChanges measures the numbers in the guide.
func TestRequestsWithoutChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, applications := range []int{1, 50, 200} {
		t.Run(fmt.Sprint(applications), func(t *testing.T) {
			t.Parallel()
			c := newManyEnvironments(t, applications)
			// The measured process has the default budget.
			c.pool.Budget = remote.DefaultBudget
			pool := github.NewPool(c.pool)
			backend, err := pool.Backend(c.options("kuberik"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.backends {
				c.backends[i] = backend
			}
			c.warmUp(t)
			all, unchanged := c.hour(t)
			t.Logf(
				"%d Environments of %d applications with %d deployments each: %d requests in an hour, of them %d unchanged",
				many, applications, history, all, unchanged,
			)
			if all >= 1000 {
				t.Errorf("%d requests in an hour without changes", all)
			}
			if writes := c.Writes(); writes != many*history*2 {
				t.Errorf("%d writes, want a deployment and a status each", writes)
			}
		})
	}
}

// warmUp reads until everything is known, and logs how long that takes.
func (c *manyEnvironments) warmUp(t *testing.T) {
	t.Helper()
	c.Calls()
	start, calls, logged := c.clock.Now(), 0, false
	for range 12 * 60 {
		c.clock.Step(time.Minute)
		newest, all := c.unread(t)
		calls += len(c.Calls())
		if newest == 0 && !logged {
			logged = true
			t.Logf("the newest of each are known after %s, with %d requests", c.clock.Since(start), calls)
		}
		if all == 0 {
			t.Logf("everything is known after %s, with %d requests", c.clock.Since(start), calls)
			c.clock.Step(time.Hour)
			return
		}
	}
	t.Error("not everything is known after 12 hours")
}

// unread returns the number of environments whose newest deployment is not known, and that of all unknown deployments.
func (c *manyEnvironments) unread(t *testing.T) (newest, all int) {
	t.Helper()
	snapshot := map[string]environment.Snapshot{}
	for i, s := range c.states {
		got, ok := snapshot[s.Application]
		if !ok {
			got, _ = c.backends[i].Read(t.Context(), s.Application)
			snapshot[s.Application] = got
		}
		mine, _ := got.Find(s.Environment)
		for j := range s.Deployments {
			if j < len(mine.Deployments) && mine.Deployments[j].UntrustedReason == "" {
				continue
			}
			all++
			if j == 0 {
				newest++
			}
		}
	}
	return newest, all
}

func TestPublishingTheSameStateMakesNoRequests(t *testing.T) {
	b := newBench(t)
	backend := b.backend(t, b.options("kuberik"))
	s := state(
		"staging", deployment(3, v1alpha1.BakeInProgress), deployment(2, v1alpha1.BakeFailed),
		deployment(1, v1alpha1.BakeSucceeded),
	)
	publish(t, backend, s)
	b.Calls()
	for range 100 {
		b.clock.Step(time.Hour)
		publish(t, backend, s)
	}
	if n := len(b.Calls()); n != 0 {
		t.Errorf("%d requests without a change", n)
	}
}

// TestChangeOfAFinalStatusIsReadWithinAnHour, even if updated_at does not change.
func TestChangeOfAFinalStatusIsReadWithinAnHour(t *testing.T) {
	b := newBench(t)
	b.Untouched = true
	s := state("staging", deployment(2, v1alpha1.BakeSucceeded), deployment(1, v1alpha1.BakeSucceeded))
	writer, reader := b.backend(t, b.options("kuberik")), b.backend(t, b.options("kuberik"))
	publish(t, writer, s)
	read(t, reader)
	s.Deployments[1].Quarantine = "loses orders"
	publish(t, writer, s)
	for minutes := 1; ; minutes++ {
		b.clock.Step(time.Minute)
		if got, _ := read(t, reader).Find("staging"); got.Deployments[1].Quarantine != "" {
			t.Logf("noticed after %d minutes", minutes)
			return
		}
		if minutes == 60 {
			t.Fatal("not noticed in an hour")
		}
	}
}

// TestManyPages: neither many other deployments nor unsorted pages hide a deployment.
func TestManyPages(t *testing.T) {
	b := newBench(t)
	b.Shuffle = true
	start := b.clock.Now()
	reader := b.backend(t, b.options("kuberik"))
	read(t, reader)
	writer := b.backend(t, b.options("kuberik"))
	b.pool.Budget = 100000
	publish(t, writer, succeeded(1))
	noise := b.backend(t, b.options("ci"))
	for i := range 20 {
		s := environment.State{Application: fmt.Sprintf("noise-%d", i), Environment: "staging"}
		for id := int64(10); id > 0; id-- {
			s.Deployments = append(s.Deployments, deployment(id, v1alpha1.BakeSucceeded))
		}
		for noise.Publish(t.Context(), s) != nil {
			b.clock.Step(time.Minute)
		}
	}
	if b.clock.Since(start) > 30*time.Minute {
		t.Fatal("the sweep would read everything again, which this test does not cover")
	}
	b.clock.Step(time.Minute)
	if s, ok := read(t, reader).Find("staging"); !ok || len(s.Deployments) != 1 || s.Deployments[0].UntrustedReason != "" {
		t.Errorf("after 200 other deployments, got %+v", s)
	}
}

func BenchmarkReadWithoutChanges(b *testing.B) {
	c := newManyEnvironments(b, 1)
	backend := c.backends[0]
	for range 60 {
		c.clock.Step(time.Minute)
		if _, err := backend.Read(b.Context(), "app-0"); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		if _, err := backend.Read(b.Context(), "app-0"); err != nil {
			b.Fatal(err)
		}
	}
}
