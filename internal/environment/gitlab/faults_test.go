package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/gitlab/gitlabtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

const (
	app     = "shop"
	staging = "staging"
	self    = "kuberik"
)

func commit(id int64) string { return fmt.Sprintf("%040x", id) }

func deployment(id int64, state v1alpha1.BakeStatus) environment.Deployment {
	revision := "main@sha1:" + commit(id)
	return environment.Deployment{
		Key: fmt.Sprintf("uid-1/%d", id), ID: id, State: state, At: time.Date(2026, 3, 1, 10, int(id), 0, 0, time.UTC),
		Version: v1alpha1.VersionInfo{Tag: fmt.Sprintf("v1.%d.0", id), Revision: &revision},
	}
}

func state(deployments ...environment.Deployment) environment.State {
	return environment.State{Application: app, Environment: staging, Deployments: deployments}
}

func publish(t *testing.T, b environment.Backend, s environment.State) {
	t.Helper()
	if err := b.Publish(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// read returns the deployments of staging, an interval later.
func (b *bench) read(t *testing.T, from environment.Backend) []environment.Deployment {
	t.Helper()
	b.clock.Step(time.Minute)
	snapshot, err := from.Read(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := snapshot.Find(staging)
	return s.Deployments
}

// expectDeployed checks the deployments that users see at GitLab.
func (b *bench) expectDeployed(t *testing.T, want ...string) {
	t.Helper()
	got, _ := b.Deployed(app + "/" + staging)
	for i := range want {
		id, status, _ := strings.Cut(want[i], " ")
		want[i] = fmt.Sprintf("%040s %s", id, status)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected deployments at GitLab (-want +got):\n%s", diff)
	}
}

// kind returns how the controller handles an error.
func kind(err error) string {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	var rejected *environment.DeploymentError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &wait):
		return "wait " + wait.Until.UTC().Format(time.TimeOnly)
	case errors.As(err, &refused):
		return "refused"
	case errors.As(err, &rejected):
		return "deployment"
	}
	return "temporary"
}

// TestFaults: whatever GitLab returns, Read returns the last snapshot, the error says what to do, and the state is
// published once as soon as GitLab works again.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   gitlabtest.Fault
		kind    string
		message string
	}{
		"unauthorized": {gitlabtest.Fault{Status: 401, Body: `{"message":"401 Unauthorized"}`}, "refused", "renew it"},
		"forbidden":    {gitlabtest.Fault{Status: 403, Body: `{"message":"403 Forbidden"}`}, "refused", "role Developer"},
		"unknown":      {gitlabtest.Fault{Status: 404, Body: `{"message":"404 Project Not Found"}`}, "refused", "check the project"},
		"moved":        {gitlabtest.Fault{Status: 301}, "refused", "may have moved"},
		"conflict":     {gitlabtest.Fault{Status: 409, Body: `{"message":"409 Conflict: Resource lock"}`}, "temporary", "Resource lock"},
		"retry later": {
			gitlabtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "90"}}, "wait 12:02:30", "pause",
		},
		"rate limit": {
			gitlabtest.Fault{
				Status: 429, Header: map[string]string{"RateLimit-Reset": "1000000120", "Date": "Sun, 09 Sep 2001 01:46:40 GMT"},
			},
			"wait 12:03:00", "pause",
		},
		"no time": {gitlabtest.Fault{Status: 429}, "wait 12:02:00", "pause"},
		"too long": {
			gitlabtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "99999999"}}, "wait 13:01:00", "pause",
		},
		"maintenance": {
			gitlabtest.Fault{Status: 503, Header: map[string]string{"Retry-After": "300"}}, "wait 12:06:00", "pause",
		},
		"server error":                  {gitlabtest.Fault{Status: 500, Body: "<html>\u202e"}, "temporary", "500"},
		"server error after the effect": {gitlabtest.Fault{Status: 500, Effect: true}, "temporary", "500"},
		"truncated":                     {gitlabtest.Fault{Truncate: true}, "temporary", "EOF"},
		"connection closed":             {gitlabtest.Fault{}, "temporary", "EOF"},
		"connection closed after the effect": {
			gitlabtest.Fault{Effect: true}, "temporary", "EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			backend := b.backend(t, b.options(self))
			publish(t, backend, state(deployment(1, v1alpha1.BakeSucceeded)))
			before, err := backend.Read(t.Context(), app)
			if err != nil {
				t.Fatal(err)
			}
			b.clock.Step(time.Minute)
			b.Break(func(*http.Request) *gitlabtest.Fault { return &tc.fault })
			after, err := backend.Read(t.Context(), app)
			if kind(err) != tc.kind || !strings.Contains(err.Error(), tc.message) || strings.Contains(err.Error(), "\u202e") {
				t.Errorf("the error is %s: %v, want %s", kind(err), err, tc.kind)
			}
			if diff := gocmp.Diff(before, after); diff != "" {
				t.Errorf("unexpected snapshot (-want +got):\n%s", diff)
			}
			// Now only writes fail.
			b.clock.Step(time.Hour)
			b.Break(func(r *http.Request) *gitlabtest.Fault {
				if r.Method == http.MethodGet {
					return nil
				}
				return &tc.fault
			})
			next := state(deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeFailed))
			if err := backend.Publish(t.Context(), next); err == nil {
				t.Error("no error although a write failed")
			}
			b.Break(nil)
			b.clock.Step(2 * time.Hour)
			publish(t, backend, next)
			writes := b.Writes()
			publish(t, b.backend(t, b.options(self)), next)
			if b.Writes() != writes {
				t.Error("the state was published again")
			}
			b.expectDeployed(t, "1 failed", "2 running")
		})
	}
}

