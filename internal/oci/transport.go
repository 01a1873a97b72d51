package oci

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// maxBody bounds every answer; manifests are the largest thing asked for.
	maxBody = 4 << 20
	// maxValues is how many objects and lists the JSON of an answer may hold. An empty object takes two bytes there and a hundred in memory.
	maxValues = 20_000
	// maxHeaders bounds the headers of an answer.
	maxHeaders = 64 << 10
)

var (
	errTooLarge = errors.New("the answer is too large")
	errPlain    = errors.New("plain HTTP is not allowed; mark the repository insecure if that is meant")
	// errClearText is for callers that allow no host at all.
	errClearText = errors.New("credentials are not sent without TLS")
	errTimeout   = fmt.Errorf("the registry did not answer in time: %w", context.DeadlineExceeded)
)

// dialer connects to registries, public or private. Who may write an ImageRepository chooses the address, so the same policy holds as for
// everything else that is called for users, and no proxy that the environment names stands between the policy and the address.
func dialer(policy outbound.Policy) http.RoundTripper {
	return &http.Transport{
		DialContext:            policy.Dialer(defaultTimeout).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxResponseHeaderBytes: maxHeaders,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    defaultTimeout,
	}
}

// guard bounds what one request may cost, whatever the other side does.
type guard struct {
	next     http.RoundTripper
	timeout  time.Duration
	insecure bool
	// maySend says why credentials may not go to a URL of plain HTTP.
	maySend func(*url.URL) error
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.insecure {
		return nil, errPlain
	}
	if err := g.exposes(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), g.timeout, errTimeout)
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		err = cause(ctx, err)
		cancel()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, left: maxBody, values: maxValues}
	return resp, nil
}

// exposes returns why a request is not sent: it carries credentials without TLS. They are in a header, or, to get a token, in the body.
func (g *guard) exposes(req *http.Request) error {
	if req.URL.Scheme == "https" || req.Header.Get("Authorization") == "" && (req.Body == nil || req.Body == http.NoBody) {
		return nil
	}
	if g.maySend == nil {
		return errClearText
	}
	if err := g.maySend(req.URL); err != nil {
		return &clearTextError{err}
	}
	return nil
}

// clearTextError is why credentials are not sent, with what its owner has to change.
type clearTextError struct{ why error }

// Error implements error.
func (c *clearTextError) Error() string { return c.why.Error() }

// body carries the request's deadline to the last byte, and its size limit.
type body struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // a body is read after the call that could have passed one
	cancel context.CancelFunc
	left   int64
	// values are the objects and lists that may still follow.
	values int
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 || b.values < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.values -= bytes.Count(p[:n], []byte("{")) + bytes.Count(p[:n], []byte("["))
	if b.left < 0 || b.values < 0 {
		return 0, errTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = cause(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// cause prefers the reason a request was ended for over the way its end showed.
func cause(ctx context.Context, err error) error {
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return err
}

// ErrNotFound is that the registry has no such image.
var ErrNotFound = errors.New("the registry answered 404 Not Found")

// safe keeps what helps a person and was not written by the registry. An answer may quote the credentials it was sent.
func safe(err error) error {
	for _, known := range []error{errTooLarge, errPlain, errClearText, errNotManifest, errTimeout, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	var refused *outbound.RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	var exposed *clearTextError
	if errors.As(err, &exposed) {
		return exposed
	}
	if absent(err) {
		return ErrNotFound
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return fmt.Errorf("the registry answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	if text := local(err); text != "" {
		return errors.New(clean(text, maxError))
	}
	return errors.New("the answer is not what was asked for")
}

// local is the text of an error that this side of the connection wrote.
func local(err error) string {
	var (
		dns       *net.DNSError
		op        *net.OpError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		scheme    *url.Error
	)
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("looking up %s: %s", dns.Name, dns.Err)
	case errors.As(err, &authority):
		return "the registry's certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "the registry's certificate is for another host"
	case errors.As(err, &invalid):
		return "the registry's certificate is not valid"
	case errors.As(err, &op):
		return op.Error()
	case errors.As(err, &scheme):
		return "the connection broke: " + scheme.Op
	default:
		return ""
	}
}
