package observed

import (
	"sync"
	"time"
)

// Clock counts the time during which the process could observe the cluster. The time between two responses of the API
// server counts if it is not longer than a limit. A suspended process and an unavailable API server both cause a gap.
type Clock struct {
	mu    sync.Mutex
	limit time.Duration
	last  time.Time
	total time.Duration
	gaps  int
}

// Reading is the state of a Clock.
type Reading struct {
	// Total is the observed time.
	Total time.Duration
	// Gaps is the number of times between two responses that were longer than the limit.
	Gaps int
}

// NewClock returns a Clock. Limit is the longest time between two responses that counts as observed.
func NewClock(limit time.Duration) *Clock { return &Clock{limit: limit} }

// Observe records that the API server responded, or that the process was running. The time must have a monotonic
// reading, as that of time.Now has, so that changes of the wall clock have no effect.
func (c *Clock) Observe(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch since := now.Sub(c.last); {
	case c.last.IsZero():
	case since < 0:
		return
	case since > c.limit:
		c.gaps++
	default:
		c.total += since
	}
	c.last = now
}

// Read returns how long the cluster was observed until now. The time since the last response counts up to the limit.
func (c *Clock) Read(now time.Time) Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Reading{Total: c.total, Gaps: c.gaps}
	switch since := now.Sub(c.last); {
	case c.last.IsZero() || since < 0:
	case since > c.limit:
		r.Gaps++
	default:
		r.Total += since
	}
	return r
}
