package environmenttest

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
)

// Fault is a failure of one of the next writes to a Place.
type Fault struct {
	// Write is the number of writes that succeed before it.
	Write int
	// After reports whether the write takes effect and its response is lost; otherwise it has no effect.
	After bool
}

// Place is a service where backends meet, such as a repository, under the control of a test. Its clock stands still.
type Place struct {
	// Backend returns a backend without any state, as after a restart. It writes as the actor, and trusts it and the others.
	Backend func(t *testing.T, actor string, trusted ...string) environment.Backend
	// Now returns the time.
	Now func() time.Time
	// Step moves the clock.
	Step func(time.Duration)
	// Reject makes the Place reject a revision.
	Reject func(revision string)
	// Break causes a failure. It replaces an earlier one that has not happened yet.
	Break func(Fault)
	// Writes returns the number of writes by all actors.
	Writes func() int
	// Deployments returns the number of deployments with a key, by all actors.
	Deployments func(key string) int
	// Down makes the Place unreachable, or reachable again.
	Down func(down bool)
}

// Harness creates Places for the test of a backend.
type Harness struct {
	// Open returns an empty Place.
	Open func(t *testing.T) Place
	// Text is how much of a text a backend keeps at least, in bytes, without what it adds itself. Defaults to 100.
	Text int
	// Interval is after how long a backend reads again at the latest. Defaults to 1m.
	Interval time.Duration
}

// Clock is a clock that moves only when a test steps it.
type Clock struct{ *clocktesting.FakePassiveClock }

// NewClock returns a Clock at a fixed time.
func NewClock() Clock {
	return Clock{clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
}

// Step moves the clock.
func (c Clock) Step(d time.Duration) { c.SetTime(c.Now().Add(d)) }

// NewPlace returns a Place with a clock and accidents. The harness sets the other fields.
func NewPlace(c Clock, a *Accidents) Place {
	return Place{Now: c.Now, Step: c.Step, Break: a.Break, Down: a.Down}
}
