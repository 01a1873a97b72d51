package gitlab_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/gitlab/gitlabtest"
)

const project = "octo/team/shop"

var key = []byte("0123456789abcdef0123456789abcdef")

// bench is a GitLab, and those who use it.
type bench struct {
	*gitlabtest.Server
	clock *clocktesting.FakePassiveClock
	url   string
	pool  gitlab.PoolOptions
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	return benchOf(tb, project)
}

func benchOf(tb testing.TB, project string) *bench {
	tb.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	b := &bench{Server: gitlabtest.New(clock, project), clock: clock, pool: gitlab.PoolOptions{Clock: clock}}
	server := httptest.NewServer(b.Server)
	tb.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// options of a backend that writes as a user.
func (b *bench) options(username string) gitlab.Options {
	token := "token-of-" + username
	b.AddToken(token, username)
	return gitlab.Options{Project: project, BaseURL: b.url, Token: token}
}

// backend makes one that remembers nothing.
func (b *bench) backend(tb testing.TB, o gitlab.Options) *gitlab.Backend {
	tb.Helper()
	backend, err := gitlab.New(o, b.pool)
	if err != nil {
		tb.Fatal(err)
	}
	return backend
}

func (b *bench) step(d time.Duration) { b.clock.SetTime(b.clock.Now().Add(d)) }

// place is the bench as the contract sees it.
func (b *bench) place(with func(*gitlab.Options)) environmenttest.Place {
	var a environmenttest.Accidents
	b.Break(func(r *http.Request) *gitlabtest.Fault {
		before, after := a.Next(r.Method != http.MethodGet)
		if before == nil && after == nil {
			return nil
		}
		return &gitlabtest.Fault{Status: http.StatusBadGateway, Effect: after != nil}
	})
	return environmenttest.Place{
		Backend: func(t *testing.T, actor string, trusted ...string) environment.Backend {
			t.Helper()
			o := b.options(actor)
			o.TrustedActors = trusted
			with(&o)
			return b.backend(t, o)
		},
		Now: b.clock.Now, Step: b.step, Reject: b.Reject, Writes: b.Writes, Deployments: b.Count, Break: a.Break, Down: a.Down,
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*gitlab.Options){
		"plain":  func(*gitlab.Options) {},
		"signed": func(o *gitlab.Options) { o.SignatureKey = key },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environmenttest.Run(t, environmenttest.Harness{Text: 200, Open: func(t *testing.T) environmenttest.Place {
				t.Helper()
				return newBench(t).place(with)
			}})
		})
	}
}
