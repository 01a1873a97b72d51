package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/github/githubtest"
)

func deployment(id int64, s v1alpha1.BakeStatus) environment.Deployment {
	return environment.Deployment{
		Key: fmt.Sprintf("uid-1/%d", id), ID: id, State: s, At: time.Date(2026, 3, 1, 11, int(id), 0, 0, time.UTC),
		Version: v1alpha1.VersionInfo{Tag: fmt.Sprintf("v1.%d.0", id), Revision: new(fmt.Sprintf("%040x", id))},
	}
}

func state(name string, deployments ...environment.Deployment) environment.State {
	return environment.State{Application: "shop", Environment: name, Deployments: deployments}
}

func succeeded(id int64) environment.State {
	return state("staging", deployment(id, v1alpha1.BakeSucceeded))
}

// on returns a fault for the requests with a method and the end of a path.
func on(method, suffix string, f githubtest.Fault) func(*http.Request) *githubtest.Fault {
	return func(r *http.Request) *githubtest.Fault {
		if r.Method == method && strings.HasSuffix(r.URL.Path, suffix) {
			return &f
		}
		return nil
	}
}

// TestRefused: a persistent error says what to do, and is not retried within an interval.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*bench, *github.Options)
		want    string
	}{
		"401": {func(b *bench, o *github.Options) { b.RevokeToken(o.Token) }, "renew the token"},
		"404": {func(_ *bench, o *github.Options) { o.Project = "octo-org/other" }, "check the project"},
		"403": {
			func(b *bench, _ *github.Options) { b.Break(on("GET", "/deployments", githubtest.Fault{Status: 403})) },
			"read and write access to deployments",
		},
		"403 on user": {
			func(b *bench, _ *github.Options) { b.Break(on("GET", "/user", githubtest.Fault{Status: 403})) },
			"the user of the token",
		},
		"moved": {func(b *bench, _ *github.Options) { b.Break(moved) }, "another host"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			o := b.options("kuberik")
			tc.prepare(b, &o)
			backend := b.backend(t, o)
			var refused *environment.RefusedError
			_, err := backend.Read(t.Context(), "shop")
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), o.Token) {
				t.Errorf("read: %v, want it refused with %q", err, tc.want)
			}
			b.Calls()
			b.clock.Step(30 * time.Second)
			if _, again := backend.Read(t.Context(), "shop"); !errors.Is(again, err) || len(b.Calls()) != 0 {
				t.Errorf("read again: %v", again)
			}
			if err := backend.Publish(t.Context(), succeeded(1)); !errors.As(err, &refused) {
				t.Errorf("publish: %v, want it refused", err)
			}
			b.clock.Step(time.Hour)
			if _, err := backend.Read(t.Context(), "shop"); !errors.As(err, &refused) || len(b.Calls()) == 0 {
				t.Errorf("an hour later: %v, want a retry", err)
			}
		})
	}
}

func moved(r *http.Request) *githubtest.Fault {
	return &githubtest.Fault{
		Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "https://elsewhere.example" + r.URL.Path},
	}
}

// TestCredentialsAreNotSentToAnotherHost: a redirect to another host is not followed.
func TestCredentialsAreNotSentToAnotherHost(t *testing.T) {
	b := newBench(t)
	var mu sync.Mutex
	calls := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
	}))
	defer other.Close()
	b.Break(func(r *http.Request) *githubtest.Fault {
		return &githubtest.Fault{
			Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": other.URL + r.URL.Path},
		}
	})
	backend := b.backend(t, b.options("kuberik"))
	if _, err := backend.Read(t.Context(), "shop"); err == nil {
		t.Error("the redirect was followed")
	}
	mu.Lock()
	defer mu.Unlock()
	if calls != 0 {
		t.Errorf("the other host was called %d times", calls)
	}
}

