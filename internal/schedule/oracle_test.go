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
	years = flag.Int("years", 0, "compare this many schedules per zone with the oracle for a whole year, minute by minute")
	seed  = flag.Uint64("seed", 0, "seed of the random schedules; 0 uses the current time")
)

// zones are time zones with and without unusual clock changes.
var zones = []string{
	"America/New_York",     // DST at 02:00
	"America/Sao_Paulo",    // DST at midnight, until 2019
	"America/St_Johns",     // offset of half an hour, DST at 00:01 until 2011
	"America/Havana",       // DST at midnight, back at 01:00
	"Africa/Casablanca",    // DST turned off for Ramadan
	"Africa/Cairo",         // DST at the end of a day
	"Antarctica/Troll",     // DST of two hours
	"Asia/Kathmandu",       // offset of a quarter of an hour, no DST
	"Australia/Lord_Howe",  // DST of half an hour
	"Europe/Berlin",        // DST at 02:00, back at 03:00
	"Pacific/Apia",         // skipped 2011-12-30
	"Pacific/Auckland",     // DST in the southern summer
	"America/Godthab",      // DST on a Saturday evening
	"Africa/El_Aaiun",      // like Casablanca
	"Asia/Beirut",          // DST at midnight
	"Asia/Gaza",            // irregular DST
	"Antarctica/Macquarie", // changed its offset several times
}

// unusualYears are those in which the offset of some zone changed in an unusual way, and some far in the future.
var unusualYears = []int{2010, 2011, 2012, 2016, 2018, 2023, 2026, 2027, 2036, 2037, 2038, 2050, 2099}

// oracle returns the indexes of the rules that match at a local time. It compares formatted dates and times.
func oracle(spec v1alpha1.ScheduleSpec, local time.Time) []int {
	date, yesterday := local.Format(time.DateOnly), dayBefore(local)
	clock := fmt.Sprintf("%02d:%02d", local.Hour(), local.Minute())
	var matching []int
	for i, r := range spec.Rules {
		start, end := "00:00", "24:00"
		if r.TimeRange != nil && r.TimeRange.Start != r.TimeRange.End {
			start, end = r.TimeRange.Start, r.TimeRange.End
		}
		overnight := end < start
		today := startsOn(r, date, local.Weekday()) && clock >= start && (overnight || clock < end)
		fromYesterday := overnight && clock < end && startsOn(r, yesterday, (local.Weekday()+6)%7)
		if today || fromYesterday {
			matching = append(matching, i)
		}
	}
	return matching
}