// TestTimeout: a write takes effect, but its response is too late.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for write := range 3 {
		t.Run(fmt.Sprint(write), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			n := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					b.ServeHTTP(w, r)
					return
				}
				if n++; n != write+1 {
					b.ServeHTTP(w, r)
					return
				}
				b.ServeHTTP(httptest.NewRecorder(), r)
				<-r.Context().Done()
			}))
			t.Cleanup(server.Close)
			b.url, b.pool.Timeout = server.URL, 200*time.Millisecond
			backend := b.backend(t, b.options(self))
			s := state(deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeSucceeded))
			if err := backend.Publish(t.Context(), s); kind(err) != "temporary" {
				t.Errorf("the error is %v", err)
			}
			b.clock.Step(time.Minute)
			publish(t, backend, s)
			b.expectDeployed(t, "1 success", "2 running")
			if got := len(b.read(t, backend)); got != 2 {
				t.Errorf("%d deployments are returned", got)
			}
		})
	}
}

func TestRejectedWriteIsRepeatedAfterTenMinutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	backend := b.backend(t, b.options(self))
	b.Reject(commit(2))
	s := state(
		deployment(3, v1alpha1.BakeSucceeded), deployment(2, v1alpha1.BakeFailed), deployment(1, v1alpha1.BakeSucceeded),
	)
	for range 3 {
		if err := backend.Publish(t.Context(), s); kind(err) != "deployment" || !strings.Contains(err.Error(), "v1.2.0") ||
			!strings.Contains(err.Error(), "commit does not exist") {
			t.Fatalf("the error is %v", err)
		}
	}
	b.expectDeployed(t, "1 success", "3 success")
	b.Calls()
	_ = backend.Publish(t.Context(), s)
	if calls := b.Calls(); len(calls) != 0 {
		t.Errorf("the write was repeated at once: %q", calls)
	}
	b.clock.Step(10 * time.Minute)
	_ = backend.Publish(t.Context(), s)
	posts := 0
	for _, call := range b.Calls() {
		if strings.HasPrefix(call, http.MethodPost) {
			posts++
		}
	}
	if posts != 1 {
		t.Errorf("after ten minutes, there were %d writes", posts)
	}
}

func TestTokenIsNotSentToAnotherHost(t *testing.T) {
	t.Parallel()
	called := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(other.Close)
	b := newBench(t)
	b.Break(func(*http.Request) *gitlabtest.Fault {
		return &gitlabtest.Fault{Status: http.StatusFound, Header: map[string]string{"Location": other.URL + "/api/v4/user"}}
	})
	if _, err := b.backend(t, b.options(self)).Read(t.Context(), app); kind(err) != "refused" || called {
		t.Errorf("another host was called: %t, %v", called, err)
	}
}

// TestOptions: invalid options are an error before the first request.
func TestOptions(t *testing.T) {
	t.Parallel()
	good := remote.Options{Project: "group/project", Token: "glpat-secret"}
	for name, tc := range map[string]struct {
		change func(*remote.Options)
		want   string
	}{
		"good":      {func(*remote.Options) {}, ""},
		"subgroup":  {func(o *remote.Options) { o.Project = "a/b.c/d_e" }, ""},
		"no group":  {func(o *remote.Options) { o.Project = "project" }, "is not group/project"},
		"escape":    {func(o *remote.Options) { o.Project = "a/../b" }, "is not group/project"},
		"no token":  {func(o *remote.Options) { o.Token = "" }, "no token"},
		"no URL":    {func(o *remote.Options) { o.URL = "gitlab.example.com" }, "write one such as"},
		"short key": {func(o *remote.Options) { o.SignatureKey = []byte("short") }, "has 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good
			tc.change(&o)
			_, err := gitlab.NewPool(remote.PoolOptions{}).Backend(o)
			if (err == nil) != (tc.want == "") ||
				err != nil && (!strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}
