package environmenttest

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
)

// Fault is a failure of one of the next writes to a Service.
type Fault struct {
	// Write is the number of writes that succeed before the failure.
	Write int
	// After reports whether the write takes effect and only its response is lost.
	After bool
}

// Service is an outside service, such as GitHub, under the control of a test. Its clock advances only by Step.
type Service struct {
	// Backend returns a backend without any state, as after a restart. It writes as the actor, and trusts it and the
	// others.
	Backend func(t *testing.T, actor string, trusted ...string) environment.Backend
	// Now returns the time.
	Now func() time.Time
	// Step advances the clock.
	Step func(time.Duration)
	// Reject makes the service reject a revision.
	Reject func(revision string)
	// Break causes a failure. It replaces an earlier one that has not happened yet.
	Break func(Fault)
	// Writes returns the number of writes by all actors.
	Writes func() int
	// Deployments returns the number of deployments with a key, by all actors.
	Deployments func(key string) int
	// Down makes the service unreachable, or reachable again.
	Down func(down bool)
}

// Harness opens the Services for the test of a backend.
type Harness struct {
	// Open returns an empty Service.
	Open func(t *testing.T) Service
	// Text is how much of a text the backend keeps at least, in bytes. Defaults to 100.
	Text int
	// Interval is how long a backend may wait between two reads. Defaults to 1m.
	Interval time.Duration
}

// Clock is a clock that advances only by Step.
type Clock struct{ *clocktesting.FakePassiveClock }

// NewClock returns a Clock at a fixed time.
func NewClock() Clock {
	return Clock{clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
}

// Step advances the clock.
func (c Clock) Step(d time.Duration) { c.SetTime(c.Now().Add(d)) }

// NewService returns a Service with a clock and faults. The harness sets the other fields.
func NewService(c Clock, i *FaultInjector) Service {
	return Service{Now: c.Now, Step: c.Step, Break: i.Break, Down: i.Down}
}
