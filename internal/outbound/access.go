package outbound

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	maxRedirects = 3
	// maxAPIBody is the default of Access.MaxBody.
	maxAPIBody = 4 << 20
)

// Access describes what the client of an API may do.
type Access struct {
	// Host is the only host that may be called, with its port if it is not the default.
	Host string
	// HeadersFrom are headers from Secrets.
	HeadersFrom []v1alpha1.HeaderFrom
	// TLS configures the verification of the server.
	TLS *v1alpha1.TLS
	// FollowRedirects follows up to three redirects to the same host.
	FollowRedirects bool
	// MaxBody is how many bytes of a response are read. Defaults to 4 MiB.
	MaxBody int64
	// MaxValues is how many objects and lists the JSON of a response may have: an empty object has two bytes, and takes
	// hundreds in memory. Defaults to no limit.
	MaxValues int
}

// HTTPClient returns a client for the library of an API. It calls one host only, sends the secret headers with each
// request, and reads at most MaxBody bytes of a response. The caller limits the time with WithTimeout and gets the
// error from Cause. Texts of the library about a response have to be redacted with the Redactor.
func (c *Client) HTTPClient(ctx context.Context, namespace string, a Access) (*http.Client, *Redactor, error) {
	return c.client(ctx, namespace, a, true)
}

func (c *Client) client(
	ctx context.Context, namespace string, a Access, keepAlive bool,
) (*http.Client, *Redactor, error) {
	from := secretReader{keys: c.keys, namespace: namespace}
	secrets, err := from.headers(ctx, a.HeadersFrom)
	if err != nil {
		return nil, nil, err
	}
	var s security
	if a.TLS != nil {
		s.serverName = a.TLS.ServerName
		if s.authorities, err = from.authorities(ctx, a.TLS.CAFrom); err != nil {
			return nil, nil, err
		}
	}
	transport, err := c.transports.get(namespace, s, keepAlive)
	if err != nil {
		return nil, nil, err
	}
	redactor := redactorOf(secrets, a.HeadersFrom)
	return &http.Client{
		Transport: &restrictedTransport{
			next: transport, host: a.Host, serverName: s.serverName, secrets: secrets, redactor: redactor, access: a,
		},
		CheckRedirect: redirects(a.FollowRedirects),
	}, redactor, nil
}

func redactorOf(secrets []header, from []v1alpha1.HeaderFrom) *Redactor {
	var values []string
	for i, h := range secrets {
		values = append(values, h.value, strings.TrimPrefix(h.value, from[i].Prefix))
	}
	return NewRedactor(values...)
}

// restrictedTransport restricts a client to its host, and adds the headers from Secrets.
type restrictedTransport struct {
	next       http.RoundTripper
	host       string
	serverName string
	secrets    []header
	redactor   *Redactor
	access     Access
}

// RoundTrip implements http.RoundTripper.
func (g *restrictedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameHost(g.host, req.URL) {
		return nil, g.redactor.error(&RefusedError{"only " + g.host + " may be called here"})
	}
	ctx := req.Context()
	out := req.Clone(context.WithValue(ctx, requestKey{}, ctx))
	for _, s := range g.secrets {
		if err := s.allow(req, g.serverName); err != nil {
			return nil, err
		}
		out.Header.Set(s.name, s.value)
	}
	resp, err := g.next.RoundTrip(out)
	if err != nil {
		return nil, g.redactor.error(explain(ctx, err))
	}
	limit := cmp.Or(g.access.MaxBody, maxAPIBody)
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, limit: limit, remaining: limit, maxValues: g.access.MaxValues}
	return resp, nil
}

// sameHost reports whether a URL has the allowed host. Without a port, the default ports of both schemes are allowed,
// because a redirect may lead from one to the other.
func sameHost(allowed string, u *url.URL) bool {
	name, port := split(allowed)
	host, hostPort := split(authority(u))
	if port == "" || port == "80" || port == "443" {
		return name == host && (hostPort == "80" || hostPort == "443")
	}
	return name == host && port == hostPort
}

// body limits how much of a response is read.
type body struct {
	io.ReadCloser
	ctx              context.Context //nolint:containedctx // it lives as long as the request, whose body has no other place for it
	limit, remaining int64
	// values is the number of opening brackets that were read, including those in texts.
	values, maxValues int
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.exceeded(); err != nil {
		return 0, err
	}
	if int64(len(p)) > b.remaining+1 {
		p = p[:b.remaining+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.remaining -= int64(n)
	if b.maxValues > 0 {
		b.values += bytes.Count(p[:n], []byte("{")) + bytes.Count(p[:n], []byte("["))
	}
	if tooMuch := b.exceeded(); tooMuch != nil {
		return max(n-1, 0), tooMuch
	}
	if err != nil && err != io.EOF { //nolint:errorlint // what wraps the end of a body is not its end
		err = explain(b.ctx, err)
	}
	return n, err
}

func (b *body) exceeded() error {
	switch {
	case b.remaining < 0:
		return &NoResponseError{"answer is larger than " + sizeText(b.limit)}
	case b.maxValues > 0 && b.values > b.maxValues:
		return &NoResponseError{fmt.Sprintf("answer holds more than %d objects and lists", b.maxValues)}
	}
	return nil
}

// sizeText returns a size in MiB or KiB.
func sizeText(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// redirects returns the redirect policy. Without follow, a redirect is the response.
func redirects(follow bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		from, to := via[len(via)-1].URL, req.URL
		switch {
		case !follow:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return &NoResponseError{"more than 3 redirects are not followed"}
		case !strings.EqualFold(from.Hostname(), to.Hostname()):
			return &NoResponseError{"redirects to another host are not followed"}
		case from.Scheme == "https" && to.Scheme != "https":
			return &NoResponseError{"redirects from https to http are not followed"}
		case from.Scheme == to.Scheme && authority(from) != authority(to), !sameHost(from.Host, to):
			return &NoResponseError{"redirects to another port are not followed"}
		}
		return nil
	}
}
