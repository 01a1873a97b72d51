package environment

import (
	"sync"
	"time"
)

// Budget keeps calls within a number per time: in no stretch of that length are there more. It is safe for use by several at once.
type Budget struct {
	most int
	per  time.Duration

	mu    sync.Mutex
	spent []time.Time
}

// NewBudget allows that many calls in any stretch of that length. Fewer than one are one.
func NewBudget(most int, per time.Duration) *Budget {
	return &Budget{most: max(most, 1), per: per}
}

// Take takes one call out of the budget. It says false if nothing is left, and when there will be.
func (b *Budget) Take(now time.Time) (until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	if len(b.spent) >= b.most {
		return b.spent[0].Add(b.per), false
	}
	b.spent = append(b.spent, now)
	return time.Time{}, true
}

// Left says how many calls are left.
func (b *Budget) Left(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	return b.most - len(b.spent)
}

func (b *Budget) forget(now time.Time) {
	old := 0
	for old < len(b.spent) && now.Sub(b.spent[old]) >= b.per {
		old++
	}
	b.spent = append(b.spent[:0], b.spent[old:]...)
}
