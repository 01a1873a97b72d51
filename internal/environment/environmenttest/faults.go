package environmenttest

import (
	"errors"
	"net/http"
	"sync"
)

// ErrInjected is the error of an injected fault.
var ErrInjected = errors.New("broken on purpose")

// FaultInjector makes requests to a Service fail. It is safe for concurrent use.
type FaultInjector struct {
	mu     sync.Mutex
	down   bool
	armed  bool
	before int
	after  bool
}

// Down is Service.Down.
func (i *FaultInjector) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Break is Service.Break.
func (i *FaultInjector) Break(f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.armed, i.before, i.after = true, f.Write, f.After
}

// Next returns the error of the next request: before it has an effect, or after it.
func (i *FaultInjector) Next(write bool) (before, after error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return ErrInjected, nil
	}
	if !write || !i.armed {
		return nil, nil
	}
	i.before--
	if i.before >= 0 {
		return nil, nil
	}
	i.armed = false
	if i.after {
		return nil, ErrInjected
	}
	return ErrInjected, nil
}

// HTTPFault replaces the response of a fake HTTP server.
type HTTPFault struct {
	// Effect reports whether the request takes effect anyway.
	Effect bool
	// Status, Header and Body of the response.
	Status int
	Header map[string]string
	Body   string
	// Hang delays the response until the client gives up.
	Hang bool
	// Truncate sends only the first half of the regular response. It implies Effect.
	Truncate bool
}

// HTTPFaults chooses the faults of a fake HTTP server, which embeds it. It is safe for concurrent use.
type HTTPFaults struct {
	mu     sync.Mutex
	choose func(*http.Request) *HTTPFault
}

// Break calls the function for the fault of each request from now on. Nil removes it.
func (f *HTTPFaults) Break(choose func(*http.Request) *HTTPFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choose = choose
}

// Fault returns the fault of a request, or nil.
func (f *HTTPFaults) Fault(r *http.Request) *HTTPFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.choose == nil {
		return nil
	}
	return f.choose(r)
}

// HTTPServer is a fake HTTP server of a service.
type HTTPServer interface {
	// Break is HTTPFaults.Break.
	Break(choose func(*http.Request) *HTTPFault)
	// Reject is Service.Reject.
	Reject(revision string)
	// Writes is Service.Writes.
	Writes() int
	// Count is Service.Deployments.
	Count(key string) int
}

// NewHTTPService returns the Service of a fake HTTP server. The harness sets Backend.
func NewHTTPService(c Clock, server HTTPServer) Service {
	faults := &FaultInjector{}
	server.Break(func(r *http.Request) *HTTPFault {
		before, after := faults.Next(r.Method != http.MethodGet)
		if before == nil && after == nil {
			return nil
		}
		return &HTTPFault{Status: http.StatusBadGateway, Effect: after != nil}
	})
	s := NewService(c, faults)
	s.Reject, s.Writes, s.Deployments = server.Reject, server.Writes, server.Count
	return s
}
