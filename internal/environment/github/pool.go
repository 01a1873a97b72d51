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

// Pool opens Backends that share what they read, and their budget. It is safe for concurrent use.
type Pool struct {
	pool *remote.Pool[*account, *repository]
}

// NewPool returns a Pool.
func NewPool(o remote.PoolOptions) *Pool {
	return &Pool{pool: remote.NewPool[*account, *repository](o)}
}

// Backend returns the Backend with these options. It makes no requests, so call it whenever you need the Backend.
func (p *Pool) Backend(o Options) (*Backend, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	pool := p.pool.Options
	r, err := p.pool.Project(o.Options, o.credentials(),
		func(key string) (*account, error) { return newAccount(key, o, pool) },
		func(a *account, charge func(int)) (*repository, error) {
			return newRepository(a, o, remote.NewProject(o.Project, pool.Clock, charge))
		})
	if err != nil {
		return nil, err
	}
	return r.backend(o), nil
}

// account is a set of credentials, with the clients that use them.
type account struct {
	remote.Account
	// authenticated makes requests with the token, or as the installation of the App.
	authenticated http.RoundTripper
	// app authenticates as the App itself, not as its installation; nil for a token.
	app    *gh.Client
	budget int
}

func newAccount(key string, o Options, p remote.PoolOptions) (*account, error) {
	// The name appears in metrics: the IDs of an App, or a part of the hash of a token.
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
		a.authenticated = transport
		return a, nil
	}
	asApp, err := ghinstallation.NewAppsTransport(transport, o.App.ID, o.App.PrivateKey)
	if err != nil {
		// The error of the library may quote the key.
		return nil, fmt.Errorf("the private key of GitHub App %d cannot be read: it has to be an RSA key in PEM", o.App.ID)
	}
	asApp.BaseURL = strings.TrimSuffix(o.URL, "/")
	if a.app, err = newClient(o, asApp); err != nil {
		return nil, err
	}
	installed := ghinstallation.NewFromAppsTransport(asApp, o.App.Installation)
	// The tokens get only the needed permissions. The options are a type of another version of the library, hence the
	// JSON.
	if err := json.Unmarshal([]byte(permissions), &installed.InstallationTokenOptions); err != nil {
		return nil, err
	}
	a.authenticated = installed
	return a, nil
}

const permissions = `{"permissions": {"deployments": "write", "metadata": "read"}}`

func newClient(o Options, transport http.RoundTripper) (*gh.Client, error) {
	client := &http.Client{Transport: transport, CheckRedirect: o.HTTPClient.CheckRedirect}
	return gh.NewClient(
		gh.WithHTTPClient(client), gh.WithURLs(&o.URL, nil), gh.WithUserAgent("kuberik/"+buildinfo.Version),
		// The Transport does this, with our clock and for all clients of the account.
		gh.WithDisableRateLimitCheck(),
	)
}

// self returns the login that the credentials write as.
func (a api) self(ctx context.Context) (string, error) {
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
