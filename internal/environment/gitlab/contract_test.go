package gitlab_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/gitlab/gitlabtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

const project = "octo/team/shop"

var key = []byte("0123456789abcdef0123456789abcdef")

// bench is a fake GitLab and the options to use it.
type bench struct {
	*gitlabtest.Server
	clock environmenttest.Clock
	url   string
	pool  remote.PoolOptions
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	return benchOf(tb, project)
}

func benchOf(tb testing.TB, project string) *bench {
	tb.Helper()
	clock := environmenttest.NewClock()
	b := &bench{Server: gitlabtest.New(clock, project), clock: clock, pool: remote.PoolOptions{Clock: clock}}
	server := httptest.NewServer(b.Server)
	tb.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// backend returns a Backend without any state.
func (b *bench) backend(tb testing.TB, o remote.Options) *gitlab.Backend {
	tb.Helper()
	backend, err := gitlab.NewPool(b.pool).Backend(o)
	if err != nil {
		tb.Fatal(err)
	}
	return backend
}

// options of a backend that writes as a user.
func (b *bench) options(username string, trusted ...string) remote.Options {
	token := "token-of-" + username
	b.AddToken(token, username)
	return remote.Options{Project: project, URL: b.url, Token: token, Trust: remote.Trust{TrustedActors: trusted}}
}

func badGateway(effect bool) *gitlabtest.Fault {
	return &gitlabtest.Fault{Status: http.StatusBadGateway, Effect: effect}
}

// service returns the service of the contract test.
func (b *bench) service(with func(*remote.Options)) environmenttest.Service {
	open := func(t *testing.T, actor string, trusted []string) environment.Backend {
		t.Helper()
		o := b.options(actor, trusted...)
		with(&o)
		return b.backend(t, o)
	}
	return environmenttest.NewHTTPService(b.clock, b.Server, badGateway, open)
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]func(*remote.Options){
		"plain":  func(*remote.Options) {},
		"signed": func(o *remote.Options) { o.SignatureKey = key },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environmenttest.Run(t, environmenttest.Harness{Text: 200, Open: func(t *testing.T) environmenttest.Service {
				t.Helper()
				return newBench(t).service(with)
			}})
		})
	}
}
