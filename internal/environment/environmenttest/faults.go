package environmenttest

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/kuberik/kuberik/internal/environment"
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

// HTTPServer is a fake HTTP server of a service, whose faults are of type F.
type HTTPServer[F any] interface {
	// Break calls the function for the fault of each request from now on. Nil removes it.
	Break(choose func(*http.Request) *F)
	// Reject is Service.Reject.
	Reject(revision string)
	// Writes is Service.Writes.
	Writes() int
	// Count is Service.Deployments.
	Count(key string) int
}

// NewHTTPService returns the Service of a fake HTTP server. Fault returns an error response, after which the request
// has had an effect or not, and open returns a backend as Service.Backend does.
func NewHTTPService[F any](
	c Clock, server HTTPServer[F], fault func(effect bool) *F,
	open func(t *testing.T, actor string, trusted []string) environment.Backend,
) Service {
	faults := &FaultInjector{}
	server.Break(func(r *http.Request) *F {
		before, after := faults.Next(r.Method != http.MethodGet)
		if before == nil && after == nil {
			return nil
		}
		return fault(after != nil)
	})
	s := NewService(c, faults)
	s.Reject, s.Writes, s.Deployments = server.Reject, server.Writes, server.Count
	s.Backend = func(t *testing.T, actor string, trusted ...string) environment.Backend {
		t.Helper()
		return open(t, actor, trusted)
	}
	return s
}
