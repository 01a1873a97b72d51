package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/schedule"
)

const (
	monday    = v1alpha1.DayOfWeek("Monday")
	wednesday = v1alpha1.DayOfWeek("Wednesday")
	friday    = v1alpha1.DayOfWeek("Friday")
)

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	parsed, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func hours(start, end string) *v1alpha1.TimeRange { return &v1alpha1.TimeRange{Start: start, End: end} }

func days(start, end string) *v1alpha1.DateRange {
	return &v1alpha1.DateRange{Start: v1alpha1.Date(start), End: v1alpha1.Date(end)}
}

func deny(zone string, rules ...v1alpha1.ScheduleRule) v1alpha1.ScheduleSpec {
	return v1alpha1.ScheduleSpec{Timezone: zone, Action: v1alpha1.ScheduleDeny, Rules: rules}
}

func TestEvaluate(t *testing.T) {
	fridayNight := deny(
		"UTC",
		v1alpha1.ScheduleRule{Name: "night", TimeRange: hours("22:00", "02:00"), DaysOfWeek: []v1alpha1.DayOfWeek{friday}},
	)
	office := func(zone string) v1alpha1.ScheduleSpec {
		return deny(zone, v1alpha1.ScheduleRule{TimeRange: hours("09:00", "17:00")})
	}
	overlap := deny(
		"America/New_York",
		v1alpha1.ScheduleRule{TimeRange: hours("01:30", "01:40"), DateRange: days("2026-11-01", "2026-11-01")},
	)
	cases := map[string]struct {
		reason string
		spec   v1alpha1.ScheduleSpec
		now    string
		active bool
		next   string
	}{
		"NightBegins": {
			reason: "a window belongs to the day it starts on",
			spec:   fridayNight, now: "2026-11-27T22:00:00Z", active: true, next: "2026-11-28T02:00:00Z",
		},
		"NightGoesOn": {
			reason: "Saturday before 02:00 is still Friday's window",
			spec:   fridayNight, now: "2026-11-28T01:59:59Z", active: true, next: "2026-11-28T02:00:00Z",
		},
		"NoNightBefore": {
			reason: "Friday before 02:00 belongs to a window on Thursday, which the rule does not have",
			spec:   fridayNight, now: "2026-11-27T01:00:00Z", next: "2026-11-27T22:00:00Z",
		},
		"NightEnds": {
			reason: "an end is the first moment after the window",
			spec:   fridayNight, now: "2026-11-28T02:00:00Z", next: "2026-12-04T22:00:00Z",
		},
		"LastNightOfARange": {
			reason: "a window that starts on the last day of the dateRange ends on the next day",
			spec: deny("UTC", v1alpha1.ScheduleRule{
				TimeRange: hours("22:00", "02:00"), DateRange: days("2026-12-24", "2026-12-25"),
			}),
			now: "2026-12-26T01:00:00Z", active: true, next: "2026-12-26T02:00:00Z",
		},
		"SpringForward": {
			reason: "09:00 is 09:00 local time on the day on which clocks move forward",
			spec:   office("America/New_York"), now: "2026-03-08T12:00:00Z", next: "2026-03-08T13:00:00Z",
		},
		"FallBack": {
			reason: "17:00 is 17:00 local time on the day on which clocks move back",
			spec:   office("America/New_York"), now: "2026-11-01T20:00:00Z", active: true, next: "2026-11-01T22:00:00Z",
		},
		"StartInAGap": {
			reason: "02:30 is skipped, so the window starts at 03:00",
			spec:   deny("Europe/Berlin", v1alpha1.ScheduleRule{TimeRange: hours("02:30", "04:00")}),
			now:    "2027-03-28T00:00:00Z", next: "2027-03-28T01:00:00Z",
		},
		"EndInAGap": {
			reason: "02:30 is skipped, so the window ends at 03:00, the minute after 01:59",
			spec:   deny("Europe/Berlin", v1alpha1.ScheduleRule{TimeRange: hours("01:00", "02:30")}),
			now:    "2027-03-28T00:30:00Z", active: true, next: "2027-03-28T01:00:00Z",
		},
		"WindowInAGap": {
			reason: "clocks skip the window, so it does not occur on that day",
			spec:   deny("Europe/Berlin", v1alpha1.ScheduleRule{TimeRange: hours("02:10", "02:50")}),
			now:    "2027-03-28T00:00:00Z", next: "2027-03-29T00:10:00Z",
		},
		"TwiceInAnOverlap": {
			reason: "01:30 occurs twice and so does the window, even if it is the last",
			spec:   overlap, now: "2026-11-01T05:50:00Z", next: "2026-11-01T06:30:00Z",
		},
		"OnceAfterAnOverlap": {
			reason: "the second window is the last",
			spec:   overlap, now: "2026-11-01T06:35:00Z", active: true, next: "2026-11-01T06:40:00Z",
		},
		"SkippedDay": {
			reason: "Apia had no Friday 2011-12-30, but the part of its window on Saturday occurs",
			spec: deny("Pacific/Apia", v1alpha1.ScheduleRule{
				TimeRange: hours("22:00", "02:00"), DaysOfWeek: []v1alpha1.DayOfWeek{friday},
			}),
			now: "2011-12-30T09:59:59Z", next: "2011-12-30T10:00:00Z",
		},
		"WholeDay": {
			reason: "24:00 is the end of the day",
			spec: deny(
				"Asia/Kathmandu",
				v1alpha1.ScheduleRule{TimeRange: hours("00:00", "24:00"), DaysOfWeek: []v1alpha1.DayOfWeek{monday}},
			),
			now: "2026-11-23T18:14:59Z", active: true, next: "2026-11-23T18:15:00Z",
		},
		"EqualEnds": {
			reason: "equal start and end mean the whole day",
			spec: deny(
				"UTC", v1alpha1.ScheduleRule{TimeRange: hours("09:00", "09:00"), DaysOfWeek: []v1alpha1.DayOfWeek{monday}},
			),
			now: "2026-11-23T03:00:00Z", active: true, next: "2026-11-24T00:00:00Z",
		},
		"MidnightIsNoChange": {
			reason: "two consecutive days are one period",
			spec:   deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2026-12-24", "2026-12-26")}),
			now:    "2026-12-24T12:00:00Z", active: true, next: "2026-12-27T00:00:00Z",
		},
		"LeapDay": {
			reason: "29 February exists in a leap year",
			spec:   deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2028-02-29", "2028-02-29")}),
			now:    "2026-11-23T00:00:00Z", next: "2028-02-29T00:00:00Z",
		},
		"FarAway": {
			reason: "clocks move many times before then, and daylight saving time applies",
			spec: deny("Europe/Berlin", v1alpha1.ScheduleRule{
				TimeRange: hours("09:00", "10:00"), DateRange: days("2099-07-01", "2099-07-02"),
				DaysOfWeek: []v1alpha1.DayOfWeek{wednesday},
			}),
			now: "2026-11-23T00:00:00Z", next: "2099-07-01T07:00:00Z",
		},
		"FarAwayBeforeAChange": {
			reason: "clocks move back two days later",
			spec: deny("Europe/Berlin", v1alpha1.ScheduleRule{
				TimeRange: hours("09:00", "10:00"), DateRange: days("2099-10-23", "2099-10-23"),
			}),
			now: "2026-11-23T00:00:00Z", next: "2099-10-23T07:00:00Z",
		},
		"TwiceBeforeFarAway": {
			reason: "a distant rule does not hide the repeated window",
			spec: deny(
				"America/New_York", append(overlap.Rules, v1alpha1.ScheduleRule{DateRange: days("2060-01-01", "2060-01-01")})...,
			),
			now: "2026-11-01T05:50:00Z", next: "2026-11-01T06:30:00Z",
		},
		"Over": {
			reason: "there is no transition after the last day",
			spec:   deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2025-12-24", "2026-01-01")}),
			now:    "2026-11-23T00:00:00Z",
		},
		"OverDoesNotHideOthers": {
			reason: "a rule that is over has no transition",
			spec: deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2025-12-24", "2026-01-01")},
				v1alpha1.ScheduleRule{TimeRange: hours("08:00", "09:00")}),
			now: "2026-11-23T00:00:00Z", next: "2026-11-23T08:00:00Z",
		},
		"AdjacentWindows": {
			reason: "one rule starts when another ends, so the schedule stays active",
			spec: deny("UTC", v1alpha1.ScheduleRule{TimeRange: hours("08:00", "12:00")},
				v1alpha1.ScheduleRule{TimeRange: hours("12:00", "18:00")}),
			now: "2026-11-23T09:00:00Z", active: true, next: "2026-11-23T18:00:00Z",
		},
		"EmptyRule": {
			reason: "an empty rule always matches", spec: deny("UTC", v1alpha1.ScheduleRule{}), now: "2026-11-23T09:00:00Z",
			active: true,
		},
		"NoTimezone": {
			reason: "UTC is the default", spec: office(""), now: "2026-11-23T09:00:00Z", active: true,
			next: "2026-11-23T17:00:00Z",
		},
		"Always": {
			reason: "a freeze needs no rules", spec: v1alpha1.ScheduleSpec{Always: true}, now: "2026-11-23T09:00:00Z",
			active: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := schedule.Evaluate(tc.spec, parseTime(t, tc.now))
			if got.Invalid() {
				t.Fatalf("%s\n%s", tc.reason, got.Problem)
			}
			if got.Active != tc.active || !got.NextTransition.Equal(parseTime(t, tc.next)) {
				t.Errorf("%s\ngot active %t, next %s; want %t, %s", tc.reason, got.Active, got.NextTransition, tc.active, tc.next)
			}
			if got.Open == got.Active {
				t.Errorf("action Deny: open must be the opposite of active; got active %t, open %t", got.Active, got.Open)
			}
			tc.spec.Action = v1alpha1.ScheduleAllow
			if got = schedule.Evaluate(tc.spec, parseTime(t, tc.now)); got.Open != got.Active {
				t.Errorf("action Allow: open must equal active; got active %t, open %t", got.Active, got.Open)
			}
		})
	}
}

