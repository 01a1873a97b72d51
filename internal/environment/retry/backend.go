package retry

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

// Options say how often and how fast.
type Options struct {
	// Attempts, the first included. Default 3.
	Attempts int
	// Pause before the second attempt; each later one is twice as long. Default 1s.
	Pause time.Duration
	// Longest pause. Default 30s.
	Longest time.Duration
	// Clock to pause by. Default the system's.
	Clock clock.Clock
}

type backend struct {
	next environment.Backend
	o    Options
}

// New makes a backend that asks another one, and asks again. An error is that of the last attempt.
func New(next environment.Backend, o Options) environment.Backend {
	o.Attempts, o.Pause, o.Longest = cmp.Or(o.Attempts, 3), cmp.Or(o.Pause, time.Second), cmp.Or(o.Longest, 30*time.Second)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return &backend{next: next, o: o}
}

// Publish implements environment.Backend.
func (b *backend) Publish(ctx context.Context, s environment.State) error {
	return b.again(ctx, func() error { return b.next.Publish(ctx, s) })
}

// Read implements environment.Backend.
func (b *backend) Read(ctx context.Context, application string) (news environment.News, err error) {
	err = b.again(ctx, func() error {
		news, err = b.next.Read(ctx, application)
		return err
	})
	return news, err
}

func (b *backend) again(ctx context.Context, ask func() error) error {
	pause := b.o.Pause
	for attempt := 1; ; attempt++ {
		err := ask()
		if attempt >= b.o.Attempts || ctx.Err() != nil || !passing(err) {
			return err
		}
		timer := b.o.Clock.NewTimer(min(pause, b.o.Longest))
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C():
		}
		pause *= 2
	}
}

// passing says whether anything in an error may pass. One that has to wait or was refused spoils it for the others.
func passing(err error) bool {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	return err != nil && !errors.As(err, &wait) && !errors.As(err, &refused) && hasOther(err)
}

// hasOther says whether there is anything in an error but deployments that cannot be published.
func hasOther(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if hasOther(e) {
				return true
			}
		}
		return false
	}
	var one *environment.DeploymentError
	return !errors.As(err, &one)
}
