package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// maxProblems is the number of problems that a message lists.
const maxProblems = 5

// Evaluation is the state of a schedule at one time.
type Evaluation struct {
	// Open reports whether the gates of the schedule are open.
	Open bool
	// Active reports whether a rule matches.
	Active bool
	// ActiveRules are the names of the rules that match, in the order of the spec. The name of a rule without one is "".
	ActiveRules []string
	// NextTransition is the next time at which Active changes. It is zero if it never changes.
	NextTransition time.Time
	// NextChange is the next time at which any field of the Evaluation may change. It is zero if none ever changes.
	NextChange time.Time
	// Zone is the time zone of the rules.
	Zone *time.Location
	// Problem is a message that describes what is wrong. Reason is InvalidSchedule, NeverOpens, RuleNeverMatches or
	// RuleOver. Both are empty if nothing is wrong.
	Problem, Reason string
}

// Invalid reports whether the schedule cannot be evaluated.
func (e Evaluation) Invalid() bool { return e.Reason == v1alpha1.ReasonScheduleInvalid }

// Stalled reports whether the schedule does not work until its spec is changed. A rule whose dateRange is over does not
// make a schedule stalled.
func (e Evaluation) Stalled() bool {
	return e.Reason != "" && e.Reason != v1alpha1.ReasonScheduleRuleOver
}

// Label returns the name of a schedule of a kind for messages.
func Label(kind, name string) string {
	if kind == v1alpha1.KindClusterRolloutSchedule {
		return "cluster schedule " + name
	}
	return "schedule " + name
}

// Describe returns why the gates of a schedule, given its Label, are open or closed.
func (e Evaluation) Describe(label string) string {
	if e.Invalid() {
		return label + " is invalid, so its gates are closed: " + e.Problem
	}
	state := " is closed"
	if e.Open {
		state = " is open"
	}
	if e.NextTransition.IsZero() {
		return label + state + " until its spec is changed"
	}
	return label + state + " until " + e.NextTransition.In(e.Zone).Format("2006-01-02T15:04Z07:00")
}

// Evaluate returns the state of a schedule at a time.
func Evaluate(spec v1alpha1.ScheduleSpec, now time.Time) Evaluation {
	rules, loc, err := parse(spec)
	if err != nil {
		return Evaluation{Zone: time.UTC, Problem: err.Error(), Reason: v1alpha1.ReasonScheduleInvalid}
	}
	e := Evaluation{Zone: loc, Active: spec.Always}
	now = now.In(loc)
	var over, neverMatch problems
	for i := range rules {
		single := calendar(rules[i : i+1])
		active := single.active(localMinute(now))
		next := single.transition(now, active)
		if active {
			e.Active, e.ActiveRules = true, append(e.ActiveRules, rules[i].name)
		}
		e.NextChange = earliest(e.NextChange, next)
		switch {
		case active || !next.IsZero() || !rules[i].hasDateRange():
		case single.everActive(loc):
			over.add("%s no longer matches: its dateRange ended on %s", ruleLabel(spec, i), spec.Rules[i].DateRange.End)
		default:
			neverMatch.add("%s can never match: %s", ruleLabel(spec, i), whyNever(&spec.Rules[i], loc))
		}
	}
	if !spec.Always {
		e.NextTransition = newCalendar(rules).transition(now, e.Active)
	}
	e.Open = e.Active == (spec.Action == v1alpha1.ScheduleAllow)
	e.setProblem(spec, over, neverMatch)
	return e
}

// setProblem sets the most severe problem of a schedule that can be evaluated.
func (e *Evaluation) setProblem(spec v1alpha1.ScheduleSpec, over, neverMatch problems) {
	switch {
	case spec.Action == v1alpha1.ScheduleAllow && !e.Active && e.NextTransition.IsZero():
		e.Reason = v1alpha1.ReasonScheduleNeverOpens
		e.Problem = "the schedule never opens again: " + append(neverMatch, over...).String()
	case len(neverMatch) > 0:
		e.Reason, e.Problem = v1alpha1.ReasonScheduleRuleNeverMatches, neverMatch.String()
	case len(over) > 0:
		e.Reason, e.Problem = v1alpha1.ReasonScheduleRuleOver, over.String()
	}
}

// parse returns the parsed rules and the time zone of a schedule. The error lists everything that is invalid.
func parse(spec v1alpha1.ScheduleSpec) ([]rule, *time.Location, error) {
	var invalid problems
	loc, err := loadZone(spec.Timezone)
	if err != nil {
		invalid.add("%w", err)
	}
	switch spec.Action {
	case "", v1alpha1.ScheduleAllow, v1alpha1.ScheduleDeny:
	default:
		invalid.add("action %q is not supported: use Allow or Deny", spec.Action)
	}
	if spec.Always == (len(spec.Rules) > 0) {
		invalid.add("set either rules or always: true")
	}
	rules := make([]rule, len(spec.Rules))
	for i := range spec.Rules {
		if rules[i], err = parseRule(spec.Rules[i]); err != nil {
			invalid.add("%s: %w", ruleLabel(spec, i), err)
		}
	}
	if len(invalid) > 0 {
		return nil, nil, errors.New(invalid.String())
	}
	return rules, loc, nil
}

// everActive reports whether the first rule, which has a dateRange, matches at any time in a time zone.
func (c calendar) everActive(loc *time.Location) bool {
	before := time.Unix((c[0].first*dayMinutes-maxClockShift)*60, 0).In(loc)
	return !c.transition(before, false).IsZero()
}

// whyNever returns why a rule with a dateRange can never match.
func whyNever(r *v1alpha1.ScheduleRule, loc *time.Location) string {
	if p, err := parseRule(*r); err == nil {
		for day := p.first; day <= min(p.last, p.first+7); day++ {
			if p.startsOn(day) {
				return fmt.Sprintf("clocks in %s skip its timeRange on that day", loc)
			}
		}
	}
	return fmt.Sprintf("none of its daysOfWeek is between %s and %s", r.DateRange.Start, r.DateRange.End)
}

// ruleLabel returns the name of a rule for messages.
func ruleLabel(spec v1alpha1.ScheduleSpec, i int) string {
	if name := spec.Rules[i].Name; name != "" {
		return "rule " + strconv.Quote(name)
	}
	return "rule " + strconv.Itoa(i+1)
}

// earliest returns the earlier of two times. A zero time is later than any.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

type problems []string

func (p *problems) add(format string, args ...any) {
	*p = append(*p, fmt.Errorf(format, args...).Error())
}

func (p problems) String() string {
	if len(p) > maxProblems {
		return strings.Join(p[:maxProblems], "; ") + fmt.Sprintf("; and %d more", len(p)-maxProblems)
	}
	return strings.Join(p, "; ")
}
