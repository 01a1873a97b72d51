package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kuberik/kuberik/internal/version"
)

// NoResponseError is the error of a request without a response, because of the server or the network.
type NoResponseError struct{ message string }

// Error implements error.
func (f *NoResponseError) Error() string { return f.message }

// RefusedError is the error of a request that is not sent. The request, a Secret or the flags of the controller have to
// be changed.
type RefusedError struct{ message string }

// Error implements error.
func (r *RefusedError) Error() string { return r.message }

var errCancelled = errors.New("the request was given up before there was an answer")

// WithTimeout limits the time of a request. Cause returns a *NoResponseError if it takes longer.
func WithTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, &NoResponseError{"timed out after " + formatDuration(timeout)})
}

// formatDuration formats a duration without its zero units.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Cause returns what stopped a request, from an error of an API client: a *NoResponseError, a *RefusedError, or that
// the context ended. It returns nil for other errors, such as an unexpected response.
func Cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		var failure *NoResponseError
		if errors.As(context.Cause(ctx), &failure) {
			return failure
		}
		return errCancelled
	}
	var (
		failure *NoResponseError
		refusal *RefusedError
	)
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &failure):
		return failure
	}
	return nil
}

// explain returns an error with a stable text that quotes nothing of the response.
func explain(ctx context.Context, err error) error {
	if cause := Cause(ctx, err); cause != nil {
		return cause
	}
	return &NoResponseError{
		cmp.Or(certificate(err), lookup(err), connection(err), "answer is not valid HTTP, or its headers are too large"),
	}
}

func lookup(err error) string {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return ""
	case dns.IsNotFound:
		return "no such host " + dns.Name
	}
	return "host " + dns.Name + " cannot be looked up"
}

func connection(err error) string {
	var (
		op     *net.OpError
		record tls.RecordHeaderError
		remote net.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no route to host"
	case errors.As(err, &record):
		return "server does not speak TLS"
	case errors.As(err, &op) && op.Op == "remote error":
		return "server refused the TLS handshake"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed in the middle of the answer"
	case errors.Is(err, io.EOF):
		return "connection closed without an answer"
	case errors.As(err, &remote) && remote.Timeout():
		return "connection timed out"
	case errors.As(err, &op):
		return "connection failed"
	}
	return ""
}

func certificate(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &authority):
		return "certificate signed by unknown authority"
	case errors.As(err, &hostname):
		return fmt.Sprintf("certificate is for %s, not for %s", subjects(hostname.Certificate), hostname.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return "certificate is not valid yet"
		}
		return "certificate has expired"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "certificate is not valid"
	}
	return ""
}

const maxSubjects = 3

// subjects returns the hosts of a certificate.
func subjects(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return "no host"
	}
	if extra := len(names) - maxSubjects; extra > 0 {
		names = append(names[:maxSubjects:maxSubjects], fmt.Sprintf("%d more", extra))
	}
	for i, n := range names {
		names[i] = version.Clean(n, 253)
	}
	return strings.Join(names, ", ")
}
