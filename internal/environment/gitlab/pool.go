package gitlab

import (
	"context"
	"net/http"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// Pool creates Backends that share what they read, and their budget. It is safe for concurrent use.
type Pool struct {
	o        remote.PoolOptions
	accounts remote.Pool[*account]
	projects remote.Pool[*project]
}

// NewPool returns a Pool.
func NewPool(o remote.PoolOptions) *Pool { return &Pool{o: o.Complete()} }

// New returns a Backend with a Pool of its own. A controller uses one Pool for all.
func New(o remote.Options, p remote.PoolOptions) (*Backend, error) { return NewPool(p).Backend(o) }

// Backend returns a Backend with these options. It makes no requests, so call it whenever you need the Backend.
func (p *Pool) Backend(o remote.Options) (*Backend, error) {
	o, err := complete(o)
	if err != nil {
		return nil, err
	}
	now, key := p.o.Clock.Now(), o.AccountKey(o.Token)
	a, err := p.accounts.Get(now, key, func() (*account, error) { return newAccount(key, o, p.o) })
	if err != nil {
		return nil, err
	}
	in, err := p.projects.Get(now, o.ProjectKey(key), func() (*project, error) { return newProject(a, o.Project, p.o), nil })
	return &Backend{project: in, o: o}, err
}

// account is a token.
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
	// The Transport authenticates, and limits the requests. The limiter of the library would begin with a request of its own.
	client, err := gl.NewAuthSourceClient(gl.Unauthenticated{}, gl.WithBaseURL(o.URL), gl.WithHTTPClient(out),
		gl.WithUserAgent("kuberik/"+buildinfo.Version), gl.WithoutRetries(), gl.WithCustomLimiter(unlimited{}))
	return &account{Account: remote.Account{Transport: transport}, client: client}, err
}

// unlimited is a limiter that allows everything.
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
