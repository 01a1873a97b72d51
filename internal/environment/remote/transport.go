package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

// minPause and maxPause bound a pause whose length the service does not specify. No pause is longer than maxPause.
const (
	minPause = time.Minute
	maxPause = time.Hour
)

// RateLimit is what a response says about the rate limit of a service.
type RateLimit struct {
	// Reached reports whether the service will refuse more requests.
	Reached bool
	// Remaining is the number of requests left, or -1 if it is unknown.
	Remaining int
	// Reset is when the limit is reset, in Unix seconds by the clock of the service, or empty.
	Reset string
}

// Transport makes the requests of one account. It sends requests only to the host of the API, makes none during a pause
// of the service or while the budget is spent, and refuses responses that are too large. During a pause it returns an
// *environment.WaitError.
type Transport struct {
	service *Service
	next    http.RoundTripper
	host    string
	token   string
	account string
	// namespace has used the account first.
	namespace string
	timeout   time.Duration
	observer  Observer
	clock     clock.PassiveClock
	requests  *Budget
	writes    []*Budget

	mu sync.Mutex
	// until is the end of the pause.
	until time.Time
	// pauses counts the consecutive pauses without a specified length.
	pauses int
}

// NewTransport returns the Transport of an account. It authenticates the requests if the options have a token.
func NewTransport(s *Service, o Options, account string, p PoolOptions) (*Transport, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	t := &Transport{
		service: s, next: o.HTTPClient.Transport, host: u.Host, token: o.Token, timeout: p.Timeout,
		account: account, namespace: o.Namespace,
		observer: p.Observer,
		clock:    p.Clock, requests: NewBudget(p.Budget, time.Hour),
	}
	if t.next == nil {
		t.next = http.DefaultTransport
	}
	for _, l := range s.Writes(p.Budget) {
		t.writes = append(t.writes, NewBudget(l.Requests, l.Period))
	}
	return t, nil
}

// Left returns how many requests are left of the budget.
func (t *Transport) Left() int { return t.requests.Left(t.clock.Now()) }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != t.host {
		return nil, Refused(
			"%s redirects to another host than %s: the project may have moved, or the URL is wrong", t.service.Name, t.host,
		)
	}
	if err := t.admit(req.Method != http.MethodGet); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel() // bound has read the body
	req = req.Clone(ctx)
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		t.observe(0, -1)
		return nil, err
	}
	body, err := t.service.bound(resp)
	if err != nil {
		t.observe(resp.StatusCode, -1)
		return nil, err
	}
	limit := t.service.RateLimit(resp, body)
	t.observe(resp.StatusCode, limit.Remaining)
	if err := t.applyRateLimit(resp, limit); err != nil {
		return nil, err
	}
	return resp, nil
}

func (t *Transport) observe(code, remaining int) {
	t.observer.Request(t.namespace, t.account, code)
	t.observer.Left(t.namespace, t.account, t.Left(), remaining)
}

// admit takes a request from the budgets.
func (t *Transport) admit(write bool) error {
	now := t.clock.Now()
	t.mu.Lock()
	until := t.until
	t.mu.Unlock()
	if now.Before(until) {
		return t.wait(until)
	}
	// The limits of writes come first, so that a refused write does not spend the budget of reads.
	budgets := []*Budget{t.requests}
	if write {
		budgets = slices.Concat(t.writes, budgets)
	}
	for _, b := range budgets {
		if until, ok := b.Take(now); !ok {
			return wait(until, "the budget of requests to "+t.service.Name+" is spent")
		}
	}
	return nil
}

func (t *Transport) wait(until time.Time) error {
	return wait(until, t.service.Name+" requests a pause")
}

func wait(until time.Time, reason string) error {
	return &environment.WaitError{
		Until: until, Err: errors.New(reason + ": no requests until " + until.UTC().Format(time.RFC3339)),
	}
}

// applyRateLimit begins a pause if the rate limit is reached. It returns an error if the request was refused for that
// reason.
func (t *Transport) applyRateLimit(resp *http.Response, limit RateLimit) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !limit.Reached {
		t.pauses = 0
		return nil
	}
	t.until = t.clock.Now().Add(min(max(t.pause(resp, limit.Reset), time.Second), maxPause))
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	return t.wait(t.until)
}

// pause returns how long to make no requests. The lock is held.
func (t *Transport) pause(resp *http.Response, reset string) time.Duration {
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && after >= 0 {
		return time.Duration(min(after, int(maxPause.Seconds()))) * time.Second
	}
	if at, err := strconv.ParseInt(reset, 10, 64); err == nil {
		// The clock of the service may differ from ours.
		now, err := http.ParseTime(resp.Header.Get("Date"))
		if err != nil {
			now = t.clock.Now()
		}
		return time.Unix(at, 0).Sub(now)
	}
	t.pauses++
	return minPause << min(t.pauses-1, 10)
}

// Account is a set of credentials at a service.
type Account struct {
	*Transport

	mu    sync.Mutex
	login string
}

// Login returns the login of the credentials. Fetch requests it from the service, once.
func (a *Account) Login(ctx context.Context, fetch func(context.Context) (string, error)) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login != "" {
		return a.login, nil
	}
	login, err := fetch(ctx)
	if err == nil && login == "" {
		err = Refused("%s does not return the login of the credentials", a.service.Name)
	}
	if err == nil {
		a.login = login
	}
	return login, err
}
