package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	dayMinutes = 24 * 60
	daySeconds = 24 * 60 * 60
	// everyDay is the mask of a rule without daysOfWeek.
	everyDay = 1<<7 - 1
	// unbounded is more days than any date is away from 1970-01-01.
	unbounded = 1 << 22
)

// rule is a parsed rule. Its days count from 1970-01-01 in local time.
type rule struct {
	name string
	// days is a mask of the days of the week on which a window starts. The lowest bit is Sunday.
	days uint8
	// first and last are the days of the dateRange, both inclusive. Without a dateRange they are unbounded.
	first, last int64
	// from and to are the window in minutes of the day on which it starts. To is above dayMinutes if the window ends on
	// the next day.
	from, to int64
}

func parseRule(r v1alpha1.ScheduleRule) (rule, error) {
	p := rule{name: r.Name, days: everyDay, first: -unbounded, last: unbounded, to: dayMinutes}
	var err error
	if r.TimeRange != nil {
		if p.from, p.to, err = parseWindow(*r.TimeRange); err != nil {
			return p, err
		}
	}
	if len(r.DaysOfWeek) > 0 {
		if p.days, err = parseDays(r.DaysOfWeek); err != nil {
			return p, err
		}
	}
	if r.DateRange != nil {
		p.first, p.last, err = parseDateRange(*r.DateRange)
	}
	return p, err
}

func parseWindow(r v1alpha1.TimeRange) (from, to int64, err error) {
	if from, err = parseTime(r.Start); err != nil || from == dayMinutes {
		return 0, 0, fmt.Errorf("timeRange.start %q is not a time: use HH:MM from 00:00 to 23:59", r.Start)
	}
	if to, err = parseTime(r.End); err != nil {
		return 0, 0, fmt.Errorf("timeRange.end %q is not a time: use HH:MM from 00:00 to 24:00", r.End)
	}
	switch {
	case from == to:
		return 0, dayMinutes, nil
	case from > to:
		return from, to + dayMinutes, nil
	}
	return from, to, nil
}

// parseTime returns a time of day in minutes. The package time would accept 9:05 and reject 24:00.
func parseTime(s string) (int64, error) {
	if s == "24:00" {
		return dayMinutes, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day", s)
	}
	return int64(t.Hour()*60 + t.Minute()), nil
}

func parseDays(days []v1alpha1.DayOfWeek) (uint8, error) {
	var m uint8
	for _, d := range days {
		i := slices.IndexFunc(week, func(w time.Weekday) bool { return w.String() == string(d) })
		if i < 0 {
			return 0, fmt.Errorf("%q is not a day of the week: use Monday, Tuesday and so on", d)
		}
		m |= 1 << i
	}
	return m, nil
}

var week = []time.Weekday{
	time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday,
}

func parseDateRange(r v1alpha1.DateRange) (first, last int64, err error) {
	if first, err = parseDate(r.Start); err != nil {
		return 0, 0, fmt.Errorf("dateRange.start %w", err)
	}
	if last, err = parseDate(r.End); err != nil {
		return 0, 0, fmt.Errorf("dateRange.end %w", err)
	}
	if last < first {
		return 0, 0, fmt.Errorf("dateRange.end %s is before dateRange.start %s", r.End, r.Start)
	}
	return first, last, nil
}

func parseDate(d v1alpha1.Date) (int64, error) {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return 0, fmt.Errorf("%q is not a date: use YYYY-MM-DD, such as 2026-12-24", d)
	}
	return floorDiv(t.Unix(), daySeconds), nil
}

// startsOn reports whether a window starts on a day.
func (r *rule) startsOn(day int64) bool {
	return day >= r.first && day <= r.last && r.days>>weekday(day)&1 == 1
}

// overnight reports whether the window ends on the next day.
func (r *rule) overnight() bool { return r.to > dayMinutes }

func (r *rule) hasDateRange() bool { return r.first > -unbounded }

// boundary returns the next day after the given one on which the dateRange begins, or the day after its end. The result
// is not after the given day if there is none.
func (r *rule) boundary(after int64) int64 {
	switch {
	case !r.hasDateRange():
		return after
	case r.first > after:
		return r.first
	}
	return r.last + 1
}

// weekday returns the weekday of a day. 1970-01-01 was a Thursday.
func weekday(day int64) int64 { return ((day+4)%7 + 7) % 7 }

// floorDiv returns a/b rounded towards negative infinity.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
