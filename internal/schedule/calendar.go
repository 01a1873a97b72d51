package schedule

import (
	"cmp"
	"slices"
	"time"
)

// calendar evaluates rules in local time. It is active if one of them matches, and knows no time zones. Its times are
// minutes since 1970-01-01 00:00 local time.
//
// The rules are sorted by the start of their windows.
type calendar []rule

func newCalendar(rules []rule) calendar {
	return slices.SortedStableFunc(slices.Values(rules), func(a, b rule) int { return cmp.Compare(a.from, b.from) })
}

// active reports whether a rule matches at a minute.
func (c calendar) active(minute int64) bool {
	day := floorDiv(minute, dayMinutes)
	return c.firstChange(day, minute, minute+1, false) == minute
}

// nextChange returns the first minute after the given one at which the calendar is no longer as given by active. It
// returns false if there is none.
//
// The calendar repeats every week until a day on which a dateRange begins or ends. A change that does not occur within
// eight days does not occur before that day: seven days, and the first day, which may have begun already and to which
// windows of the day before may extend.
func (c calendar) nextChange(after int64, active bool) (int64, bool) {
	from := after + 1
	day := floorDiv(from, dayMinutes)
	var buf [8]rule // avoids an allocation for most schedules
	current := calendar(buf[:0])
	for {
		var until int64
		var limited bool
		current, until, limited = c.applicable(day, current[:0])
		for d := day; d <= day+7 && (!limited || d < until); d++ {
			end := (d + 1) * dayMinutes
			if m := current.firstChange(d, max(from, d*dayMinutes), end, active); m < end {
				return m, true
			}
		}
		if !limited {
			return 0, false
		}
		day = until
	}
}

// applicable appends the rules whose dateRange includes a day to buf. The list is valid until the day on which a
// dateRange begins or ends next, or without limit.
func (c calendar) applicable(day int64, buf calendar) (rules calendar, until int64, limited bool) {
	for i := range c {
		r := &c[i]
		if r.first <= day && r.last >= day-1 {
			buf = append(buf, *r)
		}
		if next := r.boundary(day); next > day && (!limited || next < until) {
			until, limited = next, true
		}
	}
	return buf, until, limited
}

// firstChange returns the first minute of [from, end) of a day at which the calendar is not as given by active, or end.
func (c calendar) firstChange(day, from, end int64, active bool) int64 {
	if active {
		return min(c.firstInactive(day, from), end)
	}
	return c.firstActive(day, from, end)
}

// firstActive returns the first minute of [from, end) of a day that is in a window, or end.
func (c calendar) firstActive(day, from, end int64) int64 {
	today, yesterday := day*dayMinutes, (day-1)*dayMinutes
	for i := range c {
		r := &c[i]
		if r.overnight() && from < yesterday+r.to && r.startsOn(day-1) {
			return from
		}
		if start := max(from, today+r.from); start < end && start < today+r.to && r.startsOn(day) {
			end = start
		}
	}
	return end
}

// firstInactive returns the first minute from the given one on that is in no window of a day or of the day before. It
// may be after the day.
func (c calendar) firstInactive(day, from int64) int64 {
	today, yesterday := day*dayMinutes, (day-1)*dayMinutes
	for i := range c {
		if r := &c[i]; r.overnight() && from < yesterday+r.to && r.startsOn(day-1) {
			from = yesterday + r.to
		}
	}
	for i := range c {
		r := &c[i]
		if today+r.from > from {
			break // the windows of the remaining rules start later
		}
		if from < today+r.to && r.startsOn(day) {
			from = today + r.to
		}
	}
	return from
}

// maxClockShift is more minutes than any two time zones are apart, and than any clock was ever moved.
const maxClockShift = 3 * dayMinutes

// interval is a period of local time during which a calendar does not change.
type interval struct {
	start, end int64
	endless    bool
}

func (c calendar) intervalFrom(start int64, active bool) interval {
	end, ends := c.nextChange(start, active)
	return interval{start: start, end: end, endless: !ends}
}

func (iv interval) contains(minute int64) bool {
	return minute >= iv.start && (iv.endless || minute < iv.end)
}

// leave returns the time at which the interval ends if clocks are not moved before then. Otherwise it returns the
// time at which they are moved.
func (iv interval) leave(t time.Time) (end, moved time.Time) {
	_, offset := t.Zone()
	_, moved = t.ZoneBounds()
	end = time.Unix(iv.end*60-int64(offset), 0)
	if iv.endless || !moved.IsZero() && !end.Before(moved) {
		return time.Time{}, moved
	}
	return end.UTC(), time.Time{}
}

// skip returns a time shortly before the end of the interval if the end is far away and the start is long past. No move
// of the clocks before then can leave the interval.
func (iv interval) skip(t time.Time) time.Time {
	if m := localMinute(t); iv.endless || m <= iv.start+maxClockShift || iv.end-m <= 3*maxClockShift {
		return t
	}
	return time.Unix((iv.end-maxClockShift)*60, 0).In(t.Location())
}

// transition returns the first time after now at which the calendar is no longer as given by active, in the time zone
// of now. It returns the zero time if there is none.
func (c calendar) transition(now time.Time, active bool) time.Time {
	current := c.intervalFrom(localMinute(now), active)
	for t := now; ; t = current.skip(t) {
		end, moved := current.leave(t)
		if !end.IsZero() {
			return end
		}
		if moved.IsZero() || current.endless && localMinute(t) > current.start+maxClockShift {
			return time.Time{}
		}
		t = moved
		if m := localMinute(t); !current.contains(m) {
			if c.active(m) != active {
				return t.UTC()
			}
			current = c.intervalFrom(m, active)
		}
	}
}

// localMinute returns the local time in minutes.
func localMinute(t time.Time) int64 {
	_, offset := t.Zone()
	return floorDiv(t.Unix()+int64(offset), 60)
}
