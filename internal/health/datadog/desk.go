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
	// mostLines is how many questions are remembered.
	mostLines = 1024
	// defaultLimit is how long nobody asks where Datadog does not say, and longestLimit how long at most.
	defaultLimit = time.Minute
	longestLimit = time.Hour
)

// question is something that Datadog is asked.
type question struct {
	// server that answers.
	server string
	// credentials that it is asked with, as a hash.
	credentials string
	// endpoint that answers. Each has limits of its own.
	endpoint string
	// text tells it from other questions to the endpoint.
	text string
	// token of the deployment that it is about: an answer from before a deployment is none for what was deployed.
	token string
}

// answer is what Datadog said, as far as it counts.
type answer struct {
	findings []finding
	series   []expr.Series
}

// desk is where all questions pass. It asks none while Datadog limits requests, and each once for all that ask it at a time.
type desk struct {
	mu     sync.Mutex
	lines  *lru.Cache
	limits map[question]time.Time
}

func newDesk() *desk { return &desk{lines: lru.New(mostLines), limits: map[question]time.Time{}} }

// line is the queue of those who ask the same question.
type line struct {
	turn     chan struct{}
	answered bool
	answer   answer
	at       time.Time
}

// limited is Datadog's answer to who asks too often.
type limited struct {
	wait  time.Duration
	until time.Time
}

// Error implements error.
func (l *limited) Error() string { return "Datadog limits requests until " + stamp(l.until) }

// ask takes the answer that is less than keep old, or fetches one.
func (d *desk) ask(ctx context.Context, q question, now time.Time, keep time.Duration, fetch func() (answer, error)) (answer, error) {
	l := d.line(q)
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("asking %s: %w", q.server, outbound.Cause(ctx, ctx.Err()))
	}
	if l.answered && now.Sub(l.at).Abs() < keep {
		return l.answer, nil
	}
	if until := d.limitedUntil(q); now.Before(until) {
		return answer{}, &limited{until: until}
	}
	got, err := fetch()
	if limit, ok := err.(*limited); ok { //nolint:errorlint // fetch returns it as it is
		return answer{}, &limited{until: d.limit(q, now, limit.wait)}
	}
	if err == nil {
		l.answered, l.answer, l.at = true, got, now
	}
	return got, err
}

func (d *desk) line(q question) *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found, ok := d.lines.Get(q); ok {
		if l, ok := found.(*line); ok {
			return l
		}
	}
	l := &line{turn: make(chan struct{}, 1)}
	d.lines.Add(q, l)
	return l
}

func (d *desk) limitedUntil(q question) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.limits[scope(q)]
}

// limit remembers, in whole seconds, until when nobody asks.
func (d *desk) limit(q question, now time.Time, wait time.Duration) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.limits, func(_ question, until time.Time) bool { return !now.Before(until) })
	until := now.Add(wait + time.Second).Truncate(time.Second)
	if d.limits[scope(q)].After(until) {
		return d.limits[scope(q)]
	}
	d.limits[scope(q)] = until
	return until
}

// scope is what a limit is for: all questions of the same credentials to the same endpoint.
func scope(q question) question { return question{credentials: q.credentials, endpoint: q.endpoint} }

// patience is how long Datadog wants to be left alone. Its own header counts seconds; a proxy's may be a date.
func patience(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"X-RateLimit-Reset", "Retry-After"} {
		value := h.Get(name)
		if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
			return time.Duration(min(seconds, longestLimit.Seconds()) * float64(time.Second))
		}
		if at, err := http.ParseTime(value); err == nil {
			return min(max(at.Sub(now), 0), longestLimit)
		}
	}
	return defaultLimit
}
