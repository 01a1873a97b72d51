package github

import (
	"bytes"
	"cmp"
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// GitHub counts what creates content on its own, and undocumented limits are said to be 80 a minute and 500 an hour.
	writesPerMinute = 60
	writesPerHour   = 450

	shortestWait = time.Minute
	longestWait  = time.Hour
	// maxErrorBody bounds what is read of an answer that is an error.
	maxErrorBody = 64 << 10
)

// guard is the transport that all requests of one account go through. It makes none while GitHub wants to be left alone or our own budget is
// spent, and says so with a *environment.WaitError; and it sends the credentials to no other host than GitHub's.
type guard struct {
	next     http.RoundTripper
	host     string
	account  string
	clock    clock.PassiveClock
	observer environment.Observer
	requests *environment.Budget
	minutely *environment.Budget
	hourly   *environment.Budget

	mu sync.Mutex
	// until when there are no requests, and why.
	until time.Time
	why   string
	// waits counts the refusals in a row that named no time.
	waits int
}

func newGuard(next http.RoundTripper, host, account string, o PoolOptions) *guard {
	return &guard{
		next: next, host: host, account: account, clock: o.Clock, observer: o.Observer,
		requests: environment.NewBudget(o.Budget, time.Hour),
		minutely: environment.NewBudget(writesPerMinute, time.Minute),
		hourly:   environment.NewBudget(writesPerHour, time.Hour),
	}
}

// left is how many requests are left of the budget.
func (g *guard) left() int { return g.requests.Left(g.clock.Now()) }

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != g.host {
		return nil, &environment.RefusedError{Err: fmt.Errorf("GitHub leads to another host than %s: the repository may have moved, or the API URL is wrong", g.host)}
	}
	if err := g.admit(req.Method != http.MethodGet); err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		g.observer.Request(g.account, 0)
		return nil, err
	}
	g.observer.Request(g.account, resp.StatusCode)
	limit, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	if err != nil {
		limit = -1
	}
	g.observer.Left(g.account, g.left(), limit)
	return g.heed(resp, limit)
}

// admit takes a request out of the budgets.
func (g *guard) admit(write bool) error {
	now := g.clock.Now()
	g.mu.Lock()
	until, why := g.until, g.why
	g.mu.Unlock()
	if now.Before(until) {
		return wait(until, why)
	}
	if until, ok := g.requests.Take(now); !ok {
		return wait(until, "the budget of requests to GitHub is spent")
	}
	if !write {
		return nil
	}
	for _, b := range []*environment.Budget{g.hourly, g.minutely} {
		if until, ok := b.Take(now); !ok {
			return wait(until, "the budget of writes to GitHub is spent")
		}
	}
	return nil
}

func wait(until time.Time, why string) error {
	return &environment.WaitError{Until: until, Err: fmt.Errorf("%s: no requests until %s", why, until.UTC().Format(time.RFC3339))}
}

// heed looks whether GitHub wants to be left alone from now on.
func (g *guard) heed(resp *http.Response, limit int) (*http.Response, error) {
	refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests
	if !refused {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waits = 0
		if limit == 0 {
			g.until, g.why = g.reset(resp), "the rate limit of GitHub is used up"
		}
		return resp, nil
	}
	text, err := restore(resp)
	if err != nil {
		return nil, err
	}
	until, why, limited := g.limited(resp, limit, text)
	if !limited {
		return resp, nil
	}
	resp.Body.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until, g.why = until, why
	return nil, wait(until, why)
}

// limited tells a limit from a lack of rights: both are 403.
func (g *guard) limited(resp *http.Response, limit int, text string) (until time.Time, why string, yes bool) {
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	switch {
	case err == nil && after >= 0:
		return g.clock.Now().Add(min(max(time.Duration(after)*time.Second, time.Second), longestWait)), "GitHub asks for a pause", true
	case limit == 0:
		return g.reset(resp), "the rate limit of GitHub is used up", true
	case resp.StatusCode == http.StatusTooManyRequests || strings.Contains(text, "rate limit") || strings.Contains(text, "abuse"):
		g.mu.Lock()
		defer g.mu.Unlock()
		pause := min(shortestWait<<min(g.waits, 10), longestWait)
		g.waits++
		return g.clock.Now().Add(pause), "the secondary rate limit of GitHub is reached", true
	}
	return time.Time{}, "", false
}

