package sim

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Clock is the time of the simulation: the wall clock, which jumps, and a monotonic clock.
type Clock struct {
	wall time.Time
	mono time.Duration
	// observed is the part of mono in which the controller could observe the cluster. blind is set while it cannot.
	observed time.Duration
	blind    bool
	// jumps counts jumps forwards. A process that was not running cannot notice them.
	jumps int
}

var epoch = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)

func newClock() Clock { return Clock{wall: epoch} }

// Advance advances both clocks.
func (c *Clock) Advance(d time.Duration) {
	c.wall, c.mono = c.wall.Add(d), c.mono+d
	if !c.blind {
		c.observed += d
	}
}

// now returns the time of the monotonic clock.
func (c *Clock) now() time.Time { return epoch.Add(c.mono) }

// Jump sets the clock forwards or back.
func (c *Clock) Jump(d time.Duration) {
	c.wall = c.wall.Add(d)
	if d > 0 {
		c.jumps++
	}
}

// stamp returns the time as the API stores it: in whole seconds.
func (c *Clock) stamp() time.Time { return c.wall.Truncate(time.Second) }

func (c *Clock) stored() *metav1.Time { return &metav1.Time{Time: c.stamp()} }

// Rand is a small random number generator. Equal seeds give equal runs.
type Rand struct{ state uint64 }

func (r *Rand) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// below returns a number from 0 to n-1.
func (r *Rand) below(n int) int { return int(r.next() % uint64(n)) }

// oneIn returns true once in n calls on average.
func (r *Rand) oneIn(n int) bool { return r.below(n) == 0 }

func (r *Rand) seconds(from, to int) time.Duration {
	return time.Duration(from)*time.Second + time.Duration(r.below((to-from)*1000+1))*time.Millisecond
}

func pick[T any](r *Rand, list []T) T { return list[r.below(len(list))] }
