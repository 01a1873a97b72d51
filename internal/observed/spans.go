package observed

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// atOnce is how soon a span is seen by the process that starts it.
	atOnce = 2 * time.Second
	// lookAgain is how much of a span is left at the least after a time without observation: long enough for checks to be probed anew,
	// since what their statuses say may be from before.
	lookAgain = 45 * time.Second
	// lookAgainPart bounds that for a span that credits recorded time, so that restarts in a row cannot prolong it for ever.
	lookAgainPart = 10
)

// Span is a stretch of time in the life of an object that a rule measures.
type Span struct {
	// UID of the object, and the Name that tells the span from others of it.
	UID, Name string
	// Start of the span, as it was recorded.
	Start time.Time
	// Whole is how long it lasts; 0: it is not bounded.
	Whole time.Duration
	// Recorded is whether the time between its start and the start of this process counts too. If not, a new process begins at zero.
	Recorded bool
}

// Spans measures the current span of each object.
type Spans struct {
	clock *Clock
	mu    sync.Mutex
	of    map[types.NamespacedName]*measure
}

// measure is how far a span has got.
type measure struct {
	span Span
	ran  time.Duration
	at   Reading
	held bool
}

// NewSpans measures by a Clock.
func NewSpans(c *Clock) *Spans { return &Spans{clock: c, of: map[types.NamespacedName]*measure{}} }

// Elapsed is how long the span of an object has lasted, without the time in which nobody observed the cluster. Wall is the time by which
// the start was recorded, and now that of the Clock; both are what time.Now returns.
func (s *Spans) Elapsed(key types.NamespacedName, span Span, wall, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.of[key]
	if !ok || !m.span.is(span) {
		if len(s.of) == 0 {
			s.clock.Answered(now) // nobody asked the API server while nothing was measured
		}
		m = &measure{span: span, ran: span.before(wall), at: s.clock.Read(now)}
		s.of[key] = m
		return m.ran
	}
	at := s.clock.Read(now)
	if !m.held {
		m.ran += max(0, at.Total-m.at.Total)
	}
	if at.Gaps != m.at.Gaps {
		m.ran = span.unfinished(m.ran)
	}
	m.at = Reading{Total: max(at.Total, m.at.Total), Gaps: max(at.Gaps, m.at.Gaps)}
	return m.ran
}

// Hold stops the measure of an object from now on, or lets it go on.
func (s *Spans) Hold(key types.NamespacedName, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.of[key]; ok {
		m.held = held
	}
}

// Forget ends the measure of an object.
func (s *Spans) Forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, key)
}

// Any is an object that is measured. False: none is, and the cluster need not be observed.
func (s *Spans) Any() (types.NamespacedName, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.of {
		return key, true
	}
	return types.NamespacedName{}, false
}

func (s Span) is(o Span) bool { return s.UID == o.UID && s.Name == o.Name && s.Start.Equal(o.Start) }

// before is how much of a span counts when a process sees it for the first time. A start that is rounded up to the second lies a little
// ahead of now.
func (s Span) before(wall time.Time) time.Duration {
	ran := max(wall.Sub(s.Start), -time.Second)
	switch {
	case ran <= atOnce:
		return ran
	case !s.Recorded:
		return 0
	}
	return s.unfinished(ran)
}

// unfinished is how much of what has passed of a span counts after a time without observation.
func (s Span) unfinished(ran time.Duration) time.Duration {
	if s.Whole == 0 {
		return ran
	}
	left := min(lookAgain, s.Whole)
	if s.Recorded {
		left = min(lookAgain, s.Whole/lookAgainPart)
	}
	return min(ran, s.Whole-left)
}
