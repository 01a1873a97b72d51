package schedule_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/schedule"
)

var (
	years = flag.Int("years", 0, "compare whole years with the oracle, minute by minute, for this many schedules a zone")
	seed  = flag.Uint64("seed", 0, "seed of the random schedules; 0 takes one from the clock")
)

// places are where clocks do strange things, and where they do not.
var places = []string{
	"America/New_York",     // DST at 02:00
	"America/Sao_Paulo",    // DST at midnight, until 2019
	"America/St_Johns",     // half an hour off, DST at 00:01 until 2011
	"America/Havana",       // DST at midnight, back at 01:00
	"Africa/Casablanca",    // DST turned off for Ramadan
	"Africa/Cairo",         // DST at the end of a day
	"Antarctica/Troll",     // DST of two hours
	"Asia/Kathmandu",       // a quarter of an hour off, never changes
	"Australia/Lord_Howe",  // DST of half an hour
	"Europe/Berlin",        // DST at 02:00, back at 03:00
	"Pacific/Apia",         // there was no 2011-12-30
	"Pacific/Auckland",     // DST in the southern summer
	"America/Godthab",      // DST on a Saturday evening
	"Africa/El_Aaiun",      // as Casablanca
	"Asia/Beirut",          // DST at midnight
	"Asia/Gaza",            // DST by decree
	"Antarctica/Macquarie", // changed its mind
}

// eras are years in which the clocks of some place did something.
var eras = []int{2010, 2011, 2012, 2016, 2018, 2023, 2026, 2027, 2036, 2037, 2038, 2050, 2099}

// oracle says which rules match at a minute, by what a clock and a calendar on the wall show as text.
func oracle(spec v1alpha1.ScheduleSpec, wall time.Time) []int {
	date, yesterday := wall.Format(time.DateOnly), before(wall)
	clock := fmt.Sprintf("%02d:%02d", wall.Hour(), wall.Minute())
	var matching []int
	for i, r := range spec.Rules {
		start, end := "00:00", "24:00"
		if r.TimeRange != nil && r.TimeRange.Start != r.TimeRange.End {
			start, end = r.TimeRange.Start, r.TimeRange.End
		}
		overnight := end < start
		today := on(r, date, wall.Weekday()) && clock >= start && (overnight || clock < end)
		tail := overnight && clock < end && on(r, yesterday, (wall.Weekday()+6)%7)
		if today || tail {
			matching = append(matching, i)
		}
	}
	return matching
}

