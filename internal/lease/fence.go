package lease

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ErrExpired is the error of a write that was not sent because another replica may hold the lease by now.
var ErrExpired = errors.New("the lease of this replica has not been renewed for too long: another replica may be " +
	"the leader")

// Fence refuses writes of a leader whose lease may have expired. A process that was paused for a long time learns that
// it lost the lease only after it has gone on for a while; until then, its workers would write. Leases themselves may
// always be written.
type Fence struct {
	// Lifetime is how long after the start of a renewal that succeeded writes are allowed.
	Lifetime time.Duration

	mu      sync.Mutex
	renewed time.Time
}

// Wrap returns a transport with the fence.
func (f *Fence) Wrap(next http.RoundTripper) http.RoundTripper { return fencedTransport{f, next} }

// expired reports whether the lease was renewed, and not for too long since.
func (f *Fence) expired(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.renewed.IsZero() {
		return false
	}
	// The monotonic clock stands still while the machine is suspended, the wall clock does not.
	return max(now.Sub(f.renewed), now.Round(0).Sub(f.renewed.Round(0))) > f.Lifetime
}

// renew notes a renewal. A slow one that ends late does not replace a later one.
func (f *Fence) renew(began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if began.After(f.renewed) {
		f.renewed = began
	}
}

type fencedTransport struct {
	fence *Fence
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t fencedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	began, write := time.Now(), r.Method != http.MethodGet
	lease := strings.Contains(r.URL.Path, "/apis/coordination.k8s.io/") // below a path if the API server is behind a proxy
	if write && !lease && t.fence.expired(began) {
		return nil, ErrExpired
	}
	resp, err := t.next.RoundTrip(r)
	if write && lease && err == nil && resp.StatusCode < http.StatusMultipleChoices {
		t.fence.renew(began)
	}
	return resp, err
}
