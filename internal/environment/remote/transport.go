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

// minPause and maxPause bound a pause whose length the service does not say. No pause is longer than maxPause.
const (
	minPause = time.Minute
	maxPause = time.Hour
)

// RateLimit is what a response says about the rate limit of a service.
type RateLimit struct {
	// Reached reports whether the service refuses the requests that follow.
	Reached bool
	// Remaining is the number of requests left, or -1 if the service does not say.
	Remaining int
	// Reset is when the limit is reset, in Unix seconds by the clock of the service, or empty.
	Reset string
}

// Transport makes the requests of one account. It sends nothing to a host other than that of the API, makes no requests while the service
// asks for a pause or the budget is spent, and reads no response that is too large. Its errors for a pause are an *environment.WaitError.
type Transport struct {
	service  *Service
	next     http.RoundTripper
	host     string
	token    string
	account  string
	timeout  time.Duration
	observer Observer
	clock    clock.PassiveClock
	requests *Budget
	writes   []*Budget

	mu sync.Mutex
	// until is the end of the pause that the service asked for.
	until time.Time
	// pauses counts the pauses in a row whose length the service did not say.
	pauses int
}

// NewTransport returns the Transport of an account with that name. It authenticates the requests if the options have a token.
func NewTransport(s *Service, o Options, account string, p PoolOptions) (*Transport, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	t := &Transport{
		service: s, next: o.HTTPClient.Transport, host: u.Host, token: o.Token, account: account, timeout: p.Timeout, observer: p.Observer,
		clock: p.Clock, requests: NewBudget(p.Budget, time.Hour),
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
		return nil, Refused("%s redirects to another host than %s: the project may have moved, or the URL is wrong", t.service.Name, t.host)
	}
	if err := t.admit(req.Method != http.MethodGet); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel() // the body of the response is read by then
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
	if err := t.heed(resp, limit); err != nil {
		return nil, err
	}
	return resp, nil
}

func (t *Transport) observe(code, remaining int) {
	t.observer.Request(t.account, code)
	t.observer.Left(t.account, t.Left(), remaining)
}

// admit takes a request out of the budgets.
func (t *Transport) admit(write bool) error {
	now := t.clock.Now()
	t.mu.Lock()
	until := t.until
	t.mu.Unlock()
	if now.Before(until) {
		return t.wait(until)
	}
	// A write beyond its own limits must not spend the budget that reads need.
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
	return wait(until, t.service.Name+" asked for a pause")
}

func wait(until time.Time, why string) error {
	return &environment.WaitError{Until: until, Err: errors.New(why + ": no requests until " + until.UTC().Format(time.RFC3339))}
}

// heed starts a pause if the service wants one. It returns an error if the service refused the request for that reason.
func (t *Transport) heed(resp *http.Response, limit RateLimit) error {
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

// pause returns how long the service wants no requests. The lock is held.
func (t *Transport) pause(resp *http.Response, reset string) time.Duration {
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && after >= 0 {
		return time.Duration(min(after, int(maxPause.Seconds()))) * time.Second
	}
	if at, err := strconv.ParseInt(reset, 10, 64); err == nil {
		// The time is that of the service, whose clock may differ from ours.
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

// Login returns the login that the credentials write as. Once it is known it costs nothing; fetch asks the service for it.
func (a *Account) Login(ctx context.Context, fetch func(context.Context) (string, error)) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.login != "" {
		return a.login, nil
	}
	login, err := fetch(ctx)
	if err == nil && login == "" {
		err = Refused("%s does not say to whom the credentials belong", a.service.Name)
	}
	if err == nil {
		a.login = login
	}
	return login, err
}
