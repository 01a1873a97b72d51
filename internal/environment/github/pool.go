package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/environment"
)

// Pool shares what Backends read, and their budget. It is safe for use by several at once.
type Pool struct {
	o PoolOptions

	mu           sync.Mutex
	accounts     map[string]*account
	repositories map[string]*repository
	backends     map[string]*Backend
}

// unused is after what time what nobody asks for any more is forgotten: a rotated token, a deleted Environment.
const unused = 24 * time.Hour

// NewPool makes a Pool.
func NewPool(o PoolOptions) *Pool {
	return &Pool{o: o.complete(), accounts: map[string]*account{}, repositories: map[string]*repository{}, backends: map[string]*Backend{}}
}

// New makes a Backend on its own. A controller makes its Backends from one Pool.
func New(o Options, p PoolOptions) (*Backend, error) { return NewPool(p).Backend(o) }

// Backend makes a Backend that shares requests with the others for the same API URL, repository and credentials, or returns the one that there
// is with the same options. It costs nothing, so that a controller asks for it whenever it needs one; what nobody asks for in a day is
// forgotten. An error says what is wrong with the options.
func (p *Pool) Backend(o Options) (*Backend, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	who := o.identity()
	a := p.accounts[who]
	if a == nil {
		if a, err = newAccount(who, o, p.o); err != nil {
			return nil, err
		}
		p.accounts[who] = a
	}
	where := who + " " + strings.ToLower(o.Project)
	r := p.repositories[where]
	if r == nil {
		r = newRepository(a, o.Project, p.o)
		p.repositories[where] = r
	}
	r.befriend(slices.Concat(o.TrustedActors, o.UnsignedActors)...)
	view := where + " " + o.trust()
	b := p.backends[view]
	if b == nil {
		b = newBackend(r, o)
		p.backends[view] = b
	}
	now := p.o.Clock.Now()
	a.used, r.used, b.used = now, now, now
	return b, nil
}

// forget drops what has not been asked for lately. Backends that still exist go on with what they have.
func (p *Pool) forget() {
	old := p.o.Clock.Now().Add(-unused)
	maps.DeleteFunc(p.backends, func(_ string, b *Backend) bool { return b.used.Before(old) })
	maps.DeleteFunc(p.repositories, func(_ string, r *repository) bool { return r.used.Before(old) })
	maps.DeleteFunc(p.accounts, func(_ string, a *account) bool { return a.used.Before(old) })
}

// identity tells credentials apart, without telling them.
func (o Options) identity() string {
	secret := o.Token
	if o.App != nil {
		secret = fmt.Sprintf("%d/%d/%s", o.App.ID, o.App.Installation, o.App.PrivateKey)
	}
	return digest(o.APIURL, secret)
}

// trust tells apart what is made of the same deployments.
func (o Options) trust() string {
	return digest(fmt.Sprintf("%q %q %q %s", o.TrustedActors, o.UnsignedActors, o.SignatureKey, o.Interval))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// account is a set of credentials at one GitHub.
type account struct {
	client *gh.Client
	// app proves to be the App itself instead of its installation; nil for a token.
	app     *gh.Client
	guard   *guard
	budget  int
	timeout time.Duration
	used    time.Time

	mu    sync.Mutex
	login string
}

func newAccount(who string, o Options, p PoolOptions) (*account, error) {
	base := o.HTTPClient.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	u, err := url.Parse(o.APIURL)
	if err != nil {
		return nil, err
	}
	// A name for metrics: what it belongs to for an App, and else a piece of the hash.
	name := "token-" + who[:8]
	if o.App != nil {
		name = fmt.Sprintf("app-%d-%d", o.App.ID, o.App.Installation)
	}
	a := &account{guard: newGuard(base, u.Host, name, p), budget: p.Budget, timeout: p.Timeout}
	out := &bounded{next: a.guard}
	if o.App == nil {
		a.client, err = newClient(o, newCache(&bearer{next: out, host: u.Host, token: o.Token}))
		return a, err
	}
	asApp, err := ghinstallation.NewAppsTransport(out, o.App.ID, o.App.PrivateKey)
	if err != nil {
		// What the library says could quote the key.
		return nil, fmt.Errorf("the private key of GitHub App %d cannot be read: it has to be an RSA key in PEM", o.App.ID)
	}
	asApp.BaseURL = strings.TrimSuffix(o.APIURL, "/")
	if a.app, err = newClient(o, asApp); err != nil {
		return nil, err
	}
	installed := ghinstallation.NewFromAppsTransport(asApp, o.App.Installation)
	// No more rights than are needed, whatever the App has. The type is of another version of the library than ours.
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
		gh.WithHTTPClient(client), gh.WithURLs(&o.APIURL, nil), gh.WithUserAgent("kuberik/"+buildinfo.Version),
		// The guard does this, by our clock and for all that share the credentials.
		gh.WithDisableRateLimitCheck(),
	)
}

// bearer sends a token, and that to GitHub alone.
type bearer struct {
	next        http.RoundTripper
	host, token string
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == b.host {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(req)
}

// self is the login that the credentials write as. It is asked for once.
func (a *account) self(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login != "" {
		return a.login, nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	var login string
	if a.app != nil {
		app, _, err := a.app.Apps.Get(ctx, "")
		if err != nil {
			return "", explain(err, "who the GitHub App is")
		}
		login = app.GetSlug() + "[bot]"
	} else {
		user, _, err := a.client.Users.Get(ctx, "")
		if err != nil {
			return "", explain(err, "whom the token belongs to")
		}
		login = user.GetLogin()
	}
	if login == "" || login == "[bot]" {
		return "", &environment.RefusedError{Err: fmt.Errorf("GitHub does not say whom the credentials belong to")}
	}
	a.login = login
	return login, nil
}