func dayBefore(local time.Time) string {
	y, m, d := local.Date()
	return time.Date(y, m, d-1, 12, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func startsOn(r v1alpha1.ScheduleRule, date string, day time.Weekday) bool {
	if r.DateRange != nil && (date < string(r.DateRange.Start) || date > string(r.DateRange.End)) {
		return false
	}
	return len(r.DaysOfWeek) == 0 || slices.Contains(r.DaysOfWeek, v1alpha1.DayOfWeek(day.String()))
}

// timeline holds the rules that match at each minute of a period, according to the oracle.
type timeline struct {
	from  time.Time
	rules [][]int
}

func newTimeline(spec v1alpha1.ScheduleSpec, loc *time.Location, from time.Time, n int) timeline {
	tl := timeline{from: from, rules: make([][]int, n)}
	var last string
	var matching []int
	for i := range n {
		local := from.Add(time.Duration(i) * time.Minute).In(loc)
		if text := local.Format("2006-01-02 15:04"); text != last {
			last, matching = text, oracle(spec, local)
		}
		tl.rules[i] = matching
	}
	return tl
}

// nextChange returns the time of the first minute after i at which the rules differ, or the end and false.
func (tl timeline) nextChange(i int, same func(a, b []int) bool) (time.Time, bool) {
	for j := i + 1; j < len(tl.rules); j++ {
		if !same(tl.rules[i], tl.rules[j]) {
			return tl.from.Add(time.Duration(j) * time.Minute), true
		}
	}
	return tl.from.Add(time.Duration(len(tl.rules)) * time.Minute), false
}

func sameActive(a, b []int) bool { return (len(a) > 0) == (len(b) > 0) }

// check compares the evaluation at an offset into minute i with the oracle.
func (tl timeline) check(spec v1alpha1.ScheduleSpec, i int, offset time.Duration) error {
	now := tl.from.Add(time.Duration(i)*time.Minute + offset)
	got := schedule.Evaluate(spec, now)
	if got.Invalid() {
		return fmt.Errorf("at %s: %s", now, got.Problem)
	}
	var names []string
	for _, r := range tl.rules[i] {
		names = append(names, spec.Rules[r].Name)
	}
	if diff := cmp.Diff(names, got.ActiveRules, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("at %s: active rules (-oracle +got):\n%s", now, diff)
	}
	if got.Active != (len(names) > 0) {
		return fmt.Errorf("at %s: active is %t, but the rules that match are %q", now, got.Active, names)
	}
	if err := tl.compare(i, sameActive, got.NextTransition); err != nil {
		return fmt.Errorf("at %s: the next transition: %w", now, err)
	}
	if err := tl.compare(i, slices.Equal, got.NextChange); err != nil {
		return fmt.Errorf("at %s: the next change: %w", now, err)
	}
	return nil
}

func (tl timeline) compare(i int, same func(a, b []int) bool, got time.Time) error {
	want, known := tl.nextChange(i, same)
	switch {
	case known && !got.Equal(want):
		return fmt.Errorf("got %s, want %s", got, want)
	case !known && !got.IsZero() && got.Before(want):
		return fmt.Errorf("got %s, but nothing changes before %s", got, want)
	}
	return nil
}

// randomSpec returns a schedule with dates around a time.
func randomSpec(r *rand.Rand, zone string, around time.Time) v1alpha1.ScheduleSpec {
	spec := v1alpha1.ScheduleSpec{Timezone: zone, Action: v1alpha1.ScheduleDeny}
	for i := range 1 + r.IntN(4) {
		rule := v1alpha1.ScheduleRule{Name: fmt.Sprint("rule", i)}
		if r.IntN(5) > 0 {
			rule.TimeRange = &v1alpha1.TimeRange{Start: randomTime(r), End: randomTime(r)}
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
			rule.DateRange = &v1alpha1.DateRange{
				Start: v1alpha1.Date(start.Format(time.DateOnly)), End: v1alpha1.Date(end.Format(time.DateOnly)),
			}
		}
		spec.Rules = append(spec.Rules, rule)
	}
	return spec
}

// randomTime returns a time of day, often close to one at which clocks are changed.
func randomTime(r *rand.Rand) string {
	hour, minute := r.IntN(24), r.IntN(60)
	if r.IntN(2) == 0 {
		hour = []int{0, 0, 1, 2, 3, 22, 23}[r.IntN(7)]
	}
	if r.IntN(2) == 0 {
		minute = []int{0, 0, 1, 15, 30, 59}[r.IntN(6)]
	}
	return fmt.Sprintf("%02d:%02d", hour, minute)
}

// samples returns minutes to check: the first, many of those at which the rules change, the minutes before them, and n
// random ones.
func (tl timeline) samples(r *rand.Rand, n int) []int {
	list := []int{0}
	for i := 1; i < len(tl.rules); i++ {
		if !slices.Equal(tl.rules[i-1], tl.rules[i]) && r.IntN(4) == 0 {
			list = append(list, i-1, i)
		}
	}
	for range n {
		list = append(list, r.IntN(len(tl.rules)))
	}
	return list
}

// randomStart returns a time in one of the years, often shortly before the clocks of the zone are changed.
func randomStart(r *rand.Rand, loc *time.Location) time.Time {
	year := unusualYears[r.IntN(len(unusualYears))]
	at := time.Date(year, 1, 1+r.IntN(365), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
	if r.IntN(4) == 0 {
		return at
	}
	if _, end := at.In(loc).ZoneBounds(); !end.IsZero() {
		return end.UTC().Add(-time.Duration(r.IntN(10*24*60)) * time.Minute).Truncate(time.Minute)
	}
	return at
}

// TestOracle compares the evaluations of random schedules with those of the oracle.
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
	for i, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			loc, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(s, uint64(i)))
			for range schedules {
				from := randomStart(r, loc)
				spec := randomSpec(r, zone, from)
				want := newTimeline(spec, loc, from, length)
				for _, i := range want.samples(r, 40) {
					offset := time.Duration(r.Int64N(int64(time.Minute))) * time.Duration(r.IntN(2))
					if err := want.check(spec, i, offset); err != nil {
						text, _ := yaml.Marshal(spec)
						t.Fatalf("-seed=%d: %v\n%s", s, err, text)
					}
				}
			}
		})
	}
}
