package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// most is how many problems are told at once.
const most = 5

// Evaluation is what a schedule says at one moment.
type Evaluation struct {
	// Open says whether the gates of the schedule are open.
	Open bool
	// Active says whether a rule matches.
	Active bool
	// ActiveRules are the names of the rules that match, in their order. A rule without a name counts as "".
	ActiveRules []string
	// NextTransition is when Active changes next; zero if it never does.
	NextTransition time.Time
	// Again is when anything said here may change next; zero if nothing ever does.
	Again time.Time
	// Zone the rules are in.
	Zone *time.Location
	// Problem says what is wrong, for a person, and Reason in one word: InvalidSchedule, NeverOpens, RuleNeverMatches or RuleOver.
	// Both are empty if nothing is.
	Problem, Reason string
}

// Invalid says whether the schedule cannot be evaluated.
func (e Evaluation) Invalid() bool { return e.Reason == v1alpha1.ReasonScheduleInvalid }

// Stalled says whether somebody has to change the schedule. A rule that is over, as holidays are in January, is no reason to.
func (e Evaluation) Stalled() bool {
	return e.Reason != "" && e.Reason != v1alpha1.ReasonScheduleRuleOver
}

// Evaluate says what a schedule says at a moment.
func Evaluate(spec v1alpha1.ScheduleSpec, now time.Time) Evaluation {
	rules, loc, err := read(spec)
	if err != nil {
		return Evaluation{Zone: time.UTC, Problem: err.Error(), Reason: v1alpha1.ReasonScheduleInvalid}
	}
	e := Evaluation{Zone: loc, Active: spec.Always}
	now = now.In(loc)
	var over, wrong problems
	for i := range rules {
		alone := calendar(rules[i : i+1])
		active := alone.active(minute(now))
		next := alone.transition(now, active)
		if active {
			e.Active, e.ActiveRules = true, append(e.ActiveRules, rules[i].name)
		}
		e.Again = earlier(e.Again, next)
		switch {
		case active || !next.IsZero() || !rules[i].ranged():
		case alone.ever(loc):
			over.add("%s does not match any more: its dateRange ends on %s", label(spec, i), spec.Rules[i].DateRange.End)
		default:
			wrong.add("%s can never match: %s", label(spec, i), why(&spec.Rules[i], loc))
		}
	}
	if !spec.Always {
		e.NextTransition = newCalendar(rules).transition(now, e.Active)
	}
	e.Open = e.Active == (spec.Action == v1alpha1.ScheduleAllow)
	e.judge(spec, over, wrong)
	return e
}

// judge says the worst that there is to say of a schedule that can be evaluated.
func (e *Evaluation) judge(spec v1alpha1.ScheduleSpec, over, wrong problems) {
	switch {
	case spec.Action == v1alpha1.ScheduleAllow && !e.Active && e.NextTransition.IsZero():
		e.Reason = v1alpha1.ReasonScheduleNeverOpens
		e.Problem = "the schedule never opens again: " + append(wrong, over...).String()
	case len(wrong) > 0:
		e.Reason, e.Problem = v1alpha1.ReasonScheduleRuleNeverMatches, wrong.String()
	case len(over) > 0:
		e.Reason, e.Problem = v1alpha1.ReasonScheduleRuleOver, over.String()
	}
}

// read turns a schedule into numbers, or tells everything that is wrong with it.
func read(spec v1alpha1.ScheduleSpec) ([]rule, *time.Location, error) {
	var wrong problems
	loc, err := zone(spec.Timezone)
	if err != nil {
		wrong.add("%w", err)
	}
	switch spec.Action {
	case "", v1alpha1.ScheduleAllow, v1alpha1.ScheduleDeny:
	default:
		wrong.add("action %q is neither Allow nor Deny", spec.Action)
	}
	if spec.Always == (len(spec.Rules) > 0) {
		wrong.add("give either rules, or always: true")
	}
	rules := make([]rule, len(spec.Rules))
	for i := range spec.Rules {
		if rules[i], err = parse(spec.Rules[i]); err != nil {
			wrong.add("%s: %w", label(spec, i), err)
		}
	}
	if len(wrong) > 0 {
		return nil, nil, errors.New(wrong.String())
	}
	return rules, loc, nil
}

// ever says whether a rule with a dateRange matches at any time in a place.
func (c calendar) ever(loc *time.Location) bool {
	before := time.Unix((c[0].first*dayMinutes-margin)*60, 0).In(loc)
	return !c.transition(before, false).IsZero()
}

func why(r *v1alpha1.ScheduleRule, loc *time.Location) string {
	if p, err := parse(*r); err == nil {
		for day := p.first; day <= min(p.last, p.first+7); day++ {
			if p.starts(day) {
				return fmt.Sprintf("the clocks of %s skip it", loc)
			}
		}
	}
	return fmt.Sprintf("from %s to %s there is none of its daysOfWeek", r.DateRange.Start, r.DateRange.End)
}

// label names a rule for a person.
func label(spec v1alpha1.ScheduleSpec, i int) string {
	if name := spec.Rules[i].Name; name != "" {
		return "rule " + strconv.Quote(name)
	}
	return "rule number " + strconv.Itoa(i+1)
}

func earlier(a, b time.Time) time.Time {
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
	if len(p) > most {
		return strings.Join(p[:most], "; ") + fmt.Sprintf("; and %d more", len(p)-most)
	}
	return strings.Join(p, "; ")
}
