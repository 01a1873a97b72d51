package gitlab

import (
	"context"
	"net/http"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// Pool opens Backends that share what they read, and their budget. It is safe for concurrent use.
type Pool struct {
	pool *remote.Pool[*account, *project]
}

// NewPool returns a Pool.
func NewPool(o remote.PoolOptions) *Pool {
	return &Pool{pool: remote.NewPool[*account, *project](o)}
}

// Backend returns a Backend with these options. It makes no requests, so call it whenever you need the Backend.
func (p *Pool) Backend(o remote.Options) (*Backend, error) {
	o, err := complete(o)
	if err != nil {
		return nil, err
	}
	in, err := p.pool.Project(o, o.Token,
		func(key string) (*account, error) { return newAccount(key, o, p.pool.Options) },
		func(a *account, charge func(int)) (*project, error) {
			return newProject(a, remote.NewProject(o.Project, p.pool.Options.Clock, charge)), nil
		})
	return &Backend{project: in, o: o}, err
}

// account is a token, with the client that uses it.
type account struct {
	remote.Account
	client *gl.Client
}

func newAccount(key string, o remote.Options, p remote.PoolOptions) (*account, error) {
	transport, err := remote.NewTransport(service, o, "token-"+key[:8], p)
	if err != nil {
		return nil, err
	}
	out := &http.Client{Transport: transport, CheckRedirect: o.HTTPClient.CheckRedirect}
	// The Transport authenticates and limits the requests. The limiter of the library would make a request of its own.
	client, err := gl.NewAuthSourceClient(gl.Unauthenticated{}, gl.WithBaseURL(o.URL), gl.WithHTTPClient(out),
		gl.WithUserAgent("kuberik/"+buildinfo.Version), gl.WithoutRetries(), gl.WithCustomLimiter(unlimited{}))
	return &account{Account: remote.Account{Transport: transport}, client: client}, err
}

// unlimited is a limiter without a limit.
type unlimited struct{}

// Wait implements gl.RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// self returns the username that the token writes as.
func (a *account) self(ctx context.Context) (string, error) {
	return a.Login(ctx, func(ctx context.Context) (string, error) {
		user, _, err := call("the user of the token", func() (*gl.User, *gl.Response, error) {
			return a.client.Users.CurrentUser(gl.WithContext(ctx))
		})
		if err != nil {
			return "", err
		}
		return user.Username, nil
	})
}
