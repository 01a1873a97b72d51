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
	// DefaultTimeout is how long an answer may take where nothing else is said.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout is how long an answer may take at the most, whatever a check or a gate asks for: it keeps a worker of the controller
	// waiting all that time.
	MaxTimeout = 30 * time.Second
	// MaxBody is how much of an answer is read.
	MaxBody = 64 << 10

	mostHeaders   = 64
	longestHeader = 4 << 10
)

// Options of a Client.
type Options struct {
	// Policy says which addresses may be called.
	Policy Policy
	// Keys reads Secrets and ConfigMaps.
	Keys Keys
	// Resolver looks up names. Default: that of the system.
	Resolver *net.Resolver
}

// Client makes requests for users. It may be used by many at once.
type Client struct {
	keys       Keys
	transports *transports
}

// New makes a Client.
func New(o Options) *Client {
	return &Client{keys: o.Keys, transports: newTransports(o.Policy, o.Resolver)}
}

// Close closes the connections that are not in use. The Client remains usable.
func (c *Client) Close() { c.transports.closeIdle() }

// Timeout is the time-out that a check or a gate asks for, at most MaxTimeout; or the default.
func Timeout(d *v1alpha1.Duration) time.Duration {
	if d == nil {
		return DefaultTimeout
	}
	if v, err := d.Parse(); err == nil && v > 0 {
		return min(v, MaxTimeout)
	}
	return DefaultTimeout
}

// Shortened tells people that a time-out is longer than MaxTimeout, where field names it; "" if it is not.
func Shortened(field string, d *v1alpha1.Duration) string {
	if d == nil {
		return ""
	}
	if v, err := d.Parse(); err != nil || v <= MaxTimeout {
		return ""
	}
	return fmt.Sprintf("; %s is %s, of which %s are used", field, *d, MaxTimeout)
}

// Answer is what came back.
type Answer struct {
	// Status code.
	Status int
	// Headers by their lower-case names. Those of the same name are joined by commas; very many and very long ones are left out.
	Headers map[string]string
	// Body, at most MaxBody of it.
	Body []byte
	// Truncated reports whether the body is longer than that.
	Truncated bool
	// Latency is the time from the question to the end of the answer.
	Latency time.Duration
}

// Do makes a request, with what is in the given namespace. An error is a *NoAnswerError where there was no answer, a *RefusedError where the
// request has to be changed, and another one where the caller gave up or a Secret could not be read just now.
func (c *Client) Do(ctx context.Context, namespace string, r v1alpha1.HTTPRequest, timeout time.Duration) (Answer, error) {
	u, err := parse(r.URL)
	if err != nil {
		return Answer{}, err
	}
	access := Access{Host: u.Host, HeadersFrom: r.HeadersFrom, TLS: r.TLS, FollowRedirects: r.FollowRedirects}
	client, redactor, err := c.client(ctx, namespace, access, false)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := WithTimeout(ctx, cmp.Or(max(timeout, 0), DefaultTimeout))
	defer cancel()
	req, err := request(ctx, u, r)
	if err != nil {
		return Answer{}, err
	}
	answer, err := ask(client, req)
	if err != nil {
		return Answer{}, redactor.error(explain(ctx, err))
	}
	return answer, nil
}

func ask(client *http.Client, req *http.Request) (Answer, error) {
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Status: resp.StatusCode, Headers: flatten(resp.Header), Body: body[:min(len(body), MaxBody)], Truncated: len(body) > MaxBody,
		Latency: time.Since(start),
	}, nil
}

// parse reads a URL that may be called. An error does not quote it: there may be a password in it.
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

// validHost takes names in ASCII only: letters that look the same, or are folded into another, have no place in a comparison.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.IndexFunc(host, func(r rune) bool { return !strings.ContainsRune(hostLetters, r) }) < 0
}

const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// request makes the request, but for the headers that are secret.
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
		return nil, &RefusedError{"headers is too large: at most 32 headers, each with a name of at most 128 characters and a value of at most 2048"}
	}
	req.Header.Set("User-Agent", "kuberik/"+buildinfo.Version)
	if r.Body != "" {
		req.Header.Set("Content-Type", contentType(r.Body))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		value := r.Headers[name]
		if !validName(name) || !validValue(value) {
			return nil, &RefusedError{"the header " + strconv.Quote(name) + " cannot be sent: its name or its value has characters that a header cannot have"}
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

// flatten keeps the headers that an expression may look at.
func flatten(header http.Header) map[string]string {
	names := slices.Sorted(maps.Keys(header))
	flat := make(map[string]string, min(len(names), mostHeaders))
	for _, name := range names[:min(len(names), mostHeaders)] {
		if value := strings.Join(header[name], ", "); len(value) <= longestHeader {
			flat[strings.ToLower(name)] = value
		}
	}
	return flat
}
