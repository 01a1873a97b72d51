package datadog

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// maxCached is the size of the cached results in bytes, and maxCachedOfNamespace the share of one namespace.
	maxCached, maxCachedOfNamespace = 16 << 20, 2 << 20
	// maxLimits is the number of cached rate limits. Without its rate limit, a query makes one request more.
	maxLimits = 8192
	// defaultLimit is how long no requests are made if a response with status 429 does not say.
	defaultLimit = time.Minute
	// maxLimit is the longest time for which no requests are made.
	maxLimit = time.Hour
)

// queryKey identifies a query in the cache.
type queryKey struct {
	// namespace of the check. It has a share of the cache.
	namespace string
	// server is the host of the API.
	server string
	// credentials is a hash of the keys.
	credentials string
	// endpoint of the API. Each has its own rate limit.
	endpoint string
	// text is the query itself.
	text string
	// token identifies the deployment. A result from before a deployment says nothing about it.
	token string
}

// queryResult is the parsed response to a query.
type queryResult struct {
	reports []monitorReport
	series  []expr.Series
}

// size returns about how much memory a result takes in the cache, in bytes.
func (a queryResult) size(q queryKey) int {
	size := 512 + len(q.text)
	for _, r := range a.reports {
		size += 64 + len(r.message)
	}
	for _, s := range a.series {
		size += 64 + len(s.Scope) + 8*cap(s.Points)
	}
	return size
}

// queryCache caches results and rate limits. Concurrent checks of a namespace with the same key share one request.
type queryCache struct {
	mu    sync.Mutex
	calls *fair.Cache[queryKey, *call]
	// limits are by credentials, which several namespaces may have, and endpoint.
	limits *fair.Cache[string, time.Time]
}

func newQueryCache() *queryCache {
	return &queryCache{
		calls:  fair.NewCache[queryKey, *call](maxCached, maxCachedOfNamespace, nil),
		limits: fair.NewCache[string, time.Time](maxLimits, maxLimits, nil),
	}
}

// call is the cached result of a query. The channel serializes the requests for it.
type call struct {
	lock   chan struct{}
	done   bool
	result queryResult
	at     time.Time
}

// rateLimitError is the error for a response with status 429.
type rateLimitError struct {
	wait  time.Duration
	until time.Time
}

// Error implements error.
func (l *rateLimitError) Error() string {
	return "Datadog limits requests until " + formatTime(l.until)
}

// get returns the cached result if it is younger than ttl. Otherwise it calls fetch, unless requests are limited.
func (qc *queryCache) get(
	ctx context.Context, q queryKey, now time.Time, ttl time.Duration, fetch func() (queryResult, error),
) (queryResult, error) {
	l := qc.call(q)
	select {
	case l.lock <- struct{}{}:
		defer func() { <-l.lock }()
	case <-ctx.Done():
		return queryResult{}, fmt.Errorf("querying %s: %w", q.server, outbound.Cause(ctx, ctx.Err()))
	}
	if l.done && now.Sub(l.at).Abs() < ttl {
		return l.result, nil
	}
	if until := qc.limitedUntil(q); now.Before(until) {
		return queryResult{}, &rateLimitError{until: until}
	}
	got, err := fetch()
	if limited, ok := err.(*rateLimitError); ok { //nolint:errorlint // fetch does not wrap it
		return queryResult{}, &rateLimitError{until: qc.setLimit(q, now, limited.wait)}
	}
	if err == nil {
		l.done, l.result, l.at = true, got, now
		qc.calls.Add(q.namespace, q, l, got.size(q))
	}
	return got, err
}

func (qc *queryCache) call(q queryKey) *call {
	qc.mu.Lock()
	defer qc.mu.Unlock()
	if l, ok := qc.calls.Get(q.namespace, q); ok {
		return l
	}
	l := &call{lock: make(chan struct{}, 1)}
	qc.calls.Add(q.namespace, q, l, l.result.size(q))
	return l
}

// limitedUntil returns the end of the rate limit, which applies to all queries to an endpoint with the same
// credentials.
func (qc *queryCache) limitedUntil(q queryKey) time.Time {
	until, _ := qc.limits.Get(q.credentials, q.endpoint)
	return until
}

// setLimit stops requests for a time, rounded up to seconds, and returns its end.
func (qc *queryCache) setLimit(q queryKey, now time.Time, wait time.Duration) time.Time {
	qc.mu.Lock()
	defer qc.mu.Unlock()
	until := now.Add(wait + time.Second).Truncate(time.Second)
	if known := qc.limitedUntil(q); known.After(until) {
		return known
	}
	qc.limits.Add(q.credentials, q.endpoint, until, 1)
	return until
}

// retryAfter returns how long to make no requests. The header of Datadog is in seconds; that of a proxy may be a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"X-RateLimit-Reset", "Retry-After"} {
		value := h.Get(name)
		if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
			return time.Duration(min(seconds, maxLimit.Seconds()) * float64(time.Second))
		}
		if at, err := http.ParseTime(value); err == nil {
			return min(max(at.Sub(now), 0), maxLimit)
		}
	}
	return defaultLimit
}
