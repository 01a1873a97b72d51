package env

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Call is a request of a manager to the API server.
type Call struct {
	// Verb as in RBAC.
	Verb string
	// Resource is the plural name, with the subresource after a slash.
	Resource string
	// Namespace and Name of the object.
	Namespace, Name string
	// Body of the request.
	Body string
	// Code is the status code of the response, or 0 if there was none.
	Code int
}

// String returns the call for messages.
func (c Call) String() string { return c.Verb + " " + c.Resource + " " + c.Name }

// Writes reports whether the call changes an object.
func (c Call) Writes() bool { return !slices.Contains([]string{"get", "list", "watch"}, c.Verb) }

// Fault is what happens to a call.
type Fault int

const (
	// Pass sends the request.
	Pass Fault = iota
	// Before fails the request before it is sent.
	Before
	// After sends the request and drops the response.
	After
	// Refuse returns status 500 without sending the request.
	Refuse
)

// ErrDisconnected is the error of a call with the fault Before or After.
var ErrDisconnected = errors.New("the test cut the connection")

// Wire is the connection between a manager and the API server. It records writes and can inject faults.
type Wire struct {
	mu       sync.Mutex
	calls    []Call
	fault    func(Call) Fault
	activity chan struct{}
}

// wrap returns a transport that passes requests through the wire.
func (w *Wire) wrap(rt http.RoundTripper) http.RoundTripper {
	return &wireTransport{wire: w, next: rt}
}

// SetFault sets the function that returns the fault of each call.
func (w *Wire) SetFault(f func(Call) Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// Writes returns the recorded writes that match every filter, in order.
func (w *Wire) Writes(filters ...func(Call) bool) []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Call
	for _, c := range w.calls {
		if !slices.ContainsFunc(filters, func(f func(Call) bool) bool { return !f(c) }) {
			list = append(list, c)
		}
	}
	return list
}

// To returns a filter by resource.
func To(resources ...string) func(Call) bool {
	return func(c Call) bool { return slices.Contains(resources, c.Resource) }
}

// BodyContains returns a filter by text in the body.
func BodyContains(text string) func(Call) bool {
	return func(c Call) bool { return strings.Contains(c.Body, text) }
}

func (w *Wire) faultOf(c Call) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		return Pass
	}
	return w.fault(c)
}

func (w *Wire) record(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Writes() {
		w.calls = append(w.calls, c)
	}
	if w.activity != nil {
		select {
		case w.activity <- struct{}{}:
		default:
		}
	}
}

// wireTransport is the http.RoundTripper of a Wire.
type wireTransport struct {
	wire *Wire
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *wireTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	call, err := parseCall(r)
	if err != nil {
		return nil, err
	}
	switch c.wire.faultOf(call) {
	case Before:
		return nil, ErrDisconnected
	case Refuse:
		return errorResponse(r), nil
	case After:
		resp, err := c.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		call.Code = resp.StatusCode
		c.wire.record(call)
		return nil, errors.Join(ErrDisconnected, resp.Body.Close())
	case Pass:
	}
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		call.Code = resp.StatusCode
	}
	if call.Writes() {
		c.wire.record(call)
	}
	return resp, err
}

func errorResponse(r *http.Request) *http.Response {
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the test refuses",` +
		`"reason":"InternalError","code":500}`
	return &http.Response{
		StatusCode: http.StatusInternalServerError, Status: "500 Internal Server Error",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// parseCall returns the call of a request.
func parseCall(r *http.Request) (Call, error) {
	c := Call{Verb: map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[r.Method]}
	c.setObject(strings.Split(strings.Trim(r.URL.Path, "/"), "/"))
	switch {
	case c.Verb != "":
	case r.URL.Query().Get("watch") != "":
		c.Verb = "watch"
	case c.Name == "":
		c.Verb = "list"
	default:
		c.Verb = "get"
	}
	if r.Body != nil && c.Writes() {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return c, err
		}
		c.Body, r.Body = string(body), io.NopCloser(bytes.NewReader(body))
	}
	return c, nil
}

// setObject sets the object of a call from the path of a request: /api/<version> or /apis/<group>/<version>, then the
// resource.
func (c *Call) setObject(parts []string) {
	prefix := 3
	if parts[0] == "api" {
		prefix = 2
	}
	parts = parts[min(prefix, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		c.Namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "", "")
	c.Resource, c.Name = parts[0], parts[1]
	if parts[2] != "" {
		c.Resource += "/" + parts[2]
	}
}
