package gitlab

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

const (
	usualPause   = time.Minute
	longestPause = time.Hour
)

// guard is the transport that all requests of one token go through. It makes none while GitLab wants to be left alone or our own budget is
// spent, and sends the token to no other host than GitLab's.
type guard struct {
	next     http.RoundTripper
	host     string
	account  string
	observer environment.Observer
	clock    clock.PassiveClock
	requests *environment.Budget
	writes   *environment.Budget

	mu    sync.Mutex
	until time.Time
}

func newGuard(next http.RoundTripper, host, account string, o PoolOptions) *guard {
	return &guard{
		next: next, host: host, account: account, observer: o.Observer, clock: o.Clock,
		requests: environment.NewBudget(o.Budget, time.Hour), writes: environment.NewBudget(o.Budget/2, time.Hour),
	}
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != g.host {
		return nil, refuse(fmt.Sprintf("GitLab leads to another host than %s: the project may have moved, or the URL is wrong", g.host))
	}
	if err := g.admit(req.Method != http.MethodGet); err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	g.observer.Left(g.account, g.requests.Left(g.clock.Now()), -1)
	if err != nil {
		g.observer.Request(g.account, 0)
		return nil, err
	}
	g.observer.Request(g.account, resp.StatusCode)
	pause, limited := g.pause(resp)
	if !limited {
		if err := bound(resp); err != nil {
			return nil, err
		}
		return resp, nil
	}
	resp.Body.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = g.clock.Now().Add(min(max(pause, time.Second), longestPause))
	return nil, wait(g.until, "GitLab asks for a pause")
}

// admit takes a request out of the budgets.
func (g *guard) admit(write bool) error {
	now := g.clock.Now()
	g.mu.Lock()
	until := g.until
	g.mu.Unlock()
	if now.Before(until) {
		return wait(until, "GitLab asks for a pause")
	}
	if until, ok := g.requests.Take(now); !ok {
		return wait(until, "the budget of requests to GitLab is spent")
	}
	if !write {
		return nil
	}
	if until, ok := g.writes.Take(now); !ok {
		return wait(until, "the budget of writes to GitLab is spent")
	}
	return nil
}

func wait(until time.Time, why string) error {
	return &environment.WaitError{Until: until, Err: fmt.Errorf("%s: no requests until %s", why, until.UTC().Format(time.RFC3339))}
}

// pause is for how long GitLab wants to be left alone. When a limit is set back is by GitLab's clock, which need not be ours.
func (g *guard) pause(resp *http.Response) (time.Duration, bool) {
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	named := err == nil && after >= 0
	switch {
	case resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode != http.StatusServiceUnavailable || !named):
		return 0, false
	case named:
		return time.Duration(min(after, int(longestPause.Seconds()))) * time.Second, true
	}
	reset, err := strconv.ParseInt(resp.Header.Get("RateLimit-Reset"), 10, 64)
	if err != nil {
		return usualPause, true
	}
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		theirs = g.clock.Now()
	}
	return time.Unix(reset, 0).Sub(theirs), true
}
