package fair

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Fraction of the time of one core is what the expressions of one namespace may take in the long run: one in so many.
	Fraction = 10
	// AtOnce is how much time they may take at once after a rest.
	AtOnce = 500 * time.Millisecond
	// sweepFrom is how many namespaces there are at least before those that have rested are forgotten.
	sweepFrom = 1024
)

// Budget counts the time that the evaluation of expressions takes, by namespace. The zero value is ready to use. It may
// be used by many at once.
type Budget struct {
	mu       sync.Mutex
	accounts map[string]account
}

// account is how much time was taken at a moment that the time before had not paid for.
type account struct {
	taken time.Duration
	at    time.Time
}

func (a account) now(t time.Time) time.Duration {
	return max(0, a.taken-max(0, t.Sub(a.at))/Fraction)
}

// Wait is how long until the expressions of a namespace may be evaluated again; 0 is now.
func (b *Budget) Wait(namespace string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.accounts[namespace].now(now)-AtOnce) * Fraction
}

// Spend adds time that the expressions of a namespace have taken.
func (b *Budget) Spend(namespace string, took time.Duration, now time.Time) {
	if took <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accounts == nil {
		b.accounts = map[string]account{}
	}
	b.accounts[namespace] = account{b.accounts[namespace].now(now) + took, now}
	if len(b.accounts) > sweepFrom {
		maps.DeleteFunc(b.accounts, func(_ string, a account) bool { return a.now(now) == 0 })
	}
}

// Meter adds up the time that the expressions of one piece of work take.
type Meter struct{ taken atomic.Int64 }

// Taken is the time so far.
func (m *Meter) Taken() time.Duration { return time.Duration(m.taken.Load()) }

type meterKey struct{}

// WithMeter has a Meter add up what is charged to the context.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// Charge adds time that an evaluation took, and returns how much it is by now. Without a Meter nobody adds it up.
func Charge(ctx context.Context, took time.Duration) time.Duration {
	if m, ok := ctx.Value(meterKey{}).(*Meter); ok {
		return time.Duration(m.taken.Add(int64(took)))
	}
	return 0
}
