package github_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/github/githubtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

const project = "octo-org/shop"

// bench is a fake GitHub and the options to use it.
type bench struct {
	*githubtest.Server
	clock environmenttest.Clock
	url   string
	pool  remote.PoolOptions
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	return serve(tb, func(s http.Handler) http.Handler { return validate(tb, s) })
}

func serve(tb testing.TB, wrap func(http.Handler) http.Handler) *bench {
	tb.Helper()
	clock := environmenttest.NewClock()
	b := &bench{Server: githubtest.New(clock, project), clock: clock, pool: remote.PoolOptions{Clock: clock}}
	server := httptest.NewServer(wrap(b.Server))
	tb.Cleanup(server.Close)
	b.url = server.URL + "/api/v3"
	return b
}

// options of a backend that writes as a login.
func (b *bench) options(login string, trusted ...string) github.Options {
	token := "token-of-" + login
	b.AddToken(token, login)
	return github.Options{Options: remote.Options{
		Project: project, URL: b.url, Token: token, Trust: remote.Trust{TrustedActors: trusted},
	}}
}

// backend returns a Backend without any state.
func (b *bench) backend(tb testing.TB, o github.Options) *github.Backend {
	tb.Helper()
	backend, err := github.NewPool(b.pool).Backend(o)
	if err != nil {
		tb.Fatal(err)
	}
	return backend
}

func badGateway(effect bool) *githubtest.Fault {
	return &githubtest.Fault{Status: http.StatusBadGateway, Effect: effect}
}

// service returns the service of the contract test.
func (b *bench) service(with func(*github.Options)) environmenttest.Service {
	open := func(t *testing.T, actor string, trusted []string) environment.Backend {
		t.Helper()
		o := b.options(actor, trusted...)
		with(&o)
		return b.backend(t, o)
	}
	return environmenttest.NewHTTPService(b.clock, b.Server, badGateway, open)
}

var key = []byte("0123456789abcdef0123456789abcdef")

func TestContract(t *testing.T) {
	for name, tc := range map[string]struct {
		server func(*githubtest.Server)
		with   func(*github.Options)
	}{
		"plain":     {func(*githubtest.Server) {}, func(*github.Options) {}},
		"signed":    {func(*githubtest.Server) {}, func(o *github.Options) { o.SignatureKey = key }},
		"untouched": {func(s *githubtest.Server) { s.Untouched = true }, func(*github.Options) {}},
		"shuffled": {
			func(s *githubtest.Server) { s.Shuffle, s.Skew = true, -time.Hour },
			func(o *github.Options) { o.SignatureKey = key },
		},
	} {
		t.Run(name, func(t *testing.T) {
			environmenttest.Run(t, environmenttest.Harness{Open: func(t *testing.T) environmenttest.Service {
				t.Helper()
				b := newBench(t)
				tc.server(b.Server)
				return b.service(tc.with)
			}})
		})
	}
}
