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
	mostRedirects = 3
	// maxAPIBody bounds what an API may answer where nothing else is said.
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
	// MaxBody is how many bytes are read of an answer. Default: 4 MiB.
	MaxBody int64
	// MaxValues is how many objects and lists the JSON of an answer may hold. An empty object takes two bytes there and hundreds in memory.
	// Default: no limit.
	MaxValues int
}

// HTTPClient makes a client for the library of an API. It calls one host only, sends the secret headers with each request, and reads
// at most MaxBody of an answer; the caller bounds the time, with WithTimeout, and asks Cause what went wrong. What such a library says
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
		Transport:     &guard{next: transport, host: a.Host, serverName: s.serverName, secrets: secrets, redactor: redactor, access: a},
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
	access     Access
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
	most := cmp.Or(g.access.MaxBody, maxAPIBody)
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, most: most, left: most, mostValues: g.access.MaxValues}
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
	ctx        context.Context //nolint:containedctx // it lives as long as the request, whose body has no other place for it
	most, left int64
	// values are the objects and lists that were read, counted by how they begin. What a text holds is counted too.
	values, mostValues int
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.exceeded(); err != nil {
		return 0, err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.mostValues > 0 {
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
	case b.left < 0:
		return &NoAnswerError{"answer is larger than " + sizeText(b.most)}
	case b.mostValues > 0 && b.values > b.mostValues:
		return &NoAnswerError{fmt.Sprintf("answer holds more than %d objects and lists", b.mostValues)}
	}
	return nil
}

// sizeText writes a size in the largest unit that it is a multiple of.
func sizeText(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

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
