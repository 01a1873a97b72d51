package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Standing is the short answer to why.
type Standing string

const (
	// Fine means that there is nothing to object to.
	Fine Standing = "Fine"
	// InProgress means that the release is being deployed or bakes.
	InProgress Standing = "InProgress"
	// Waits means that something holds the release.
	Waits Standing = "Held"
	// Failed means that the release failed.
	Failed Standing = "Failed"
	// Replaced means that another release was deployed instead, or after it.
	Replaced Standing = "Replaced"
)

// Subject is what an answer is about.
type Subject struct {
	Namespace   string `json:"namespace"`
	Rollout     string `json:"rollout"`
	Environment string `json:"environment,omitempty"`
	// Release is the name of the object of the release.
	Release string `json:"release,omitempty"`
	Tag     string `json:"tag,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// Yours is what the person who asks can do about a blocker.
type Yours struct {
	User    string `json:"user"`
	May     bool   `json:"may"`
	Command string `json:"command,omitempty"`
	Why     string `json:"why,omitempty"`
}

// Obstacle is one thing that a release waits for.
type Obstacle struct {
	Kind      string       `json:"kind"`
	Name      string       `json:"name,omitempty"`
	Reason    string       `json:"reason"`
	Message   string       `json:"message"`
	Since     *metav1.Time `json:"since,omitempty"`
	Until     *metav1.Time `json:"until,omitempty"`
	ClearedBy string       `json:"clearedBy,omitempty"`
	You       *Yours       `json:"you,omitempty"`
	Ways      []Way        `json:"ways,omitempty"`
}

// Passing is a gate or a check that holds nothing.
type Passing struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
}

// Estimate is when a release can be out at the earliest.
type Estimate struct {
	// Deployment is when everything that clears by itself is clear.
	Deployment *metav1.Time `json:"deployment,omitempty"`
	// Needs lists the blockers that do not clear by themselves, by their number, from 1.
	Needs []int `json:"needs,omitempty"`
	// Available is about when the release is Available then. It is only known if earlier deployments tell how long it
	// takes.
	Available *metav1.Time `json:"available,omitempty"`
	// Bake is the bake time.
	Bake string `json:"bake,omitempty"`
}

// Answer says why a Rollout or a release is where it is.
type Answer struct {
	Meta    `json:",inline"`
	Subject Subject `json:"subject"`
	// Runs is the tag that was last handed to Flux, and RunsSince when.
	Runs      string       `json:"runs,omitempty"`
	RunsSince *metav1.Time `json:"runsSince,omitempty"`
	// Next is the tag that waits.
	Next string `json:"next,omitempty"`
	// State is the phase of the subject.
	State    string   `json:"state"`
	Standing Standing `json:"standing"`
	Summary  string   `json:"summary"`
	// Blockers are in the order in which they have to clear.
	Blockers []Obstacle `json:"blockers"`
	Passing  []Passing  `json:"passing,omitempty"`
	Earliest *Estimate  `json:"earliest,omitempty"`
	// Skipped are newer releases that are not deployed automatically.
	Skipped []v1alpha1.SkippedRelease `json:"skipped,omitempty"`
}

// Why answers why a Rollout or, if rel is not nil, a release is where it is.
func Why(f Facts, rel *v1alpha1.Release) Answer {
	if rel != nil && !f.isCurrent(rel) {
		return f.whyRelease(rel)
	}
	return f.whyRollout()
}

// isCurrent reports whether the status of the Rollout is about a release: it is in flight, failed last, or is next.
func (f Facts) isCurrent(rel *v1alpha1.Release) bool {
	id, st := version.Identity(rel.Spec.Version), f.Rollout.Status
	inFlight := len(st.History) > 0 && release.InFlight(&st.History[0])
	if next := f.pending(); next.Tag != "" && !inFlight {
		return version.Matches(next, id)
	}
	return len(st.History) > 0 && version.Matches(f.head(), id)
}

func (f Facts) answer(id v1alpha1.ReleaseIdentity) Answer {
	rel := f.release(id)
	a := Answer{
		Meta: NewMeta("Why"), Next: f.Rollout.Status.PendingVersion, Runs: f.Rollout.Status.CurrentVersion,
		Blockers: []Obstacle{},
		Subject: Subject{
			Namespace: f.Rollout.Namespace, Rollout: f.Rollout.Name, Environment: f.environment(), Release: rel.Name,
			Tag: id.Tag, Digest: Digest(rel),
		},
	}
	if e := f.running(); e != nil {
		a.RunsSince = &e.Timestamp
	}
	return a
}

// whyRollout answers for what the Rollout does now: the release in flight, the one that failed, or the one that waits.
func (f Facts) whyRollout() Answer {
	id := blocked(f.Rollout)
	if next := f.pending(); next.Tag == id.Tag && next.Tag != "" {
		id = next
	}
	a := f.answer(id)
	st := f.Rollout.Status
	a.State, a.Standing = string(cmp.Or(st.Phase, v1alpha1.PhaseWaiting)), f.standing()
	a.Blockers = f.obstacles(st.BlockedBy, id)
	a.Passing = f.passing()
	a.Earliest = f.earliest(a)
	// The summary says how long the release has yet to bake.
	a.Blockers = slices.DeleteFunc(a.Blockers, func(o Obstacle) bool { return o.Reason == v1alpha1.ReasonBaking })
	for _, s := range st.Skipped {
		if s.Reason != v1alpha1.ReasonSuperseded {
			a.Skipped = append(a.Skipped, s)
		}
	}
	a.Summary = f.summary(a)
	return a
}

// progress are the reasons of blockers that pass without anybody's help.
var progress = []string{
	v1alpha1.ReasonBaking, v1alpha1.ReasonTargetNotApplied, v1alpha1.ReasonCheckPending, v1alpha1.ReasonWorkloadsNotReady,
	v1alpha1.ReasonDeploying, v1alpha1.ReasonSettling,
}

func (f Facts) standing() Standing {
	st := f.Rollout.Status
	stuck := slices.ContainsFunc(st.BlockedBy,
		func(b v1alpha1.Blocker) bool { return !slices.Contains(progress, b.Reason) })
	rolledBack := slices.ContainsFunc(st.BlockedBy,
		func(b v1alpha1.Blocker) bool { return b.Reason == v1alpha1.ReasonRolledBack })
	switch {
	case st.Phase == v1alpha1.PhaseFailed, st.Phase == v1alpha1.PhasePaused, rolledBack:
		return Failed
	case stuck, st.Phase == v1alpha1.PhaseSuspended:
		return Waits
	case st.Phase == v1alpha1.PhaseDeploying, st.Phase == v1alpha1.PhaseBaking, st.PendingVersion != "",
		st.Phase == v1alpha1.PhaseWaiting, st.Phase == "":
		return InProgress
	}
	return Fine
}

func (f Facts) obstacles(blockers []v1alpha1.Blocker, id v1alpha1.ReleaseIdentity) []Obstacle {
	list := []Obstacle{}
	for _, b := range blockers {
		o := Obstacle{
			Kind: b.Kind, Name: b.Name, Reason: b.Reason, Message: b.Message, Since: b.Since, Until: b.Until,
			ClearedBy: b.ClearedBy,
		}
		for _, w := range f.waysOf(b, id) {
			if w.verb == "" || f.Has == nil || f.Has(w.verb) {
				o.Ways = append(o.Ways, f.judge(w, b, id))
			}
		}
		if len(o.Ways) > 0 && f.You.User != "" {
			best := o.Ways[0]
			if i := slices.IndexFunc(o.Ways, func(w Way) bool { return w.May }); i >= 0 {
				best = o.Ways[i]
			}
			o.You = &Yours{User: f.You.User, May: best.May, Command: best.Command, Why: best.Why}
		}
		list = append(list, o)
	}
	return list
}

// Rights returns the rights that the answer depends on, without duplicates.
func (f Facts) Rights() []Right {
	var rights []Right
	add := func(b v1alpha1.Blocker) {
		for _, w := range f.waysOf(b, f.head()) {
			if !slices.Contains(rights, w.right) {
				rights = append(rights, w.right)
			}
		}
	}
	for _, b := range f.Rollout.Status.BlockedBy {
		add(b)
		add(v1alpha1.Blocker{Kind: "Rollout", Reason: b.Reason})
	}
	// Those of a release that is not the next one.
	add(v1alpha1.Blocker{Kind: "RolloutGate", Reason: gate.ReasonAwaitingApproval})
	add(v1alpha1.Blocker{Kind: "RolloutGate", Reason: gate.ReasonScheduleClosed})
	add(v1alpha1.Blocker{Kind: "Rollout", Reason: v1alpha1.ReasonQuarantined})
	return rights
}

// passing returns the gates that are open and the checks that are healthy.
func (f Facts) passing() []Passing {
	var list []Passing
	for _, g := range f.Rollout.Status.Gates {
		if g.Passing != nil && *g.Passing {
			list = append(list, Passing{"RolloutGate", g.Name, string(cmp.Or(g.State, v1alpha1.GateOpen)), g.Message})
		}
	}
	for _, c := range f.Rollout.Status.Checks {
		blocks := slices.ContainsFunc(f.Rollout.Status.BlockedBy,
			func(b v1alpha1.Blocker) bool { return b.Kind == "HealthCheck" && b.Name == c.Name })
		if c.State == v1alpha1.HealthHealthy && !blocks {
			list = append(list, Passing{"HealthCheck", c.Name, string(c.State), c.Message})
		}
	}
	return list
}

// earliest estimates when a release that waits can be out. It returns nil if that is not known.
func (f Facts) earliest(a Answer) *Estimate {
	if a.Standing != Waits && a.Standing != InProgress {
		return nil
	}
	at, needs, baking := f.clears(a.Blockers)
	switch {
	case baking:
		return &Estimate{Needs: needs, Available: &metav1.Time{Time: at}}
	case !at.After(f.Clock.Now):
		return nil
	}
	e := &Estimate{Needs: needs}
	takes, bake, known := f.bake()
	e.Deployment = &metav1.Time{Time: at}
	if bake > 0 {
		e.Bake = string(*f.Rollout.Spec.BakeTime)
	}
	if known {
		e.Available = &metav1.Time{Time: at.Add(takes + bake)}
	}
	return e
}

// clears returns when the blockers that clear by themselves are clear, the numbers of the others, and whether a release
// bakes.
func (f Facts) clears(blockers []Obstacle) (at time.Time, needs []int, baking bool) {
	at = f.Clock.Now
	for i, b := range blockers {
		baking = baking || b.Reason == v1alpha1.ReasonBaking
		switch {
		case b.Until != nil && b.Until.After(at):
			at = b.Until.Time
		case b.Until == nil && !slices.Contains(progress, b.Reason):
			needs = append(needs, i+1)
		}
	}
	return at, needs, baking
}

func (f Facts) summary(a Answer) string {
	tag, place := clean(a.Subject.Tag), f.place()
	switch {
	case a.State == string(v1alpha1.PhaseSuspended):
		return place + " is suspended" + f.runs(" and runs ") + "."
	case a.Standing == Failed:
		return f.failure(a)
	case a.Standing == Fine && tag == "":
		return "Nothing was deployed to " + place + " yet, and nothing waits."
	case a.Standing == Fine:
		return fmt.Sprintf("%s is %s in %s, since %s. Nothing newer waits.", tag, a.State, place, f.sinceRunning())
	case a.State == string(v1alpha1.PhaseBaking):
		return tag + " bakes in " + place + f.bakesUntil() + "."
	case a.State == string(v1alpha1.PhaseDeploying):
		return tag + " is being deployed to " + place + "."
	case tag == "":
		return "Nothing can be deployed to " + place + " yet."
	case a.Next == "" && a.Standing == Waits:
		return fmt.Sprintf("%s runs in %s. Something is wrong:", tag, place)
	}
	return tag + " is not out in " + place + "."
}

func (f Facts) runs(prefix string) string {
	if f.Rollout.Status.CurrentVersion == "" {
		return ""
	}
	return prefix + clean(f.Rollout.Status.CurrentVersion)
}

func (f Facts) sinceRunning() string {
	e := f.running()
	if e == nil {
		return "an unknown time"
	}
	since := e.Timestamp
	if e.BakeEndTime != nil {
		since = *e.BakeEndTime
	}
	return f.Clock.At(since.Time) + " (" + f.Clock.Age(&since) + ")"
}

func (f Facts) bakesUntil() string {
	for _, b := range f.Rollout.Status.BlockedBy {
		if b.Reason == v1alpha1.ReasonBaking && b.Until != nil {
			return " until " + f.Clock.At(b.Until.Time) + " (" + f.Clock.Left(b.Until) + " left)"
		}
	}
	return ""
}

// failure says what failed and when.
func (f Facts) failure(a Answer) string {
	tag, at := clean(a.Subject.Tag), ""
	if len(f.Rollout.Status.History) == 0 {
		return tag + " failed in " + f.place() + "."
	}
	h := f.Rollout.Status.History[0]
	if h.BakeEndTime != nil {
		at = ", " + f.Clock.Age(h.BakeEndTime) + " ago"
	}
	switch {
	case f.Rollout.Status.Phase == v1alpha1.PhasePaused:
		return clean(h.Version.Tag) + " is paused in " + f.place() + ": a check failed, and a person decides."
	case h.Cause == v1alpha1.CauseRollback && f.Rollout.Status.Phase != v1alpha1.PhaseFailed:
		return f.place() + " was rolled back to " + clean(h.Version.Tag) + at + "."
	}
	return strings.TrimSpace(clean(h.Version.Tag) + " failed in " + f.place() + at + ".")
}