// TestWait: there are no requests during a pause of GitHub.
func TestWait(t *testing.T) {
	in := func(d time.Duration) func(*bench) time.Time {
		return func(b *bench) time.Time { return b.clock.Now().Add(d) }
	}
	reset := func(b *bench, after time.Duration) map[string]string {
		return map[string]string{
			"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(b.clock.Now().Add(b.Skew + after).Unix()),
		}
	}
	for name, tc := range map[string]struct {
		fault func(*bench) githubtest.Fault
		skew  time.Duration
		until func(*bench) time.Time
	}{
		"primary": {func(b *bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Header: reset(b, 20*time.Minute)}
		}, 0, in(20 * time.Minute)},
		"primary, clock ahead": {func(b *bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Header: reset(b, 20*time.Minute)}
		}, 2 * time.Hour, in(20 * time.Minute)},
		"primary, clock behind": {func(b *bench) githubtest.Fault {
			return githubtest.Fault{Status: 429, Header: reset(b, 20*time.Minute)}
		}, -2 * time.Hour, in(20 * time.Minute)},
		"primary, no time": {func(*bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0"}}
		}, 0, in(time.Minute)},
		"primary, far": {func(b *bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Header: reset(b, 1000*time.Hour)}
		}, 0, in(time.Hour)},
		"secondary, 403": {func(*bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Header: map[string]string{"Retry-After": "90"}}
		}, 0, in(90 * time.Second)},
		"secondary, 429": {func(*bench) githubtest.Fault {
			return githubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "90"}}
		}, 0, in(90 * time.Second)},
		"secondary, no time": {func(*bench) githubtest.Fault {
			return githubtest.Fault{Status: 403, Body: `{"message": "You have exceeded a secondary rate limit, on purpose"}`}
		}, 0, in(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.Skew = tc.skew
			backend := b.backend(t, b.options("kuberik"))
			publish(t, backend, succeeded(1))
			b.clock.Step(time.Minute)
			before := read(t, backend)
			b.clock.Step(time.Minute)
			fault := tc.fault(b)
			b.Break(func(*http.Request) *githubtest.Fault { return &fault })
			b.Calls()
			until := tc.until(b)
			for range 3 {
				var wait *environment.WaitError
				snapshot, err := backend.Read(t.Context(), "shop")
				if !errors.As(err, &wait) || !wait.Until.Equal(until) || !snapshot.At.Equal(before.At) {
					t.Errorf("read: %v and a snapshot of %s; want to wait until %s", err, snapshot.At, until)
				}
				if err := backend.Publish(t.Context(), succeeded(2)); !errors.As(err, &wait) || !wait.Until.Equal(until) {
					t.Errorf("publish: %v, want to wait until %s", err, until)
				}
			}
			b.Break(nil)
			b.clock.SetTime(until.Add(-time.Second))
			if _, err := backend.Read(t.Context(), "shop"); err == nil || len(b.Calls()) != 1 {
				t.Errorf("there was a request during the pause: %v", err)
			}
			b.clock.SetTime(until.Add(time.Minute))
			publish(t, backend, succeeded(2))
			if s, _ := read(t, backend).Find("staging"); len(s.Deployments) != 2 {
				t.Errorf("afterwards got %+v", s)
			}
		})
	}
}

// TestSecondaryLimitGrows: pauses without a length get longer.
func TestSecondaryLimitGrows(t *testing.T) {
	b := newBench(t)
	backend := b.backend(t, b.options("kuberik"))
	b.Break(func(*http.Request) *githubtest.Fault { return &githubtest.Fault{Status: 429} })
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		var wait *environment.WaitError
		_, err := backend.Read(t.Context(), "shop")
		if !errors.As(err, &wait) || !wait.Until.Equal(b.clock.Now().Add(want)) {
			t.Fatalf("got %v, want a pause of %s", err, want)
		}
		b.clock.SetTime(wait.Until)
	}
	b.Break(nil)
	b.clock.Step(time.Hour)
	read(t, backend)
}

// TestRateLimitIsNotExceeded: the last request within the limit starts the pause, before one is refused.
func TestRateLimitIsNotExceeded(t *testing.T) {
	b := newBench(t)
	b.Limit = 3
	backend := b.backend(t, b.options("kuberik"))
	var wait *environment.WaitError
	if err := backend.Publish(t.Context(), succeeded(1)); !errors.As(err, &wait) ||
		!wait.Until.Equal(b.clock.Now().Add(time.Hour)) {
		t.Errorf("got %v", err)
	}
	for _, c := range b.Calls() {
		if c.Status == http.StatusForbidden {
			t.Errorf("%s %s exceeded the limit", c.Method, c.Path)
		}
	}
	for range 4 {
		b.clock.Step(time.Hour)
		if backend.Publish(t.Context(), succeeded(1)) == nil {
			break
		}
	}
	if n := b.Count("uid-1/1"); n != 1 || b.Writes() != 2 {
		t.Errorf("there are %d deployments, after %d writes", n, b.Writes())
	}
}

