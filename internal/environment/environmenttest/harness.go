package environmenttest

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
)

// Fault is an accident at one of the next writes to a Place.
type Fault struct {
	// Write is the number of writes that go well before it.
	Write int
	// After says that the write happens and its answer is lost; otherwise it does not happen.
	After bool
}

// Place is where backends meet, such as a repository, and what a test can do to it. It has a clock of its own, which stands still.
type Place struct {
	// Backend makes a backend that remembers nothing, as after a restart. It writes as the actor, and trusts itself and the others.
	Backend func(t *testing.T, actor string, trusted ...string) environment.Backend
	// Now is the time there.
	Now func() time.Time
	// Step lets time pass.
	Step func(time.Duration)
	// Reject makes the place refuse a revision.
	Reject func(revision string)
	// Break makes an accident happen. It replaces the one before, if that has not happened yet.
	Break func(Fault)
	// Writes counts what was written, by anybody.
	Writes func() int
	// Deployments counts the deployments of a key, by anybody.
	Deployments func(key string) int
	// Down makes the place unreachable, or reachable again.
	Down func(down bool)
}

// Harness is how the test of a backend makes places.
type Harness struct {
	// Open makes an empty place.
	Open func(t *testing.T) Place
	// Text is how many bytes of a text fit at least, beyond what the backend itself adds. Default 100.
	Text int
	// Interval is after what time a backend looks for news at the latest. Default 1m.
	Interval time.Duration
}

// Clock is a clock that stands still until somebody steps it.
type Clock struct{ *clocktesting.FakePassiveClock }

// NewClock returns a Clock at noon of some day.
func NewClock() Clock {
	return Clock{clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
}

// Step moves the clock.
func (c Clock) Step(d time.Duration) { c.SetTime(c.Now().Add(d)) }

// NewPlace returns a Place with that clock where those accidents happen. The harness sets the rest.
func NewPlace(c Clock, a *Accidents) Place {
	return Place{Now: c.Now, Step: c.Step, Break: a.Break, Down: a.Down}
}
