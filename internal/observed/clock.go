package observed

import (
	"sync"
	"time"
)

// Clock counts the time in which the process could observe the cluster. It runs from one answer of the API server to the next, as long as
// they are no further apart than a limit: a process that was stopped and an API server that is away both leave a gap.
type Clock struct {
	mu    sync.Mutex
	limit time.Duration
	last  time.Time
	total time.Duration
	gaps  int
}

// Reading is the state of a Clock.
type Reading struct {
	// Total is how long the cluster was observed.
	Total time.Duration
	// Gaps is how often it was not.
	Gaps int
}

// NewClock makes a Clock. Limit is the longest time between two answers that counts as observed.
func NewClock(limit time.Duration) *Clock { return &Clock{limit: limit} }

// Answered notes that the API server has answered. The time has to carry a monotonic reading, as that of time.Now does: then a wall clock
// that jumps changes nothing.
func (c *Clock) Answered(now time.Time) {
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

// Read returns how long the cluster was observed until now. The time since the last answer counts up to the limit.
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
