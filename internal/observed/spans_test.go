package observed

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// noon has no monotonic reading, as times have that were stored.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

var key = types.NamespacedName{Namespace: "ns", Name: "app"}

func bake(whole time.Duration) Span {
	return Span{Name: "baking", Start: noon, Whole: whole, Recorded: true}
}

func deadline(whole time.Duration) Span { return Span{Name: "deploying", Start: noon, Whole: whole} }

// watch lets the API server answer every second, from one time after noon to another.
func watch(c *Clock, from, to time.Duration) {
	for at := from; at <= to; at += time.Second {
		c.Answered(noon.Add(at))
	}
}

func TestOnlyObservedTimeCounts(t *testing.T) {
	t.Parallel()
	type stretch struct{ from, to time.Duration }
	for name, c := range map[string]struct {
		span     Span
		first    time.Duration // when the process sees the span first
		observed []stretch
		at, want time.Duration
	}{
		"observed from the start":                       {deadline(time.Minute), 0, []stretch{{0, 40 * time.Second}}, 40 * time.Second, 40 * time.Second},
		"rounded up, it starts in the future":           {deadline(time.Minute), -600 * time.Millisecond, nil, -600 * time.Millisecond, -600 * time.Millisecond},
		"a deadline begins anew with the process":       {deadline(time.Minute), time.Hour, []stretch{{time.Hour, time.Hour + 20*time.Second}}, time.Hour + 20*time.Second, 20 * time.Second},
		"the process stood still, or nobody answered":   {deadline(5 * time.Minute), 0, []stretch{{0, 20 * time.Second}, {time.Hour, time.Hour + 10*time.Second}}, time.Hour + 10*time.Second, 30 * time.Second},
		"it stands still at this moment":                {deadline(5 * time.Minute), 0, []stretch{{0, 20 * time.Second}}, time.Hour, 20 * time.Second},
		"after that a deadline leaves time to look":     {deadline(time.Minute), 0, []stretch{{0, 50 * time.Second}}, time.Hour, 15 * time.Second},
		"and a short one its whole time":                {deadline(30 * time.Second), 0, []stretch{{0, 29 * time.Second}}, 68 * time.Second, 0},
		"an unbounded wait is measured as well":         {deadline(0), 0, []stretch{{0, 20 * time.Second}}, time.Hour, 20 * time.Second},
		"a bake credits what was recorded":              {bake(10 * time.Minute), 5 * time.Minute, nil, 5 * time.Minute, 5 * time.Minute},
		"but not its end, long after it":                {bake(10 * time.Minute), time.Hour, nil, time.Hour, 555 * time.Second},
		"nor shortly before it":                         {bake(10 * time.Minute), 595 * time.Second, nil, 595 * time.Second, 555 * time.Second},
		"nor a tenth of a short one":                    {bake(10 * time.Second), time.Hour, nil, time.Hour, 9 * time.Second},
		"a bake does not go on while nobody can see it": {bake(10 * time.Minute), 0, []stretch{{0, time.Minute}}, time.Hour, time.Minute},
		"seen first by a clock that is far behind":      {bake(10 * time.Minute), -time.Hour, nil, -time.Hour, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock(5 * time.Second)
			s := NewSpans(clock)
			got := s.Elapsed(key, c.span, noon.Add(c.first), noon.Add(c.first))
			for _, o := range c.observed {
				watch(clock, o.from, o.to)
			}
			if c.at != c.first {
				got = s.Elapsed(key, c.span, noon.Add(c.at), noon.Add(c.at))
			}
			if got != c.want {
				t.Errorf("%s count, want %s", got, c.want)
			}
		})
	}
}

func TestAWallClockThatJumpsChangesNothing(t *testing.T) {
	t.Parallel()
	clock, first := NewClock(5*time.Second), time.Now()
	s, span := NewSpans(clock), Span{Start: first.Round(0), Whole: time.Hour, Recorded: true}
	s.Elapsed(key, span, first, first)
	for at := time.Duration(0); at <= time.Minute; at += time.Second {
		clock.Answered(first.Add(at))
		if got := s.Elapsed(key, span, first.Add(at), first.Add(at)); got != at {
			t.Fatalf("after %s it is %s", at, got)
		}
	}
	clock.Answered(first.Add(-time.Minute)) // the answers of two workers may come in another order
	if got := s.Elapsed(key, span, first.Add(time.Minute), first.Add(time.Minute)); got != time.Minute {
		t.Errorf("an answer from before makes it %s", got)
	}
}

func TestAnotherSpanIsMeasuredAnew(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Span){
		"another object": func(s *Span) { s.UID = "other" }, "another name": func(s *Span) { s.Name = "interrupted" },
		"another start": func(s *Span) { s.Start = noon.Add(10 * time.Second) },
	} {
		clock := NewClock(5 * time.Second)
		s, span := NewSpans(clock), deadline(time.Minute)
		s.Elapsed(key, span, noon, noon)
		watch(clock, 0, 10*time.Second)
		edit(&span)
		if got := s.Elapsed(key, span, noon.Add(10*time.Second), noon.Add(10*time.Second)); got != 0 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAHeldSpanStandsStill(t *testing.T) {
	t.Parallel()
	clock := NewClock(5 * time.Second)
	s := NewSpans(clock)
	s.Elapsed(key, deadline(time.Minute), noon, noon)
	watch(clock, 0, 10*time.Second)
	s.Elapsed(key, deadline(time.Minute), noon.Add(10*time.Second), noon.Add(10*time.Second))
	s.Hold(key, true)
	watch(clock, 10*time.Second, 20*time.Second)
	s.Elapsed(key, deadline(time.Minute), noon.Add(20*time.Second), noon.Add(20*time.Second))
	s.Hold(key, false)
	watch(clock, 20*time.Second, 25*time.Second)
	if got := s.Elapsed(key, deadline(time.Minute), noon.Add(25*time.Second), noon.Add(25*time.Second)); got != 15*time.Second {
		t.Errorf("%s count", got)
	}
}

// TestWhatIsForgottenIsNotMeasured: an idle clock that is used again counts nothing of the time between.
func TestWhatIsForgottenIsNotMeasured(t *testing.T) {
	t.Parallel()
	clock := NewClock(5 * time.Second)
	s := NewSpans(clock)
	s.Elapsed(key, deadline(time.Minute), noon, noon)
	if got, ok := s.Any(); !ok || got != key {
		t.Errorf("measured: %v", got)
	}
	s.Forget(key)
	if got, ok := s.Any(); ok {
		t.Errorf("measured: %v", got)
	}
	s.Hold(key, true) // nothing to hold
	if got := s.Elapsed(key, Span{Name: "deploying", Start: noon.Add(time.Hour), Whole: time.Minute}, noon.Add(time.Hour), noon.Add(time.Hour)); got != 0 {
		t.Errorf("%s count", got)
	}
	watch(clock, time.Hour, time.Hour+3*time.Second)
	if got := clock.Read(noon.Add(time.Hour + 3*time.Second)); got != (Reading{Total: 3 * time.Second, Gaps: 1}) {
		t.Errorf("the clock reads %+v", got)
	}
}
