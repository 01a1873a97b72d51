package environment

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Standing is all that the verdicts of an Environment's gate follow from.
type Standing struct {
	// Rollout whose releases come to the environment.
	Rollout *v1alpha1.Rollout
	// Upstreams that a release has to be Available in.
	Upstreams []Upstream
	// Snapshot of the application. Without a time nothing was heard yet.
	Snapshot Snapshot
	// Patience is how old a snapshot may be. 0: they are never too old.
	Patience time.Duration
	// Now is the time.
	Now time.Time
	// Reason and Problem say what somebody has to change; nothing new comes before that.
	Reason  string
	Problem error
	// Failure is why nothing was heard.
	Failure error
}

// Verdicts says of each release that may come, and of each that could be gone back to, whether it may. The old verdicts are those that
// it says now: their times are kept where they still hold. Again is when the first verdict may change by itself; zero if none will.
func (s Standing) Verdicts(old []v1alpha1.GateVerdict) (list []v1alpha1.GateVerdict, again time.Time) {
	for _, about := range s.inQuestion() {
		id := version.Identity(about)
		var before *v1alpha1.GateVerdict
		if i := slices.IndexFunc(old, func(o v1alpha1.GateVerdict) bool { return o.Release == id.Tag && o.Digest == id.Digest }); i >= 0 {
			before = &old[i]
		}
		a := s.answer(about, before)
		if !a.Until.IsZero() && (again.IsZero() || a.Until.Before(again)) {
			again = a.Until
		}
		list = append(list, s.write(id, a, before))
	}
	return list, again
}

// inQuestion are the candidates and what ran before.
func (s Standing) inQuestion() []v1alpha1.VersionInfo {
	list := slices.Clone(gate.Next(s.Rollout))
	if s.Rollout.Spec.Selection != v1alpha1.SelectEvery {
		// What has many newer ones before it may be the one that went well upstream.
		for _, about := range s.Rollout.Status.ReleaseCandidates[len(list):] {
			if s.Snapshot.deployed(s.Upstreams, about) {
				list = append(list, about)
			}
		}
	}
	for i := range s.Rollout.Status.History {
		about := s.Rollout.Status.History[i].Version
		// A gate is asked with the digest that is on record, or without one where there is none.
		same := func(v v1alpha1.VersionInfo) bool { return version.Identity(v) == version.Identity(about) }
		if !slices.ContainsFunc(list, same) {
			list = append(list, about)
		}
	}
	return list
}

// answer says whether a release may come. What was promoted once may be gone back to, whoever can or cannot be asked, unless it is
// quarantined upstream, or was when anything was last heard.
func (s Standing) answer(about v1alpha1.VersionInfo, before *v1alpha1.GateVerdict) Answer {
	a := s.ask(about)
	if a.State == v1alpha1.GateOpen || a.Reason == ReasonQuarantinedUpstream || !s.ranHere(about) {
		return a
	}
	// A snapshot that is old, or cannot be followed as a whole, still shows a quarantine.
	quarantined, is := s.Snapshot.quarantined(s.Upstreams, about)
	switch {
	case is:
		return quarantined
	case s.Snapshot.At.IsZero() && before != nil && before.Reason == ReasonQuarantinedUpstream:
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonQuarantinedUpstream, Message: before.Message}
	}
	return Answer{State: v1alpha1.GateOpen, Reason: ReasonPromoted, Message: about.Tag + " has been Available here before"}
}

func (s Standing) ask(about v1alpha1.VersionInfo) Answer {
	switch {
	case s.Problem != nil:
		return Answer{State: v1alpha1.GateClosed, Reason: s.Reason, Message: s.Problem.Error()}
	case s.Snapshot.At.IsZero():
		a := Answer{State: v1alpha1.GatePending, Reason: ReasonNewsOutdated, Message: "the other environments have not been read yet"}
		if s.Failure != nil {
			a.Message += ": " + s.Failure.Error()
		}
		return a
	}
	return s.Snapshot.Ask(Question{Upstreams: s.Upstreams, Now: s.Now, Patience: s.Patience}, about)
}

// ranHere reports whether a rollback may choose this very release here. A tag of another digest, or of none, is another release.
func (s Standing) ranHere(about v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc(s.Rollout.Status.History, func(h v1alpha1.DeploymentHistoryEntry) bool {
		return release.Restorable(&s.Rollout.Status, &h) && version.Identity(h.Version) == version.Identity(about)
	})
}

// write words a verdict. The end of an open one is written anew only when half of it is over, so that a quiet world is not written to.
func (s Standing) write(id v1alpha1.ReleaseIdentity, a Answer, before *v1alpha1.GateVerdict) v1alpha1.GateVerdict {
	w := v1alpha1.GateVerdict{
		Release: id.Tag, Digest: id.Digest, State: a.State, Reason: a.Reason, Message: version.Clean(a.Message, 1024),
		Since: &metav1.Time{Time: s.Now.Truncate(time.Second)},
	}
	if !a.Since.IsZero() {
		w.Since = &metav1.Time{Time: a.Since.Truncate(time.Second)}
	}
	if !a.Until.IsZero() {
		w.Until = &metav1.Time{Time: a.Until.Truncate(time.Second)}
	}
	if before != nil && before.State == w.State && before.Reason == w.Reason {
		keep(&w, *before, s.Now.Add(s.Patience/2))
	}
	return w
}

// keep keeps the times of a verdict that says the same as before.
func keep(w *v1alpha1.GateVerdict, old v1alpha1.GateVerdict, enough time.Time) {
	if old.Since != nil {
		w.Since = old.Since
	}
	if w.State == v1alpha1.GateOpen && w.Until != nil && old.Until != nil && old.Until.After(enough) && old.Until.Before(w.Until) {
		w.Until = old.Until
	}
}

// GateName tells people what the gate of an Environment is for: production-after-staging. It is a valid name, but two Environments may have
// the same one.
func GateName(e *environments.Environment) string {
	name := label(e.Spec.Environment)
	if name == "" {
		name = e.Name
	}
	sep := "-after-"
	for _, up := range after(e.Spec) {
		if up = label(up); up != "" {
			name, sep = name+sep+up, "-and-"
		}
	}
	return version.LabelValue(name)
}

// label makes a name of environments fit for names of objects.
func label(name string) string {
	fit := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	return strings.Trim(strings.Map(fit, strings.ToLower(name)), "-")
}

// Shape makes the spec of a gate what an Environment needs. Nobody else's passing or list opens it; a passing that closes it stays.
func Shape(spec *v1alpha1.RolloutGateSpec, rollout string) {
	shut := spec.Passing
	if shut != nil && *shut {
		shut = nil
	}
	*spec = v1alpha1.RolloutGateSpec{Class: v1alpha1.GateClassEnvironment, Passing: shut}
	spec.RolloutRef.Name = rollout
}
