package datadog

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/lru"

	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// maxCachedQueries is the number of results in the cache.
	maxCachedQueries = 1024
	// defaultLimit is how long no requests are made if a response with status 429 does not say.
	defaultLimit = time.Minute
	// maxLimit is the longest time for which no requests are made.
	maxLimit = time.Hour
)

// queryKey identifies a query in the cache.
type queryKey struct {
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

// queryCache caches results and rate limits. Concurrent checks with the same key share one request.
type queryCache struct {
	mu     sync.Mutex
	calls  *lru.Cache
	limits map[queryKey]time.Time
}

func newQueryCache() *queryCache {
	return &queryCache{calls: lru.New(maxCachedQueries), limits: map[queryKey]time.Time{}}
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
	}
	return got, err
}

func (qc *queryCache) call(q queryKey) *call {
	qc.mu.Lock()
	defer qc.mu.Unlock()
	if found, ok := qc.calls.Get(q); ok {
		if l, ok := found.(*call); ok {
			return l
		}
	}
	l := &call{lock: make(chan struct{}, 1)}
	qc.calls.Add(q, l)
	return l
}

func (qc *queryCache) limitedUntil(q queryKey) time.Time {
	qc.mu.Lock()
	defer qc.mu.Unlock()
	return qc.limits[limitKey(q)]
}

// setLimit stops requests for a time, rounded up to seconds, and returns its end.
func (qc *queryCache) setLimit(q queryKey, now time.Time, wait time.Duration) time.Time {
	qc.mu.Lock()
	defer qc.mu.Unlock()
	maps.DeleteFunc(qc.limits, func(_ queryKey, until time.Time) bool { return !now.Before(until) })
	until := now.Add(wait + time.Second).Truncate(time.Second)
	if qc.limits[limitKey(q)].After(until) {
		return qc.limits[limitKey(q)]
	}
	qc.limits[limitKey(q)] = until
	return until
}

// limitKey returns the key of a rate limit, which applies to all queries to an endpoint with the same credentials.
func limitKey(q queryKey) queryKey { return queryKey{credentials: q.credentials, endpoint: q.endpoint} }

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
