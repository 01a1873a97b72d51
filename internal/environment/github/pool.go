package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// Pool creates Backends that share what they read, and their budget. It is safe for concurrent use.
type Pool struct {
	o            remote.PoolOptions
	accounts     remote.Pool[*account]
	repositories remote.Pool[*repository]
	backends     remote.Pool[*Backend]
}

// NewPool returns a Pool.
func NewPool(o remote.PoolOptions) *Pool { return &Pool{o: o.Complete()} }

// New returns a Backend with a Pool of its own. A controller uses one Pool for all.
func New(o Options, p remote.PoolOptions) (*Backend, error) { return NewPool(p).Backend(o) }

// Backend returns the Backend with these options. It makes no requests, so call it whenever you need the Backend.
func (p *Pool) Backend(o Options) (*Backend, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	now, key := p.o.Clock.Now(), o.accountKey()
	a, err := p.accounts.Get(now, key, func() (*account, error) { return newAccount(key, o, p.o) })
	if err != nil {
		return nil, err
	}
	key = o.ProjectKey(key)
	r, err := p.repositories.Get(now, key, func() (*repository, error) { return newRepository(a, o.Project, p.o), nil })
	if err != nil {
		return nil, err
	}
	return p.backends.Get(now, o.ViewKey(key), func() (*Backend, error) { return newBackend(r, o), nil })
}

// account is a set of credentials.
type account struct {
	remote.Account
	client *gh.Client
	// app authenticates as the App itself in place of its installation; nil for a token.
	app    *gh.Client
	budget int
}

func newAccount(key string, o Options, p remote.PoolOptions) (*account, error) {
	// The name appears in metrics: the IDs of an App, or else a part of the hash.
	name := "token-" + key[:8]
	if o.App != nil {
		name = fmt.Sprintf("app-%d-%d", o.App.ID, o.App.Installation)
	}
	transport, err := remote.NewTransport(service, o.Options, name, p)
	if err != nil {
		return nil, err
	}
	a := &account{Account: remote.Account{Transport: transport}, budget: p.Budget}
	if o.App == nil {
		a.client, err = newClient(o, newCache(transport))
		return a, err
	}
	asApp, err := ghinstallation.NewAppsTransport(transport, o.App.ID, o.App.PrivateKey)
	if err != nil {
		// The error of the library could quote the key.
		return nil, fmt.Errorf("the private key of GitHub App %d cannot be read: it has to be an RSA key in PEM", o.App.ID)
	}
	asApp.BaseURL = strings.TrimSuffix(o.URL, "/")
	if a.app, err = newClient(o, asApp); err != nil {
		return nil, err
	}
	installed := ghinstallation.NewFromAppsTransport(asApp, o.App.Installation)
	// The tokens get no more rights than needed, whatever the App has. The options are of another version of the library than ours.
	if err := json.Unmarshal([]byte(rights), &installed.InstallationTokenOptions); err != nil {
		return nil, err
	}
	a.client, err = newClient(o, newCache(installed))
	return a, err
}

const rights = `{"permissions": {"deployments": "write", "metadata": "read"}}`

func newClient(o Options, transport http.RoundTripper) (*gh.Client, error) {
	client := &http.Client{Transport: transport, CheckRedirect: o.HTTPClient.CheckRedirect}
	return gh.NewClient(
		gh.WithHTTPClient(client), gh.WithURLs(&o.URL, nil), gh.WithUserAgent("kuberik/"+buildinfo.Version),
		// The Transport does this, by our clock and for all that share the credentials.
		gh.WithDisableRateLimitCheck(),
	)
}

// self returns the login that the credentials write as.
func (a *account) self(ctx context.Context) (string, error) {
	return a.Login(ctx, func(ctx context.Context) (string, error) {
		if a.app == nil {
			user, _, err := a.client.Users.Get(ctx, "")
			if err != nil {
				return "", explain(err, "the user of the token")
			}
			return user.GetLogin(), nil
		}
		app, _, err := a.app.Apps.Get(ctx, "")
		switch {
		case err != nil:
			return "", explain(err, "the GitHub App")
		case app.GetSlug() == "":
			return "", nil
		}
		return app.GetSlug() + "[bot]", nil
	})
}