func TestBudget(t *testing.T) {
	b := newBench(t)
	observer := &recorder{}
	b.pool.Budget, b.pool.Observer = 6, observer
	o := b.options("kuberik")
	backend := b.backend(t, o)
	publish(t, backend, succeeded(1)) // user, page 1, walk, find, create, status
	b.clock.Step(time.Minute)
	var wait *environment.WaitError
	if _, err := backend.Read(t.Context(), "shop"); !errors.As(err, &wait) ||
		!wait.Until.Equal(b.clock.Now().Add(59*time.Minute)) {
		t.Errorf("got %v, want to wait until the hour is over", err)
	}
	if n := len(b.Calls()); n != 6 {
		t.Errorf("%d requests were made with a budget of 6", n)
	}
	if observer.codes[200] != 4 || observer.codes[201] != 2 || observer.budget != 0 || observer.limit != 5000-6 ||
		strings.Contains(observer.account, o.Token) ||
		observer.account == "" {
		t.Errorf("observed %+v", observer)
	}
	b.clock.Step(time.Hour)
	read(t, backend)
}

type recorder struct {
	mu            sync.Mutex
	account       string
	codes         map[int]int
	budget, limit int
}

func (w *recorder) Request(_, account string, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.codes == nil {
		w.codes = map[int]int{}
	}
	w.account = account
	w.codes[code]++
}

func (w *recorder) Left(_, _ string, budget, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.budget, w.limit = budget, limit
}

// TestRejected: a rejected write is a DeploymentError, and is not repeated at once.
func TestRejected(t *testing.T) {
	for name, fault := range map[string]struct {
		suffix string
		status int
	}{
		"422 on a deployment": {
			"/deployments", 422,
		}, "409 on a deployment": {"/deployments", 409}, "422 on a status": {"/statuses", 422},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			backend := b.backend(t, b.options("kuberik"))
			b.Break(on("POST", fault.suffix, githubtest.Fault{Status: fault.status}))
			var rejected *environment.DeploymentError
			if err := backend.Publish(t.Context(), succeeded(1)); !errors.As(err, &rejected) || rejected.ID != 1 {
				t.Errorf("got %v", err)
			}
			b.Calls()
			b.clock.Step(time.Minute)
			if err := backend.Publish(t.Context(), succeeded(1)); !errors.As(err, &rejected) || len(b.Calls()) != 0 {
				t.Errorf("a minute later: %v", err)
			}
			b.Break(nil)
			b.clock.Step(10 * time.Minute)
			publish(t, backend, succeeded(1))
			if n := b.Count("uid-1/1"); n != 1 {
				t.Errorf("there are %d deployments", n)
			}
		})
	}
}

// TestEachRequestFails: whichever request fails in whichever way, no deployment is published twice, and the next attempt
// succeeds.
func TestEachRequestFails(t *testing.T) {
	faults := map[string]githubtest.Fault{
		"500": {Status: 500}, "502 after the effect": {Status: 502, Effect: true}, "timeout": {Hang: true},
		"timeout after the effect": {Hang: true, Effect: true}, "truncated": {Truncate: true}, "404": {Status: 404},
		"not JSON": {Status: 200, Body: "<html>on purpose"}, "another list": {Status: 200, Body: `{"on purpose": 1}`},
		"no list": {Status: 200, Body: `[null, {"note": "on purpose"}]`},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for at := range 8 {
				breakAt(t, at, fault)
			}
		})
	}
}

func breakAt(t *testing.T, at int, fault githubtest.Fault) {
	t.Helper()
	b := newBench(t)
	if fault.Hang {
		b.pool.Timeout = 500 * time.Millisecond // long enough for the other requests on a busy machine
	}
	backend := b.backend(t, b.options("kuberik"))
	n := 0
	b.Break(func(*http.Request) *githubtest.Fault {
		if n++; n-1 == at {
			return &fault
		}
		return nil
	})
	s := state("staging", deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeSucceeded))
	for range 3 {
		b.clock.Step(time.Minute)
		if err := backend.Publish(t.Context(), s); err == nil {
			break
		} else if strings.Contains(err.Error(), "token-of") {
			t.Errorf("the error contains the token: %v", err)
		}
	}
	b.Break(nil)
	b.clock.Step(time.Minute)
	publish(t, backend, s)
	for _, d := range s.Deployments {
		if n := b.Count(d.Key); n != 1 {
			t.Errorf("fault at %d: there are %d deployments of %s", at, n, d.Key)
		}
	}
	b.clock.Step(time.Hour)
	got, _ := read(t, backend).Find("staging")
	if len(got.Deployments) != 2 || got.Deployments[0].State != v1alpha1.BakeInProgress ||
		got.Deployments[1].State != v1alpha1.BakeSucceeded {
		t.Errorf("fault at %d: got %+v", at, got)
	}
}

