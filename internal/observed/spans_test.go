package observed

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// noon has no monotonic reading, like times from a status.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

var key = types.NamespacedName{Namespace: "ns", Name: "app"}

func bake(length time.Duration) Span {
	return Span{Name: "baking", Start: noon, Length: length, CountPast: true}
}

func deadline(length time.Duration) Span {
	return Span{Name: "deploying", Start: noon, Length: length}
}

// respond records a response every second, from one time after noon to another.
func respond(c *Clock, from, to time.Duration) {
	for at := from; at <= to; at += time.Second {
		c.Observe(noon.Add(at))
	}
}

func TestOnlyObservedTimeCounts(t *testing.T) {
	t.Parallel()
	type period struct{ from, to time.Duration }
	for name, c := range map[string]struct {
		span     Span
		first    time.Duration // time of the first measurement
		observed []period
		at, want time.Duration
	}{
		"observed from the start": {
			deadline(time.Minute), 0, []period{{0, 40 * time.Second}}, 40 * time.Second, 40 * time.Second,
		},
		"a start that was rounded up": {
			deadline(time.Minute), -600 * time.Millisecond, nil, -600 * time.Millisecond, -600 * time.Millisecond,
		},
		"a deadline starts again with the process": {
			deadline(time.Minute), time.Hour, []period{{time.Hour, time.Hour + 20*time.Second}}, time.Hour + 20*time.Second,
			20 * time.Second,
		},
		"a gap": {
			deadline(5 * time.Minute), 0, []period{{0, 20 * time.Second}, {time.Hour, time.Hour + 10*time.Second}},
			time.Hour + 10*time.Second, 30 * time.Second,
		},
		"a gap that has not ended": {
			deadline(5 * time.Minute), 0, []period{{0, 20 * time.Second}}, time.Hour, 20 * time.Second,
		},
		"a deadline keeps a reserve after a gap": {
			deadline(time.Minute), 0, []period{{0, 50 * time.Second}}, time.Hour, 15 * time.Second,
		},
		"a short deadline keeps its length": {
			deadline(30 * time.Second), 0, []period{{0, 29 * time.Second}}, 68 * time.Second, 0,
		},
		"a span without end": {
			deadline(0), 0, []period{{0, 20 * time.Second}}, time.Hour, 20 * time.Second,
		},
		"a bake counts the past": {
			bake(10 * time.Minute), 5 * time.Minute, nil, 5 * time.Minute, 5 * time.Minute,
		},
		"a bake keeps a reserve long after its end": {
			bake(10 * time.Minute), time.Hour, nil, time.Hour, 555 * time.Second,
		},
		"a bake keeps a reserve shortly before its end": {
			bake(10 * time.Minute), 595 * time.Second, nil, 595 * time.Second, 555 * time.Second,
		},
		"a short bake keeps a tenth": {bake(10 * time.Second), time.Hour, nil, time.Hour, 9 * time.Second},
		"a bake does not count a gap": {
			bake(10 * time.Minute), 0, []period{{0, time.Minute}}, time.Hour, time.Minute,
		},
		"first measured by a clock that is far behind": {bake(10 * time.Minute), -time.Hour, nil, -time.Hour, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock(5 * time.Second)
			s := NewSpans(clock)
			got := s.Elapsed(key, c.span, noon.Add(c.first), noon.Add(c.first))
			for _, o := range c.observed {
				respond(clock, o.from, o.to)
			}
			if c.at != c.first {
				got = s.Elapsed(key, c.span, noon.Add(c.at), noon.Add(c.at))
			}
			if got != c.want {
				t.Errorf("elapsed: got %s, want %s", got, c.want)
			}
		})
	}
}

func TestChangesOfTheWallClockHaveNoEffect(t *testing.T) {
	t.Parallel()
	clock, first := NewClock(5*time.Second), time.Now()
	s, span := NewSpans(clock), Span{Start: first.Round(0), Length: time.Hour, CountPast: true}
	s.Elapsed(key, span, first, first)
	for at := time.Duration(0); at <= time.Minute; at += time.Second {
		clock.Observe(first.Add(at))
		if got := s.Elapsed(key, span, first.Add(at), first.Add(at)); got != at {
			t.Fatalf("elapsed after %s: got %s", at, got)
		}
	}
	clock.Observe(first.Add(-time.Minute)) // two workers may record responses in another order
	if got := s.Elapsed(key, span, first.Add(time.Minute), first.Add(time.Minute)); got != time.Minute {
		t.Errorf("elapsed after an earlier response: got %s, want 1m", got)
	}
}

func TestAnotherSpanStartsAtZero(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Span){
		"another object": func(s *Span) { s.UID = "other" }, "another name": func(s *Span) { s.Name = "interrupted" },
		"another start": func(s *Span) { s.Start = noon.Add(10 * time.Second) },
	} {
		clock := NewClock(5 * time.Second)
		s, span := NewSpans(clock), deadline(time.Minute)
		s.Elapsed(key, span, noon, noon)
		respond(clock, 0, 10*time.Second)
		edit(&span)
		if got := s.Elapsed(key, span, noon.Add(10*time.Second), noon.Add(10*time.Second)); got != 0 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAPausedSpanDoesNotElapse(t *testing.T) {
	t.Parallel()
	clock := NewClock(5 * time.Second)
	s := NewSpans(clock)
	s.Elapsed(key, deadline(time.Minute), noon, noon)
	respond(clock, 0, 10*time.Second)
	s.Elapsed(key, deadline(time.Minute), noon.Add(10*time.Second), noon.Add(10*time.Second))
	s.SetPaused(key, true)
	respond(clock, 10*time.Second, 20*time.Second)
	s.Elapsed(key, deadline(time.Minute), noon.Add(20*time.Second), noon.Add(20*time.Second))
	s.SetPaused(key, false)
	respond(clock, 20*time.Second, 25*time.Second)
	end := noon.Add(25 * time.Second)
	if got := s.Elapsed(key, deadline(time.Minute), end, end); got != 15*time.Second {
		t.Errorf("elapsed: got %s, want 15s", got)
	}
}

// TestForget also checks that the time without any span is a gap of the clock and does not count for the next span.
func TestForget(t *testing.T) {
	t.Parallel()
	clock := NewClock(5 * time.Second)
	s := NewSpans(clock)
	s.Elapsed(key, deadline(time.Minute), noon, noon)
	if got, ok := s.Any(); !ok || got != key {
		t.Errorf("got %v, %t, want %v", got, ok, key)
	}
	s.Forget(key)
	if got, ok := s.Any(); ok {
		t.Errorf("got %v after Forget", got)
	}
	s.SetPaused(key, true) // has no effect
	later := noon.Add(time.Hour)
	if got := s.Elapsed(key, Span{Name: "deploying", Start: later, Length: time.Minute}, later, later); got != 0 {
		t.Errorf("elapsed: got %s, want 0", got)
	}
	respond(clock, time.Hour, time.Hour+3*time.Second)
	if got := clock.Read(noon.Add(time.Hour + 3*time.Second)); got != (Reading{Total: 3 * time.Second, Gaps: 1}) {
		t.Errorf("the clock reads %+v", got)
	}
}