func TestActiveRules(t *testing.T) {
	spec := deny("UTC",
		v1alpha1.ScheduleRule{Name: "late", TimeRange: hours("20:00", "24:00")},
		v1alpha1.ScheduleRule{DaysOfWeek: []v1alpha1.DayOfWeek{monday}},
		v1alpha1.ScheduleRule{Name: "early", TimeRange: hours("00:00", "10:00")},
	)
	got := schedule.Evaluate(spec, parseTime(t, "2026-11-23T09:00:00Z"))
	if diff := cmp.Diff([]string{"", "early"}, got.ActiveRules); diff != "" {
		t.Errorf("active rules (-want +got):\n%s", diff)
	}
	want := parseTime(t, "2026-11-23T10:00:00Z")
	if !got.NextChange.Equal(want) || !got.NextTransition.Equal(want.Add(24*time.Hour)) {
		t.Errorf("want the next change at %s, when early ends, and the next transition a day later; got %+v", want, got)
	}
}

func TestProblems(t *testing.T) {
	past := v1alpha1.ScheduleRule{Name: "holidays", DateRange: days("2025-12-24", "2026-01-01")}
	noDay := v1alpha1.ScheduleRule{
		Name: "odd", DateRange: days("2026-12-24", "2026-12-25"), DaysOfWeek: []v1alpha1.DayOfWeek{monday},
	}
	gap := v1alpha1.ScheduleRule{DateRange: days("2027-03-28", "2027-03-28"), TimeRange: hours("02:00", "03:00")}
	office := v1alpha1.ScheduleRule{TimeRange: hours("09:00", "17:00")}
	const invalid = v1alpha1.ReasonScheduleInvalid
	cases := map[string]struct {
		reason     string
		spec       v1alpha1.ScheduleSpec
		wantReason string
		message    string
		stalled    bool
		open       bool
	}{
		"Zone": {
			"a typo", deny("Europe/Berln", office), invalid, `timezone "Europe/Berln" is unknown`, true, false,
		},
		"AnotherSpelling": {
			"the cache would grow", deny("Europe//Berlin", office), invalid, "not the shortest spelling", true, false,
		},
		"Local": {
			"the zone of the machine", deny("Local", office), invalid, "the time zone of the machine is not supported", true,
			false,
		},
		"ZoneIsAPath": {"a path is not a zone", deny("../../etc/passwd", office), invalid, "is unknown", true, false},
		"Month": {
			"stored before the schema rejected it",
			deny("UTC", v1alpha1.ScheduleRule{Name: "x", DateRange: days("2026-13-45", "2026-13-46")}), invalid,
			`rule "x": dateRange.start "2026-13-45" is not a date`, true, false,
		},
		"NoLeapDay": {
			"2027 has no 29 February", deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2027-02-28", "2027-02-29")}),
			invalid, `rule 1: dateRange.end "2027-02-29" is not a date`, true, false,
		},
		"EndBeforeStart": {
			"the dates are swapped", deny("UTC", v1alpha1.ScheduleRule{DateRange: days("2026-12-25", "2026-12-24")}), invalid,
			"dateRange.end 2026-12-24 is before dateRange.start 2026-12-25", true, false,
		},
		"Hour": {
			"time.Parse would accept it", deny("UTC", v1alpha1.ScheduleRule{TimeRange: hours("9:00", "17:00")}), invalid,
			`timeRange.start "9:00" is not a time`, true, false,
		},
		"StartAt24": {
			"24:00 is only valid as an end", deny("UTC", v1alpha1.ScheduleRule{TimeRange: hours("24:00", "17:00")}), invalid,
			`timeRange.start "24:00" is not a time`, true, false,
		},
		"EndTooLate": {
			"24:01 does not exist", deny("UTC", v1alpha1.ScheduleRule{TimeRange: hours("17:00", "24:01")}), invalid,
			`timeRange.end "24:01" is not a time`, true, false,
		},
		"Day": {
			"an unknown day", deny("UTC", v1alpha1.ScheduleRule{DaysOfWeek: []v1alpha1.DayOfWeek{"Caturday"}}), invalid,
			`"Caturday" is not a day`, true, false,
		},
		"NoRules": {"neither rules nor always", deny("UTC"), invalid, "set either rules or always", true, false},
		"Both": {
			"rules and always", v1alpha1.ScheduleSpec{Always: true, Rules: []v1alpha1.ScheduleRule{office}}, invalid,
			"set either rules or always", true, false,
		},
		"Action": {
			"an action of another version", v1alpha1.ScheduleSpec{Always: true, Action: "Maybe"}, invalid,
			`action "Maybe" is not supported`, true, false,
		},
		"OneOfTwo": {
			"one invalid rule makes the whole schedule invalid",
			deny("UTC", office, v1alpha1.ScheduleRule{TimeRange: hours("x", "y")}), invalid,
			`rule 2: timeRange.start "x" is not a time`, true, false,
		},
		"Over": {
			"past holidays need no change of the spec", deny("UTC", past), "RuleOver",
			`rule "holidays" no longer matches: its dateRange ended on 2026-01-01`, false, true,
		},
		"OneOver": {
			"one rule of several is over", deny("UTC", office, past), "RuleOver", `rule "holidays" no longer matches`, false,
			true,
		},
		"NeverOpens": {
			"a schedule that allows never opens again",
			v1alpha1.ScheduleSpec{Action: v1alpha1.ScheduleAllow, Rules: []v1alpha1.ScheduleRule{past}}, "NeverOpens",
			`the schedule never opens again: rule "holidays"`, true, false,
		},
		"NoSuchDay": {
			"no Monday in the range", deny("UTC", noDay, office), "RuleNeverMatches",
			`rule "odd" can never match: none of its daysOfWeek is between 2026-12-24 and 2026-12-25`, true, true,
		},
		"Skipped": {
			"clocks skip the hour", deny("Europe/Berlin", gap), "RuleNeverMatches",
			"rule 1 can never match: clocks in Europe/Berlin skip its timeRange", true, true,
		},
		"NotSkipped": {"clocks do not skip the hour there", deny("Europe/Moscow", gap), "", "", false, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := schedule.Evaluate(tc.spec, parseTime(t, "2026-11-23T03:00:00Z"))
			if got.Reason != tc.wantReason || !strings.Contains(got.Problem, tc.message) ||
				(tc.message == "") != (got.Problem == "") {
				t.Errorf("%s\ngot  %s: %s\nwant %s: …%s…", tc.reason, got.Reason, got.Problem, tc.wantReason, tc.message)
			}
			if got.Stalled() != tc.stalled || got.Open != tc.open {
				t.Errorf("%s\ngot stalled %t, open %t; want %t, %t", tc.reason, got.Stalled(), got.Open, tc.stalled, tc.open)
			}
			if got.Invalid() {
				tc.spec.Action = v1alpha1.ScheduleAllow
				if schedule.Evaluate(tc.spec, parseTime(t, "2026-11-23T03:00:00Z")).Open && name != "Action" {
					t.Error("an invalid schedule with action Allow is open")
				}
				want := schedule.Evaluation{Zone: time.UTC, Problem: got.Problem, Reason: got.Reason}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(schedule.Evaluation{}, "Zone")); diff != "" {
					t.Errorf("an invalid schedule sets other fields:\n%s", diff)
				}
			}
		})
	}
}