func TestStatusIsNotRepeatedAfterALostResponse(t *testing.T) {
	b := newBench(t)
	backend := b.backend(t, b.options("kuberik"))
	publish(t, backend, state("staging", deployment(1, v1alpha1.BakeDeploying)))
	b.Break(on("POST", "/statuses", githubtest.Fault{Status: 502, Effect: true}))
	if err := backend.Publish(t.Context(), succeeded(1)); err == nil {
		t.Error("no error although the response was lost")
	}
	s, _ := read(t, b.backend(t, b.options("kuberik"))).Find("staging")
	if s.Deployments[0].State != v1alpha1.BakeSucceeded {
		t.Errorf("got %+v", s)
	}
	b.Break(nil)
	b.clock.Step(time.Minute)
	before := b.Writes()
	publish(t, backend, succeeded(1))
	if n := b.Writes() - before; n != 0 {
		t.Errorf("%d unnecessary writes", n)
	}
}

// TestDown: while GitHub does not respond, many callers do not each wait for the timeout.
func TestDown(t *testing.T) {
	b := newBench(t)
	b.pool.Timeout = 50 * time.Millisecond
	backend := b.backend(t, b.options("kuberik"))
	publish(t, backend, succeeded(1))
	b.clock.Step(time.Minute)
	before := read(t, backend)
	b.Break(func(*http.Request) *githubtest.Fault { return &githubtest.Fault{Hang: true} })
	b.clock.Step(time.Minute)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if snapshot, err := backend.Read(t.Context(), "shop"); err == nil || !snapshot.At.Equal(before.At) {
				t.Errorf("got a snapshot of %s and %v", snapshot.At, err)
			}
			if err := backend.Publish(t.Context(), succeeded(2)); err == nil {
				t.Error("no error although GitHub is down")
			}
		})
	}
	start := time.Now()
	group.Wait()
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	b.Break(nil)
	b.clock.Step(time.Minute)
	publish(t, backend, succeeded(2))
}

// TestShortBudget: with a budget that is too small, snapshots get older, but changes are still read.
func TestShortBudget(t *testing.T) {
	b := newBench(t)
	writer := b.backend(t, b.options("kuberik"))
	s := state(
		"staging", deployment(3, v1alpha1.BakeSucceeded), deployment(2, v1alpha1.BakeSucceeded),
		deployment(1, v1alpha1.BakeSucceeded),
	)
	publish(t, writer, s)
	b.pool.Budget = 80
	reader := b.backend(t, b.options("kuberik"))
	for range 59 {
		b.clock.Step(time.Minute)
		snapshot, err := reader.Read(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := snapshot.Find("staging"); got.Deployments[0].UntrustedReason != "" {
			t.Fatalf("the newest is not known: %+v", got.Deployments[0])
		}
	}
	s.Deployments[1].Quarantine = "loses orders"
	publish(t, writer, s)
	b.clock.Step(time.Minute)
	snapshot, err := reader.Read(t.Context(), "shop")
	got, _ := snapshot.Find("staging")
	if d := got.Deployments[1]; d.Quarantine == "" && d.UntrustedReason == "" {
		t.Errorf("got %+v of %s, %v", d, snapshot.At, err)
	}
}

// TestDuplicates: of two deployments that were created at the same time, the older one counts.
func TestDuplicates(t *testing.T) {
	b := newBench(t)
	publish(t, b.backend(t, b.options("kuberik")), state("staging", deployment(1, v1alpha1.BakeDeploying)))
	b.Duplicate()
	backend := b.backend(t, b.options("kuberik"))
	publish(t, backend, succeeded(1))
	s, _ := read(t, b.backend(t, b.options("kuberik"))).Find("staging")
	if len(s.Deployments) != 1 || s.Deployments[0].State != v1alpha1.BakeSucceeded {
		t.Errorf("got %+v", s)
	}
	if n := b.Count("uid-1/1"); n != 2 {
		t.Errorf("there are %d deployments", n)
	}
}

// TestDeleted: a deployment that somebody deleted is created again.
func TestDeleted(t *testing.T) {
	b := newBench(t)
	backend := b.backend(t, b.options("kuberik"))
	publish(t, backend, state("staging", deployment(1, v1alpha1.BakeDeploying)))
	b.Delete()
	for range 2 {
		b.clock.Step(time.Minute)
		if backend.Publish(t.Context(), succeeded(1)) == nil {
			break
		}
	}
	publish(t, backend, succeeded(1))
	if n := b.Count("uid-1/1"); n != 1 {
		t.Errorf("there are %d deployments", n)
	}
}

func publish(t *testing.T, b environment.Backend, s environment.State) {
	t.Helper()
	if err := b.Publish(t.Context(), s); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func read(t *testing.T, b environment.Backend) environment.Snapshot {
	t.Helper()
	snapshot, err := b.Read(t.Context(), "shop")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return snapshot
}
