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
	us      = "kuberik"
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

func (b *bench) deployed(t *testing.T, want ...string) {
	t.Helper()
	got, _ := b.Deployed(app + "/" + staging)
	for i := range want {
		id, status, _ := strings.Cut(want[i], " ")
		want[i] = fmt.Sprintf("%040s %s", id, status)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("people see something else (-want +got):\n%s", diff)
	}
}

// kind names what the controller does about an error.
func kind(err error) string {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	var one *environment.DeploymentError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &wait):
		return "wait " + wait.Until.UTC().Format(time.TimeOnly)
	case errors.As(err, &refused):
		return "refused"
	case errors.As(err, &one):
		return "deployment"
	}
	return "passing"
}

// TestFaults: whatever GitLab answers, the last snapshot is returned, the error says what to do, and the state is
// published once as soon as GitLab works again.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault gitlabtest.Fault
		kind  string
		says  string
	}{
		"unauthorized": {gitlabtest.Fault{Status: 401, Body: `{"message":"401 Unauthorized"}`}, "refused", "renew it"},
		"forbidden":    {gitlabtest.Fault{Status: 403, Body: `{"message":"403 Forbidden"}`}, "refused", "role Developer"},
		"unknown":      {gitlabtest.Fault{Status: 404, Body: `{"message":"404 Project Not Found"}`}, "refused", "check the project"},
		"moved":        {gitlabtest.Fault{Status: 301}, "refused", "may have moved"},
		"conflict":     {gitlabtest.Fault{Status: 409, Body: `{"message":"409 Conflict: Resource lock"}`}, "passing", "Resource lock"},
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
		"for ever": {
			gitlabtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "99999999"}}, "wait 13:01:00", "pause",
		},
		"maintenance": {
			gitlabtest.Fault{Status: 503, Header: map[string]string{"Retry-After": "300"}}, "wait 12:06:00", "pause",
		},
		"broken":         {gitlabtest.Fault{Status: 500, Body: "<html>\u202e"}, "passing", "500"},
		"broken, happen": {gitlabtest.Fault{Status: 500, Effect: true}, "passing", "500"},
		"truncated":      {gitlabtest.Fault{Truncate: true}, "passing", "EOF"},
		"cut off":        {gitlabtest.Fault{}, "passing", "EOF"},
		"cut off, happen": {
			gitlabtest.Fault{Effect: true}, "passing", "EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			backend := b.backend(t, b.options(us))
			publish(t, backend, state(deployment(1, v1alpha1.BakeSucceeded)))
			before, err := backend.Read(t.Context(), app)
			if err != nil {
				t.Fatal(err)
			}
			b.clock.Step(time.Minute)
			b.Break(func(*http.Request) *gitlabtest.Fault { return &tc.fault })
			after, err := backend.Read(t.Context(), app)
			if kind(err) != tc.kind || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\u202e") {
				t.Errorf("the error is %s: %v, want %s", kind(err), err, tc.kind)
			}
			if diff := gocmp.Diff(before, after); diff != "" {
				t.Errorf("it is not the last snapshot (-want +got):\n%s", diff)
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
				t.Error("the failure is no error")
			}
			b.Break(nil)
			b.clock.Step(2 * time.Hour)
			publish(t, backend, next)
			writes := b.Writes()
			publish(t, b.backend(t, b.options(us)), next)
			if b.Writes() != writes {
				t.Error("it was published once more")
			}
			b.deployed(t, "1 failed", "2 running")
		})
	}
}

// TestTimeout: the write took effect, and its response came too late.
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
			backend := b.backend(t, b.options(us))
			s := state(deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeSucceeded))
			if err := backend.Publish(t.Context(), s); kind(err) != "passing" {
				t.Errorf("the error is %v", err)
			}
			b.clock.Step(time.Minute)
			publish(t, backend, s)
			b.deployed(t, "1 success", "2 running")
			if got := len(b.read(t, backend)); got != 2 {
				t.Errorf("%d deployments are returned", got)
			}
		})
	}
}

// TestPoison: what GitLab rejects is sent again after ten minutes, and not before.
func TestPoison(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	backend := b.backend(t, b.options(us))
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
	b.deployed(t, "1 success", "3 success")
	b.Calls()
	_ = backend.Publish(t.Context(), s)
	if calls := b.Calls(); len(calls) != 0 {
		t.Errorf("it was tried again at once: %q", calls)
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
		t.Errorf("after ten minutes, it was tried %d times", posts)
	}
}

// TestAnotherHost: the token is not sent to another host.
func TestAnotherHost(t *testing.T) {
	t.Parallel()
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(other.Close)
	b := newBench(t)
	b.Break(func(*http.Request) *gitlabtest.Fault {
		return &gitlabtest.Fault{Status: http.StatusFound, Header: map[string]string{"Location": other.URL + "/api/v4/user"}}
	})
	if _, err := b.backend(t, b.options(us)).Read(t.Context(), app); kind(err) != "refused" || asked {
		t.Errorf("another host got a request: %t, %v", asked, err)
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