// reset reads when the limit is set back. That is by GitHub's clock, which need not be ours.
func (g *guard) reset(resp *http.Response) time.Time {
	now := g.clock.Now()
	seconds, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return now.Add(shortestWait)
	}
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		theirs = now
	}
	pause := time.Unix(seconds, 0).Sub(theirs)
	return now.Add(min(max(pause, time.Second), longestWait))
}

// restore reads the text of an error and puts it back.
func restore(resp *http.Response) (string, error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body.Close()
	if err != nil {
		return "", errors.Join(errors.New("the answer of GitHub broke off"), err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return cmp.Or(strings.ToLower(string(text)), " "), nil
}

const (
	// maxAnswer bounds a list in bytes. It is less than our way out reads, so that we know what is wrong.
	maxAnswer = 4<<20 - 1
	// maxObject bounds an answer that is about one thing, and is no list.
	maxObject = 256 << 10
	// maxNested bounds the elements of all lists within an answer, payloads aside: what is small there may be large here.
	maxNested = 10000
)

// errTooLong says that fewer things have to be asked for at once.
var errTooLong = errors.New("the answer of GitHub is too long: it has to be less than 4 MiB")

// bounded is the transport that reads an answer and refuses it before anybody decodes what is much larger than it looks.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	limit := int64(maxAnswer)
	if resp.StatusCode >= http.StatusBadRequest {
		// What an error says is of no use beyond that.
		limit = maxErrorBody - 1
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode >= http.StatusBadRequest:
	case int64(len(body)) > limit:
		return nil, errTooLong
	default:
		if err := measure(body); err != nil {
			return nil, err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// measure refuses an answer with more in it than was asked for.
func measure(body []byte) error {
	if text := bytes.TrimSpace(body); len(body) > maxObject && !bytes.HasPrefix(text, []byte("[")) {
		return fmt.Errorf("GitHub answers with %d bytes where no more than %d were expected", len(body), maxObject)
	}
	// Payloads are not decoded with the rest, and what they may be is bounded.
	switch elements, nested := outbound.Elements(body, "payload"); {
	case elements > perPage:
		return fmt.Errorf("GitHub answers with a page of %d things where %d were asked for", elements, perPage)
	case nested > maxNested:
		return fmt.Errorf("GitHub answers with %d things in lists within lists, which is more than anybody needs", nested)
	}
	return nil
}

// maxCache bounds the answers that are kept, in bytes. A page of 100 deployments has about 300 kB.
const maxCache = 16 << 20

// fresh marks requests that are not answered from the cache, even if GitHub says that nothing has changed.
type fresh struct{}

func withoutCache(ctx context.Context) context.Context { return context.WithValue(ctx, fresh{}, true) }

// cache is a transport that keeps the newest answers and asks GitHub whether they have changed. An answer that they have not costs nothing
// of GitHub's rate limit.
type cache struct {
	next http.RoundTripper

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List
	size    int
}

type answer struct {
	url, etag string
	header    http.Header
	body      []byte
}

func newCache(next http.RoundTripper) *cache {
	return &cache{next: next, entries: map[string]*list.Element{}, recent: list.New()}
}

// RoundTrip implements http.RoundTripper.
func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.Context().Value(fresh{}) != nil {
		return c.next.RoundTrip(req)
	}
	known, ok := c.get(req.URL.String())
	if ok {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch {
	case ok && resp.StatusCode == http.StatusNotModified:
		resp.Body.Close()
		resp.StatusCode, resp.Status = http.StatusOK, http.StatusText(http.StatusOK)
		// The Link of an answer is not repeated when it has not changed.
		for name, values := range known.header {
			if resp.Header.Get(name) == "" {
				resp.Header[name] = values
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(known.body)), int64(len(known.body))
		return resp, nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "":
		return c.keep(req.URL.String(), resp)
	}
	return resp, nil
}

// keep reads an answer and keeps it, unless it is broken.
func (c *cache) keep(url string, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if json.Valid(body) {
		c.put(&answer{url: url, etag: resp.Header.Get("ETag"), header: http.Header{"Link": resp.Header["Link"]}, body: body})
	}
	return resp, nil
}

func (c *cache) get(url string) (*answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[url]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	a, ok := e.Value.(*answer)
	return a, ok
}

func (c *cache) put(a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.entries[a.url])
	c.entries[a.url] = c.recent.PushFront(a)
	c.size += len(a.body)
	for c.size > maxCache {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	if e == nil {
		return
	}
	if a, ok := c.recent.Remove(e).(*answer); ok {
		c.size -= len(a.body)
		delete(c.entries, a.url)
	}
}