func TestManyProblems(t *testing.T) {
	var rules []v1alpha1.ScheduleRule
	for range 100 {
		rules = append(rules, v1alpha1.ScheduleRule{Name: strings.Repeat("x", 253), TimeRange: hours("a", "b")})
	}
	got := schedule.Evaluate(deny("UTC", rules...), time.Unix(0, 0))
	if !strings.HasSuffix(got.Problem, "; and 95 more") || len(got.Problem) > 2048 {
		t.Errorf(
			"the message of a hundred problems has %d bytes: …%s", len(got.Problem), got.Problem[max(0, len(got.Problem)-40):],
		)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	now := time.Date(2026, 11, 23, 9, 0, 30, 0, time.UTC)
	office := v1alpha1.ScheduleRule{
		Name: "office", TimeRange: hours("09:00", "17:00"), DaysOfWeek: []v1alpha1.DayOfWeek{monday, wednesday, friday},
	}
	year := deny("Europe/Berlin", office)
	chain := deny("Europe/Berlin")
	for i := range 30 {
		day := now.AddDate(0, 0, 11*i).Format(time.DateOnly)
		year.Rules = append(year.Rules, v1alpha1.ScheduleRule{Name: fmt.Sprint(i), DateRange: days(day, day)})
	}
	for i := range 100 {
		first, last := now.AddDate(0, 0, 20*i-1), now.AddDate(0, 0, 20*i+18)
		chain.Rules = append(
			chain.Rules, v1alpha1.ScheduleRule{DateRange: days(first.Format(time.DateOnly), last.Format(time.DateOnly))},
		)
	}
	for name, spec := range map[string]v1alpha1.ScheduleSpec{
		"Office":    deny("Europe/Berlin", office),
		"Nights":    deny("America/New_York", v1alpha1.ScheduleRule{TimeRange: hours("22:00", "06:00")}, office),
		"Far":       deny("Europe/Berlin", v1alpha1.ScheduleRule{DateRange: days("2099-12-24", "2099-12-26")}),
		"Never":     deny("Europe/Berlin", v1alpha1.ScheduleRule{}),
		"Over":      deny("Europe/Berlin", v1alpha1.ScheduleRule{DateRange: days("2025-12-24", "2025-12-26")}),
		"Year":      year,
		"WorstCase": chain,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				schedule.Evaluate(spec, now)
			}
		})
	}
}
