package observed

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// startDelay is the longest time between the start of a span and its first measurement by the process that starts it.
	startDelay = 2 * time.Second
	// reserve is the part of a span that remains at least after a gap. It is long enough to probe health checks again,
	// because their statuses may be from before the gap.
	reserve = 45 * time.Second
	// maxReserveFraction limits the reserve of a span with CountPast to a tenth of its length, so that repeated restarts
	// cannot prolong it for ever.
	maxReserveFraction = 10
)

// Span is a period in the life of an object, such as a bake, that a rule measures.
type Span struct {
	// UID of the object, and the Name of the span among those of the object.
	UID, Name string
	// Start of the span by the wall clock, as stored in a status.
	Start time.Time
	// Length of the span. Zero means that it has no end.
	Length time.Duration
	// CountPast counts the time between Start and the start of this process. Otherwise a new process starts at zero.
	CountPast bool
}

// Spans measures the current span of each object.
type Spans struct {
	clock *Clock
	mu    sync.Mutex
	byKey map[types.NamespacedName]*measurement
}

// measurement is the state of one span.
type measurement struct {
	span    Span
	elapsed time.Duration
	last    Reading
	paused  bool
}

// NewSpans returns a Spans that measures with a Clock.
func NewSpans(c *Clock) *Spans {
	return &Spans{clock: c, byKey: map[types.NamespacedName]*measurement{}}
}

// Elapsed returns how long the current span of an object has lasted, without the time in which the cluster was not
// observed. Wall is the current time of the clock that Start is from, and now that of the Clock.
func (s *Spans) Elapsed(key types.NamespacedName, span Span, wall, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.byKey[key]
	if !ok || !m.span.same(span) {
		if len(s.byKey) == 0 {
			s.clock.Observe(now) // the API server was not polled while there was no span
		}
		m = &measurement{span: span, elapsed: span.elapsedAtStart(wall), last: s.clock.Read(now)}
		s.byKey[key] = m
		return m.elapsed
	}
	reading := s.clock.Read(now)
	if !m.paused {
		m.elapsed += max(0, reading.Total-m.last.Total)
	}
	if reading.Gaps != m.last.Gaps {
		m.elapsed = span.keepReserve(m.elapsed)
	}
	m.last = Reading{Total: max(reading.Total, m.last.Total), Gaps: max(reading.Gaps, m.last.Gaps)}
	return m.elapsed
}

// SetPaused pauses or resumes the span of an object.
func (s *Spans) SetPaused(key types.NamespacedName, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.byKey[key]; ok {
		m.paused = paused
	}
}

// Forget removes the span of an object.
func (s *Spans) Forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, key)
}

// Any returns an object that has a span. It returns false if there is none, so that the cluster need not be observed.
func (s *Spans) Any() (types.NamespacedName, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.byKey {
		return key, true
	}
	return types.NamespacedName{}, false
}

func (s Span) same(o Span) bool { return s.UID == o.UID && s.Name == o.Name && s.Start.Equal(o.Start) }

// elapsedAtStart returns how much of a span counts when this process measures it for the first time. A start that was
// rounded up to the second is slightly in the future.
func (s Span) elapsedAtStart(wall time.Time) time.Duration {
	elapsed := max(wall.Sub(s.Start), -time.Second)
	switch {
	case elapsed <= startDelay:
		return elapsed
	case !s.CountPast:
		return 0
	}
	return s.keepReserve(elapsed)
}

// keepReserve returns the elapsed time after a gap, reduced so that the reserve of the span remains.
func (s Span) keepReserve(elapsed time.Duration) time.Duration {
	if s.Length == 0 {
		return elapsed
	}
	remaining := min(reserve, s.Length)
	if s.CountPast {
		remaining = min(reserve, s.Length/maxReserveFraction)
	}
	return min(elapsed, s.Length-remaining)
}
