package outbound

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/buildinfo"
)

const (
	// DefaultTimeout is the default timeout of a request.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout is the longest timeout of a request, because a worker of the controller waits for the response.
	MaxTimeout = 30 * time.Second
	// MaxBody is how many bytes of a response are read.
	MaxBody = 64 << 10

	maxHeaderCount = 64
	maxHeaderValue = 4 << 10
)

// Options of a Client.
type Options struct {
	// Policy selects the addresses that may be dialled.
	Policy Policy
	// Keys reads Secrets and ConfigMaps.
	Keys Keys
	// Resolver resolves names. Defaults to that of the system.
	Resolver *net.Resolver
}

// Client sends requests for users. It is safe for concurrent use.
type Client struct {
	keys       Keys
	transports *transports
}

// New returns a Client.
func New(o Options) *Client {
	return &Client{keys: o.Keys, transports: newTransports(o.Policy, o.Resolver)}
}

// Close closes the connections that are not in use. The Client remains usable.
func (c *Client) Close() { c.transports.closeIdle() }

// Timeout returns the timeout of a check or a gate, at most MaxTimeout. Defaults to DefaultTimeout.
func Timeout(d *v1alpha1.Duration) time.Duration {
	if d == nil {
		return DefaultTimeout
	}
	if v, err := d.Parse(); err == nil && v > 0 {
		return min(v, MaxTimeout)
	}
	return DefaultTimeout
}

// TimeoutNote returns a note for a message if the timeout in a field is longer than MaxTimeout; empty if it is not.
func TimeoutNote(field string, d *v1alpha1.Duration) string {
	if d == nil {
		return ""
	}
	if v, err := d.Parse(); err != nil || v <= MaxTimeout {
		return ""
	}
	return fmt.Sprintf("; %s is %s, of which %s are used", field, *d, MaxTimeout)
}

// Response is an HTTP response.
type Response struct {
	// Status is the status code.
	Status int
	// Headers by their lower-case names. Values of the same name are joined by commas. Very many and very long headers are
	// left out.
	Headers map[string]string
	// Body has at most MaxBody bytes.
	Body []byte
	// Truncated reports whether the body is longer than that.
	Truncated bool
}

// Do sends a request with the Secrets and ConfigMaps of a namespace. The error is a *NoResponseError if there was no
// response, a *RefusedError if the request has to be changed, and another one if the context ended or a Secret could
// not be read.
func (c *Client) Do(
	ctx context.Context, namespace string, r v1alpha1.HTTPRequest, timeout time.Duration,
) (Response, error) {
	u, err := parse(r.URL)
	if err != nil {
		return Response{}, err
	}
	access := Access{Host: u.Host, HeadersFrom: r.HeadersFrom, TLS: r.TLS, FollowRedirects: r.FollowRedirects}
	client, redactor, err := c.client(ctx, namespace, access, false)
	if err != nil {
		return Response{}, err
	}
	ctx, cancel := WithTimeout(ctx, cmp.Or(max(timeout, 0), DefaultTimeout))
	defer cancel()
	req, err := request(ctx, u, r)
	if err != nil {
		return Response{}, err
	}
	resp, err := send(client, req)
	if err != nil {
		return Response{}, redactor.error(explain(ctx, err))
	}
	return resp, nil
}

func send(client *http.Client, req *http.Request) (Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return Response{}, err
	}
	return Response{
		Status: resp.StatusCode, Headers: flatten(resp.Header), Body: body[:min(len(body), MaxBody)],
		Truncated: len(body) > MaxBody,
	}, nil
}

// parse parses the URL of a request. Errors do not quote it, because it may contain a password.
func parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, &RefusedError{"the URL cannot be read"}
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return nil, &RefusedError{"the URL has to begin with http:// or https://"}
	case strings.Trim(u.Hostname(), ".") == "":
		return nil, &RefusedError{"the URL names no host"}
	case !validHost(u.Hostname()):
		return nil, &RefusedError{"the host of the URL has characters that the name of a host cannot have"}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, &RefusedError{"the URL has a port that does not exist"}
		}
	}
	return u, nil
}

// validHost reports whether a host has only ASCII characters, because similar or folded letters would defeat
// comparisons.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.IndexFunc(host, func(r rune) bool { return !strings.ContainsRune(hostLetters, r) }) < 0
}

const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// request returns the request without the headers from Secrets.
func request(ctx context.Context, u *url.URL, r v1alpha1.HTTPRequest) (*http.Request, error) {
	method := cmp.Or(r.Method, http.MethodGet)
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut}, method) {
		return nil, &RefusedError{"method " + strconv.Quote(method) + " is none of GET, HEAD, POST and PUT"}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(r.Body))
	if err != nil {
		return nil, &RefusedError{"the URL cannot be read"}
	}
	if r.HeadersTooLarge() {
		return nil, &RefusedError{
			"headers is too large: at most 32 headers, each with a name of at most 128 characters and a value of at most 2048",
		}
	}
	req.Header.Set("User-Agent", "kuberik/"+buildinfo.Version)
	if r.Body != "" {
		req.Header.Set("Content-Type", contentType(r.Body))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		value := r.Headers[name]
		if !validName(name) || !validValue(value) {
			return nil, &RefusedError{
				"the header " + strconv.Quote(name) + " cannot be sent: its name or its value has characters that a header " +
					"cannot have",
			}
		}
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

func contentType(body string) string {
	if json.Valid([]byte(body)) {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// flatten returns the headers for expressions.
func flatten(header http.Header) map[string]string {
	names := slices.Sorted(maps.Keys(header))
	flat := make(map[string]string, min(len(names), maxHeaderCount))
	for _, name := range names[:min(len(names), maxHeaderCount)] {
		if value := strings.Join(header[name], ", "); len(value) <= maxHeaderValue {
			flat[strings.ToLower(name)] = value
		}
	}
	return flat
}
