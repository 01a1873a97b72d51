package limit

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

type backend struct {
	next   environment.Backend
	budget *environment.Budget
	clock  clock.PassiveClock

	mu   sync.Mutex
	last map[string]environment.News
}

// New makes a backend that asks another one at most so many times in any stretch of that length. When that is spent, there is a *WaitError
// and the other one hears nothing of it. The clock is the system's if it is nil.
func New(next environment.Backend, most int, per time.Duration, c clock.PassiveClock) environment.Backend {
	if c == nil {
		c = clock.RealClock{}
	}
	return &backend{next: next, budget: environment.NewBudget(most, per), clock: c, last: map[string]environment.News{}}
}

// Publish implements environment.Backend.
func (b *backend) Publish(ctx context.Context, s environment.State) error {
	if err := b.take(); err != nil {
		return err
	}
	return b.next.Publish(ctx, s)
}

// Read implements environment.Backend.
func (b *backend) Read(ctx context.Context, application string) (environment.News, error) {
	if err := b.take(); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.last[application], err
	}
	news, err := b.next.Read(ctx, application)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[application] = news
	return news, err
}

func (b *backend) take() error {
	if until, ok := b.budget.Take(b.clock.Now()); !ok {
		return &environment.WaitError{Until: until, Err: errors.New("the budget is spent until " + until.UTC().Format(time.RFC3339))}
	}
	return nil
}
