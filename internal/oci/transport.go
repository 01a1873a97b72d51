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
	// maxBody bounds a response, in bytes. Manifests are the largest.
	maxBody = 4 << 20
	// maxValues bounds the objects and lists in the JSON of a response. An empty object takes two bytes there, but a
	// hundred in memory.
	maxValues = 20_000
	// maxHeaders bounds the headers of a response, in bytes.
	maxHeaders = 64 << 10
)

var (
	errTooLarge  = errors.New("the response is too large")
	errPlainHTTP = errors.New("plain HTTP is not allowed: set spec.insecure of the ImageRepository to allow it")
	// errClearText is returned without a MaySend.
	errClearText = errors.New("credentials are not sent without TLS")
	errTimeout   = fmt.Errorf("the registry did not respond in time: %w", context.DeadlineExceeded)
)

// newTransport returns a transport that calls only the addresses of a policy. The author of an ImageRepository chooses
// the address, so the policy is the one for all outgoing requests. A proxy would hide the address from the policy, so
// none is used.
func newTransport(policy outbound.Policy) http.RoundTripper {
	return &http.Transport{
		DialContext:            policy.Dialer(defaultTimeout).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxResponseHeaderBytes: maxHeaders,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    defaultTimeout,
	}
}

// limiter bounds the time and the size of each request, and refuses plain HTTP unless it is allowed.
type limiter struct {
	next     http.RoundTripper
	timeout  time.Duration
	insecure bool
	// maySend is Ref.MaySend.
	maySend func(*url.URL) error
}

// RoundTrip implements http.RoundTripper.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !l.insecure {
		return nil, errPlainHTTP
	}
	if err := l.checkClearText(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), l.timeout, errTimeout)
	resp, err := l.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		err = cause(ctx, err)
		cancel()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, left: maxBody, values: maxValues}
	return resp, nil
}

// checkClearText returns an error if a request would send credentials without TLS, unless that is allowed. Credentials
// are in a header, or in the body of a request for a token.
func (l *limiter) checkClearText(req *http.Request) error {
	hasCredentials := req.Header.Get("Authorization") != "" || req.Body != nil && req.Body != http.NoBody
	if req.URL.Scheme == "https" || !hasCredentials {
		return nil
	}
	if l.maySend == nil {
		return errClearText
	}
	if err := l.maySend(req.URL); err != nil {
		return &clearTextError{err}
	}
	return nil
}

// clearTextError returns why credentials are not sent, and what the owner of the Secret has to change.
type clearTextError struct{ err error }

// Error implements error.
func (e *clearTextError) Error() string { return e.err.Error() }

// body is the body of a response, with the deadline of the request and the limits of the size.
type body struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // a body is read after RoundTrip has returned
	cancel context.CancelFunc
	// left is the number of bytes that may follow, and values the number of objects and lists.
	left   int64
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

// cause returns the cause for which a context ended, or else the error.
func cause(ctx context.Context, err error) error {
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return err
}

// ErrNotFound is returned if the registry does not have the image.
var ErrNotFound = errors.New("the registry returned 404 Not Found")

// sanitize returns an error without any text of the registry, whose response may quote the credentials that it
// received.
func sanitize(err error) error {
	for _, known := range []error{
		errTooLarge, errPlainHTTP, errClearText, errNotManifest, errTimeout, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	var refused *outbound.RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	var clearText *clearTextError
	if errors.As(err, &clearText) {
		return clearText
	}
	if isNotFound(err) {
		return ErrNotFound
	}
	var response *transport.Error
	if errors.As(err, &response) {
		return fmt.Errorf("the registry returned %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	if text := connectionError(err); text != "" {
		return errors.New(clean(text, maxError))
	}
	return errors.New("the response does not match the request")
}

// connectionError returns the text of an error of the connection, or "". The registry cannot choose these texts.
func connectionError(err error) string {
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
		return "the connection failed: " + scheme.Op
	default:
		return ""
	}
}
