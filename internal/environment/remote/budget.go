package remote

import (
	"sync"
	"time"
)

// Budget limits the number of requests in any period of the same length. It is safe for concurrent use.
type Budget struct {
	limit  int
	period time.Duration

	mu    sync.Mutex
	spent []time.Time
}

// NewBudget returns a Budget of limit requests per period, at least one.
func NewBudget(limit int, period time.Duration) *Budget {
	return &Budget{limit: max(limit, 1), period: period}
}

// Take takes one request from the budget. If none is left, it returns false and when the next one is available.
func (b *Budget) Take(now time.Time) (until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	if len(b.spent) >= b.limit {
		return b.spent[0].Add(b.period), false
	}
	b.spent = append(b.spent, now)
	return time.Time{}, true
}

// Left returns how many requests are left.
func (b *Budget) Left(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now)
	return b.limit - len(b.spent)
}

func (b *Budget) expire(now time.Time) {
	expired := 0
	for expired < len(b.spent) && now.Sub(b.spent[expired]) >= b.period {
		expired++
	}
	b.spent = append(b.spent[:0], b.spent[expired:]...)
}
