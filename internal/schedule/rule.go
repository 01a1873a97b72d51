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
	// everyDay is the mask of a rule that names no day.
	everyDay = 1<<7 - 1
	// ages is more days than a calendar has, on either side of 1970.
	ages = 1 << 22
)

// rule is a rule in numbers. Days count from 1970-01-01, by the calendar of the place.
type rule struct {
	name string
	// days is a mask of the days of the week on which a window starts, Sunday being the lowest bit.
	days uint8
	// first and last are the days between which a window starts, both included. Without a dateRange they are ages away.
	first, last int64
	// from and to are the window, in minutes of the day it starts on. To is above dayMinutes if it ends on the next day.
	from, to int64
}

// parse reads a rule.
func parse(r v1alpha1.ScheduleRule) (rule, error) {
	p := rule{name: r.Name, days: everyDay, first: -ages, last: ages, to: dayMinutes}
	var err error
	if r.TimeRange != nil {
		if p.from, p.to, err = window(*r.TimeRange); err != nil {
			return p, err
		}
	}
	if len(r.DaysOfWeek) > 0 {
		if p.days, err = mask(r.DaysOfWeek); err != nil {
			return p, err
		}
	}
	if r.DateRange != nil {
		p.first, p.last, err = dates(*r.DateRange)
	}
	return p, err
}

func window(r v1alpha1.TimeRange) (from, to int64, err error) {
	if from, err = clock(r.Start); err != nil || from == dayMinutes {
		return 0, 0, fmt.Errorf("timeRange.start %q is no time: write hours and minutes from 00:00 to 23:59", r.Start)
	}
	if to, err = clock(r.End); err != nil {
		return 0, 0, fmt.Errorf("timeRange.end %q is no time: write hours and minutes from 00:00 to 24:00", r.End)
	}
	switch {
	case from == to:
		return 0, dayMinutes, nil
	case from > to:
		return from, to + dayMinutes, nil
	}
	return from, to, nil
}

// clock reads a time of day, in minutes. The package time would take 9:5 and refuse 24:00.
func clock(s string) (int64, error) {
	if s == "24:00" {
		return dayMinutes, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of day", s)
	}
	return int64(t.Hour()*60 + t.Minute()), nil
}

func mask(days []v1alpha1.DayOfWeek) (uint8, error) {
	var m uint8
	for _, d := range days {
		i := slices.IndexFunc(week, func(w time.Weekday) bool { return w.String() == string(d) })
		if i < 0 {
			return 0, fmt.Errorf("%q is no day of the week: write Monday, Tuesday and so on", d)
		}
		m |= 1 << i
	}
	return m, nil
}

var week = []time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday}

func dates(r v1alpha1.DateRange) (first, last int64, err error) {
	if first, err = date(r.Start); err != nil {
		return 0, 0, fmt.Errorf("dateRange.start %w", err)
	}
	if last, err = date(r.End); err != nil {
		return 0, 0, fmt.Errorf("dateRange.end %w", err)
	}
	if last < first {
		return 0, 0, fmt.Errorf("the dateRange ends on %s, before it starts on %s", r.End, r.Start)
	}
	return first, last, nil
}

func date(d v1alpha1.Date) (int64, error) {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return 0, fmt.Errorf("%q is no date: write year-month-day, such as 2026-12-24", d)
	}
	return floor(t.Unix(), daySeconds), nil
}

// starts says whether a window starts on a day.
func (r *rule) starts(day int64) bool {
	return day >= r.first && day <= r.last && r.days>>weekday(day)&1 == 1
}

// overnight says whether the window ends on the next day.
func (r *rule) overnight() bool { return r.to > dayMinutes }

// ranged says whether the rule has a dateRange.
func (r *rule) ranged() bool { return r.first > -ages }

// border is the first day after the given one on which the rule comes into its dateRange or leaves it, or one that is not after it.
func (r *rule) border(after int64) int64 {
	switch {
	case !r.ranged():
		return after
	case r.first > after:
		return r.first
	}
	return r.last + 1
}

// weekday of a day; 1970-01-01 was a Thursday.
func weekday(day int64) int64 { return ((day+4)%7 + 7) % 7 }

// floor divides and rounds down, also below zero.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
