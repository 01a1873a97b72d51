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

// Call is one request of a manager to the API server.
type Call struct {
	// Verb as in RBAC.
	Verb string
	// Resource, with its subresource after a slash.
	Resource string
	// Namespace and Name of the object.
	Namespace, Name string
	// Body that was sent.
	Body string
	// Code that was answered; 0 if none was.
	Code int
}

// String names the call for people.
func (c Call) String() string { return c.Verb + " " + c.Resource + " " + c.Name }

// Writes says whether the call changes something.
func (c Call) Writes() bool { return !slices.Contains([]string{"get", "list", "watch"}, c.Verb) }

// Fault is what befalls a call.
type Fault int

const (
	// Pass lets it through.
	Pass Fault = iota
	// Before keeps it from the API server.
	Before
	// After lets it take effect and loses the answer.
	After
	// Refuse answers 500 in place of the API server.
	Refuse
)

// ErrCut is what a manager sees of a call that a test has cut.
var ErrCut = errors.New("the test has cut the wire")

// Wire is between a manager and the API server. It remembers what was written and can fail.
type Wire struct {
	mu    sync.Mutex
	calls []Call
	fault func(Call) Fault
	stirs chan struct{}
}

// wrap puts the wire around the transport of a manager.
func (w *Wire) wrap(rt http.RoundTripper) http.RoundTripper {
	return &conductor{wire: w, inside: rt}
}

// SetFault says what befalls calls from now on.
func (w *Wire) SetFault(f func(Call) Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// Writes lists what was written so far, in order; those that match every filter.
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

// To filters by resource.
func To(resources ...string) func(Call) bool {
	return func(c Call) bool { return slices.Contains(resources, c.Resource) }
}

// Saying filters by text in the body.
func Saying(text string) func(Call) bool {
	return func(c Call) bool { return strings.Contains(c.Body, text) }
}

func (w *Wire) meet(c Call) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		return Pass
	}
	return w.fault(c)
}

func (w *Wire) remember(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Writes() {
		w.calls = append(w.calls, c)
	}
	if w.stirs != nil {
		select {
		case w.stirs <- struct{}{}:
		default:
		}
	}
}

// conductor is the wire as a transport.
type conductor struct {
	wire   *Wire
	inside http.RoundTripper
}

// RoundTrip does a request, or fails it.
func (c *conductor) RoundTrip(r *http.Request) (*http.Response, error) {
	call, err := read(r)
	if err != nil {
		return nil, err
	}
	switch c.wire.meet(call) {
	case Before:
		return nil, ErrCut
	case Refuse:
		return refusal(r), nil
	case After:
		resp, err := c.inside.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		call.Code = resp.StatusCode
		c.wire.remember(call)
		return nil, errors.Join(ErrCut, resp.Body.Close())
	case Pass:
	}
	resp, err := c.inside.RoundTrip(r)
	if err == nil {
		call.Code = resp.StatusCode
	}
	if call.Writes() {
		c.wire.remember(call)
	}
	return resp, err
}

func refusal(r *http.Request) *http.Response {
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the test refuses","reason":"InternalError","code":500}`
	return &http.Response{
		StatusCode: http.StatusInternalServerError, Status: "500 Internal Server Error", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// read makes a call of a request.
func read(r *http.Request) (Call, error) {
	c := Call{Verb: map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[r.Method]}
	c.locate(strings.Split(strings.Trim(r.URL.Path, "/"), "/"))
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

// locate reads the path of a request: /api/<version> or /apis/<group>/<version>, then what it is about.
func (c *Call) locate(parts []string) {
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
