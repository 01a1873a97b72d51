package outbound

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	mostRedirects = 3
	// maxAPIBody bounds what an API may answer.
	maxAPIBody = 4 << 20
)

// Access is what the client of an API may do.
type Access struct {
	// Host that may be called, with its port if that is not the usual one.
	Host string
	// HeadersFrom are headers whose values are secret.
	HeadersFrom []v1alpha1.HeaderFrom
	// TLS says how the other side is known.
	TLS *v1alpha1.TLS
	// FollowRedirects follows up to three redirects to the same host.
	FollowRedirects bool
}

// HTTPClient makes a client for the library of an API. It calls one host only, sends the secret headers with each request, and reads
// at most 4 MiB of an answer; the caller bounds the time, with WithTimeout, and asks Cause what went wrong. What such a library says
// of an answer has to go through the Redactor before anybody sees it.
func (c *Client) HTTPClient(ctx context.Context, namespace string, a Access) (*http.Client, *Redactor, error) {
	return c.client(ctx, namespace, a, true)
}

func (c *Client) client(ctx context.Context, namespace string, a Access, kept bool) (*http.Client, *Redactor, error) {
	from := vault{keys: c.keys, namespace: namespace}
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
	transport, err := c.transports.get(namespace, s, kept)
	if err != nil {
		return nil, nil, err
	}
	redactor := redactorOf(secrets, a.HeadersFrom)
	return &http.Client{
		Transport:     &guard{next: transport, host: a.Host, serverName: s.serverName, secrets: secrets, redactor: redactor},
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

// guard is between a client and its transport. It holds the client to its host, and adds what is secret at the last moment.
type guard struct {
	next       http.RoundTripper
	host       string
	serverName string
	secrets    []header
	redactor   *Redactor
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
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
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, left: maxAPIBody}
	return resp, nil
}

// sameHost compares the host that may be called with the one that is. Without a port it is the usual one of either scheme, since a
// redirect may lead from one to the other.
func sameHost(allowed string, u *url.URL) bool {
	name, port := split(allowed)
	called, calledPort := split(authority(u))
	if port == "" || port == "80" || port == "443" {
		return name == called && (calledPort == "80" || calledPort == "443")
	}
	return name == called && port == calledPort
}

// body bounds what is read of an answer.
type body struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // a body is read after the call that could have passed one
	left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, errTooLarge
	}
	if err != nil && err != io.EOF { //nolint:errorlint // what wraps the end of a body is not its end
		err = explain(b.ctx, err)
	}
	return n, err
}

var errTooLarge = &NoAnswerError{"answer is larger than 4 MiB"}

// redirects says which redirects are followed. One that is not to be followed at all is an answer.
func redirects(follow bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		from, to := via[len(via)-1].URL, req.URL
		switch {
		case !follow:
			return http.ErrUseLastResponse
		case len(via) > mostRedirects:
			return &NoAnswerError{"more than 3 redirects are not followed"}
		case !strings.EqualFold(from.Hostname(), to.Hostname()):
			return &NoAnswerError{"redirects to another host are not followed"}
		case from.Scheme == "https" && to.Scheme != "https":
			return &NoAnswerError{"redirects from https to http are not followed"}
		case from.Scheme == to.Scheme && authority(from) != authority(to), !sameHost(from.Host, to):
			return &NoAnswerError{"redirects to another port are not followed"}
		}
		return nil
	}
}
