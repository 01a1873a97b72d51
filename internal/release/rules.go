package release

import (
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Rule is one rule of the life of a release. It decides, or it does not apply.
type Rule struct {
	// Name of the rule, as it is logged.
	Name string
	// Apply decides about a situation, or says that the rule does not apply.
	Apply func(*situation) (Decision, bool)
}

// Chore is bookkeeping that comes before every decision.
type Chore struct {
	// Name of the chore.
	Name string
	// Do returns the bookkeeping that is due.
	Do func(*situation) []Action
}

// Chain is the policy of a Rollout: its chores and its rules, in the order of precedence.
type Chain struct {
	Chores []Chore
	Rules  []Rule
}

// Rules is the policy. Every line of it is needed: the simulation fails without it.
func Rules() Chain {
	return Chain{
		Chores: []Chore{
			{"forgetHandled", forgetHandled},
			{"clearHandled", clearHandled},
			{"discover", discover},
			{"learnDetails", learnDetails},
			{"trim", trim},
		},
		Rules: []Rule{
			{"liftQuarantine", liftQuarantine},
			{"suspend", suspend},
			{"rejectSpec", rejectSpec},

			// What a person asks for comes before what is under way.
			{"retry", retry},
			{"followPin", followPin},
			{"ignoreForceUnderPin", ignoreForceUnderPin},
			{"forceDeploy", forceDeploy},
			{"ignoreUnblock", ignoreUnblock},

			// One release is in flight at a time. A verdict comes before another write to Flux, so that a write which is refused
			// for ever cannot keep a release from failing.
			{"awaitPerson", awaitPerson},
			{"restoreTargets", restoreTargets},
			{"holdHandover", holdHandover},
			{"failOnCheck", failOnCheck},
			{"failOnTimeout", failOnTimeout},
			{"rollBack", rollBack},
			{"interruptBake", interruptBake},
			{"pinTargets", pinTargets},
			{"awaitTargets", awaitTargets},
			{"awaitChecks", awaitChecks},
			{"startBake", startBake},
			{"finishBake", finishBake},
			{"keepBaking", keepBaking},

			// Nothing is in flight: what comes next?
			{"stayPinned", stayPinned},
			{"blockAfterFailure", blockAfterFailure},
			{"rest", rest},
			{"holdOnGates", holdOnGates},
			{"holdOnHealth", holdOnHealth},
			{"settle", settle},
			{"deployNext", deployNext},
		},
	}
}

// Decide says what is to be done about an observation.
func Decide(o Observation) Decision { return Rules().Decide(o) }

// Decide does the chores and lets the first rule that applies decide.
func (c Chain) Decide(o Observation) Decision {
	s := &situation{Observation: o, status: o.Status}
	var chores []Action
	for _, chore := range c.Chores {
		for _, a := range chore.Do(s) {
			a.apply(&s.status)
			chores = append(chores, a)
		}
	}
	for _, rule := range c.Rules {
		if d, ok := rule.Apply(s); ok {
			d.Rule = rule.Name
			d.Actions = append(chores, d.Actions...)
			if slices.ContainsFunc(d.Actions, goesOn) {
				d.Again = o.Now
			}
			return d
		}
	}
	return Decision{Rule: "none", Actions: chores}
}

// goesOn says whether there may be more to do once an action is on record: a status that was written wakes nobody.
func goesOn(a Action) bool {
	switch a.(type) {
	case Record, Amend, Handle:
		return true
	}
	return false
}

// situation is an observation after the chores, with what the rules ask of it.
type situation struct {
	Observation
	status v1alpha1.RolloutStatus
}

// head is the newest deployment, or nil.
func (s *situation) head() *v1alpha1.DeploymentHistoryEntry {
	if len(s.status.History) == 0 {
		return nil
	}
	return &s.status.History[0]
}

// flying is the newest deployment if it is in flight, or nil.
func (s *situation) flying() *v1alpha1.DeploymentHistoryEntry {
	if h := s.head(); h != nil && InFlight(h) {
		return h
	}
	return nil
}

// judged is the newest deployment if it is in flight and not left to a person, or nil.
func (s *situation) judged() *v1alpha1.DeploymentHistoryEntry {
	if h := s.flying(); h != nil && h.PausedTime == nil {
		return h
	}
	return nil
}

// kept is the newest deployment if gates have kept it from Flux since it was decided, or nil.
func (s *situation) kept() *v1alpha1.DeploymentHistoryEntry {
	if h := s.judged(); s.atGates(h) && withheld(h) {
		return h
	}
	return nil
}

// out says whether a deployment is more than an intent: it has reached Flux, or it is over and was not kept from it.
func (s *situation) out(h *v1alpha1.DeploymentHistoryEntry) bool {
	return s.handed(h) || !withheld(h) && statusOf(h) != v1alpha1.BakeDeploying
}

// runs is the deployment that Flux was handed last, or nil.
func (s *situation) runs() *v1alpha1.DeploymentHistoryEntry {
	for i := range s.status.History {
		if e := &s.status.History[i]; i == 0 && s.out(e) || i > 0 && !withheld(e) {
			return e
		}
	}
	return nil
}

// asked returns the value of a one-shot annotation that was not acted upon yet.
func (s *situation) asked(key string) (string, bool) {
	v, ok := s.Annotations[key]
	if !ok || s.IgnoreAnnotations {
		return "", false
	}
	used, handled := s.status.HandledAnnotations[key]
	return v, !handled || used != noted(v)
}

// pinned is the tag that the spec pins, or "".
func (s *situation) pinned() string {
	if s.Spec.WantedVersion == nil {
		return ""
	}
	return *s.Spec.WantedVersion
}

// quarantined says whether a release is not to be deployed automatically.
func (s *situation) quarantined(v v1alpha1.VersionInfo) bool {
	return isQuarantined(&s.status, v)
}

// elapsed is how long the bake has run.
func (s *situation) elapsed(h *v1alpha1.DeploymentHistoryEntry) time.Duration {
	if s.BakedFor != nil {
		return *s.BakedFor
	}
	return s.Now.Sub(h.BakeStartTime.Time)
}

// duration of an optional field that rejectSpec has looked at.
func duration(d *v1alpha1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	v, err := d.Parse()
	if err != nil {
		return v1alpha1.MaxDuration
	}
	return v
}