func before(wall time.Time) string {
	y, m, d := wall.Date()
	return time.Date(y, m, d-1, 12, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func on(r v1alpha1.ScheduleRule, date string, day time.Weekday) bool {
	if r.DateRange != nil && (date < string(r.DateRange.Start) || date > string(r.DateRange.End)) {
		return false
	}
	return len(r.DaysOfWeek) == 0 || slices.Contains(r.DaysOfWeek, v1alpha1.DayOfWeek(day.String()))
}

// minutes is what the oracle says of a stretch of time.
type minutes struct {
	from  time.Time
	rules [][]int
}

func observe(spec v1alpha1.ScheduleSpec, loc *time.Location, from time.Time, n int) minutes {
	m := minutes{from: from, rules: make([][]int, n)}
	var last string
	var known []int
	for i := range n {
		wall := from.Add(time.Duration(i) * time.Minute).In(loc)
		if shown := wall.Format("2006-01-02 15:04"); shown != last {
			last, known = shown, oracle(spec, wall)
		}
		m.rules[i] = known
	}
	return m
}

// next is the first minute after one at which something is different, or the end.
func (m minutes) next(i int, same func(a, b []int) bool) (time.Time, bool) {
	for j := i + 1; j < len(m.rules); j++ {
		if !same(m.rules[i], m.rules[j]) {
			return m.from.Add(time.Duration(j) * time.Minute), true
		}
	}
	return m.from.Add(time.Duration(len(m.rules)) * time.Minute), false
}

func sameActive(a, b []int) bool { return (len(a) > 0) == (len(b) > 0) }

// check compares what is said at a minute and some seconds with the oracle.
func (m minutes) check(spec v1alpha1.ScheduleSpec, i int, into time.Duration) error {
	now := m.from.Add(time.Duration(i)*time.Minute + into)
	got := schedule.Evaluate(spec, now)
	if got.Invalid() {
		return fmt.Errorf("at %s: %s", now, got.Problem)
	}
	var names []string
	for _, r := range m.rules[i] {
		names = append(names, spec.Rules[r].Name)
	}
	if diff := cmp.Diff(names, got.ActiveRules, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("at %s: active rules (-oracle +got):\n%s", now, diff)
	}
	if got.Active != (len(names) > 0) {
		return fmt.Errorf("at %s: active is %t, the rules that match are %q", now, got.Active, names)
	}
	if err := m.compare(i, sameActive, got.NextTransition); err != nil {
		return fmt.Errorf("at %s: the next transition: %w", now, err)
	}
	if err := m.compare(i, slices.Equal, got.Again); err != nil {
		return fmt.Errorf("at %s: the next look: %w", now, err)
	}
	return nil
}

func (m minutes) compare(i int, same func(a, b []int) bool, got time.Time) error {
	want, known := m.next(i, same)
	switch {
	case known && !got.Equal(want):
		return fmt.Errorf("is said to be %s, is %s", got, want)
	case !known && !got.IsZero() && got.Before(want):
		return fmt.Errorf("is said to be %s, but nothing changes until %s", got, want)
	}
	return nil
}

// random makes a schedule whose dates lie around a moment.
func random(r *rand.Rand, place string, around time.Time) v1alpha1.ScheduleSpec {
	spec := v1alpha1.ScheduleSpec{Timezone: place, Action: v1alpha1.ScheduleDeny}
	for i := range 1 + r.IntN(4) {
		rule := v1alpha1.ScheduleRule{Name: fmt.Sprint("rule", i)}
		if r.IntN(5) > 0 {
			rule.TimeRange = &v1alpha1.TimeRange{Start: moment(r), End: moment(r)}
			switch r.IntN(12) {
			case 0:
				rule.TimeRange.End = "24:00"
			case 1:
				rule.TimeRange.End = rule.TimeRange.Start
			case 2:
				rule.TimeRange.Start = "00:00"
			}
		}
		if r.IntN(2) == 0 {
			for _, d := range r.Perm(7)[:1+r.IntN(6)] {
				rule.DaysOfWeek = append(rule.DaysOfWeek, v1alpha1.DayOfWeek(time.Weekday(d).String()))
			}
		}
		if r.IntN(2) == 0 {
			start := around.AddDate(0, 0, r.IntN(60)-20)
			end := start.AddDate(0, 0, r.IntN(12))
			rule.DateRange = &v1alpha1.DateRange{Start: v1alpha1.Date(start.Format(time.DateOnly)), End: v1alpha1.Date(end.Format(time.DateOnly))}
		}
		spec.Rules = append(spec.Rules, rule)
	}
	return spec
}

// moment is a time of day; more often than not one at which clocks are changed.
func moment(r *rand.Rand) string {
	hour, minute := r.IntN(24), r.IntN(60)
	if r.IntN(2) == 0 {
		hour = []int{0, 0, 1, 2, 3, 22, 23}[r.IntN(7)]
	}
	if r.IntN(2) == 0 {
		minute = []int{0, 0, 1, 15, 30, 59}[r.IntN(6)]
	}
	return fmt.Sprintf("%02d:%02d", hour, minute)
}

// moments are where to look: the start, whatever changes and the minute before, and some in between.
func (m minutes) moments(r *rand.Rand, some int) []int {
	list := []int{0}
	for i := 1; i < len(m.rules); i++ {
		if !slices.Equal(m.rules[i-1], m.rules[i]) && r.IntN(4) == 0 {
			list = append(list, i-1, i)
		}
	}
	for range some {
		list = append(list, r.IntN(len(m.rules)))
	}
	return list
}

// start is a moment of a year, more often than not shortly before the clocks of the place are changed.
func start(r *rand.Rand, loc *time.Location) time.Time {
	year := eras[r.IntN(len(eras))]
	at := time.Date(year, 1, 1+r.IntN(365), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
	if r.IntN(4) == 0 {
		return at
	}
	if _, end := at.In(loc).ZoneBounds(); !end.IsZero() {
		return end.UTC().Add(-time.Duration(r.IntN(10*24*60)) * time.Minute).Truncate(time.Minute)
	}
	return at
}

// TestOracle compares what is said of random schedules with what a clock on the wall shows, minute by minute.
func TestOracle(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d -years=%d", s, *years)
	schedules, length := 6, 20*24*60
	if testing.Short() {
		schedules = 2
	}
	if *years > 0 {
		schedules, length = *years, 366*24*60
	}
	for i, place := range places {
		t.Run(place, func(t *testing.T) {
			loc, err := time.LoadLocation(place)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(s, uint64(i)))
			for range schedules {
				from := start(r, loc)
				spec := random(r, place, from)
				seen := observe(spec, loc, from, length)
				for _, m := range seen.moments(r, 40) {
					if err := seen.check(spec, m, time.Duration(r.Int64N(int64(time.Minute)))*time.Duration(r.IntN(2))); err != nil {
						text, _ := yaml.Marshal(spec)
						t.Fatalf("-seed=%d: %v\n%s", s, err, text)
					}
				}
			}
		})
	}
}
