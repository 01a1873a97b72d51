package schedule

import (
	"cmp"
	"slices"
	"time"
)

// calendar is what the clock on the wall has to show for a schedule to be active: when one of its rules matches. It knows no time
// zones. A moment on it is the number of minutes since 1970-01-01 00:00, as clock and calendar of the place show them.
//
// The rules are in the order in which their windows start.
type calendar []rule

func newCalendar(rules []rule) calendar {
	return slices.SortedStableFunc(slices.Values(rules), func(a, b rule) int { return cmp.Compare(a.from, b.from) })
}

// active says whether a rule matches at a minute.
func (c calendar) active(minute int64) bool {
	day := floor(minute, dayMinutes)
	return c.search(day, minute, minute+1, false) == minute
}

// change finds the first minute after the given one at which the calendar is no longer as it was, if there is one.
//
// From a day on which other rules are in their dateRange, until the next such day, the calendar repeats itself each week. What does
// not happen in eight days does not happen until then: seven, and the first, which may have begun already, and into which windows of
// the day before may reach.
func (c calendar) change(after int64, was bool) (int64, bool) {
	from := after + 1
	day := floor(from, dayMinutes)
	var few [8]rule // most schedules need no more, and no memory of their own
	live := calendar(few[:0])
	for {
		var border int64
		var more bool
		live, border, more = c.season(day, live[:0])
		for d := day; d <= day+7 && (!more || d < border); d++ {
			end := (d + 1) * dayMinutes
			if m := live.search(d, max(from, d*dayMinutes), end, was); m < end {
				return m, true
			}
		}
		if !more {
			return 0, false
		}
		day = border
	}
}

// season adds to live the rules that matter from a day on, until other rules are in their dateRange: that is on the border, if there
// is one.
func (c calendar) season(day int64, live calendar) (rules calendar, border int64, more bool) {
	for i := range c {
		r := &c[i]
		if r.first <= day && r.last >= day-1 {
			live = append(live, *r)
		}
		if next := r.border(day); next > day && (!more || next < border) {
			border, more = next, true
		}
	}
	return live, border, more
}

// search finds the first minute of a part of a day at which the calendar is not as it was, or returns the end.
func (c calendar) search(day, from, end int64, was bool) int64 {
	if was {
		return min(c.uncovered(day, from), end)
	}
	return c.covered(day, from, end)
}

// covered finds the first minute of [from, end) of a day that is in a window.
func (c calendar) covered(day, from, end int64) int64 {
	today, yesterday := day*dayMinutes, (day-1)*dayMinutes
	for i := range c {
		r := &c[i]
		if r.overnight() && from < yesterday+r.to && r.starts(day-1) {
			return from
		}
		if start := max(from, today+r.from); start < end && start < today+r.to && r.starts(day) {
			end = start
		}
	}
	return end
}

// uncovered finds the first minute of a day, from the given one on, that is in no window. It may lie after the day.
func (c calendar) uncovered(day, from int64) int64 {
	today, yesterday := day*dayMinutes, (day-1)*dayMinutes
	for i := range c {
		if r := &c[i]; r.overnight() && from < yesterday+r.to && r.starts(day-1) {
			from = yesterday + r.to
		}
	}
	for i := range c {
		r := &c[i]
		if today+r.from > from {
			break // so do all that follow
		}
		if from < today+r.to && r.starts(day) {
			from = today + r.to
		}
	}
	return from
}

// margin is more minutes than any two clocks of this world are apart, and than any clock was ever put back.
const margin = 3 * dayMinutes

// stretch is a part of the calendar, of at least one minute, on which it is active throughout, or not at all.
type stretch struct {
	first, end int64
	endless    bool
}

func (c calendar) stretch(first int64, was bool) stretch {
	end, ends := c.change(first, was)
	return stretch{first: first, end: end, endless: !ends}
}

func (s stretch) holds(minute int64) bool { return minute >= s.first && (s.endless || minute < s.end) }

// leave is the moment at which the clock comes to the end of the stretch, if it runs until then without being put forward or back, and
// otherwise the moment at which that is done.
func (s stretch) leave(t time.Time) (left, adjusted time.Time) {
	_, offset := t.Zone()
	_, adjusted = t.ZoneBounds()
	left = time.Unix(s.end*60-int64(offset), 0)
	if s.endless || !adjusted.IsZero() && !left.Before(adjusted) {
		return time.Time{}, adjusted
	}
	return left.UTC(), time.Time{}
}

// skip goes on to shortly before the end of the stretch, if that is far away and its beginning is behind: whatever is done to the clock
// until then, it does not leave the stretch.
func (s stretch) skip(t time.Time) time.Time {
	if m := minute(t); s.endless || m <= s.first+margin || s.end-m <= 3*margin {
		return t
	}
	return time.Unix((s.end-margin)*60, 0).In(t.Location())
}

// transition finds the first moment after now at which the calendar is no longer as it was, by the clock of the place that now is
// in. It returns the zero time if there is none.
func (c calendar) transition(now time.Time, was bool) time.Time {
	known := c.stretch(minute(now), was)
	for t := now; ; t = known.skip(t) {
		left, adjusted := known.leave(t)
		if !left.IsZero() {
			return left
		}
		if adjusted.IsZero() || known.endless && minute(t) > known.first+margin {
			return time.Time{}
		}
		t = adjusted
		if m := minute(t); !known.holds(m) {
			if c.active(m) != was {
				return t.UTC()
			}
			known = c.stretch(m, was)
		}
	}
}

// minute is what the clock of a place shows.
func minute(t time.Time) int64 {
	_, offset := t.Zone()
	return floor(t.Unix()+int64(offset), 60)
}
