package environment

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Evaluation is the input from which the verdicts of an Environment's gate are computed.
type Evaluation struct {
	// Rollout that deploys to the environment.
	Rollout *v1alpha1.Rollout
	// Upstreams in which a release must be Available.
	Upstreams []Upstream
	// Snapshot of the application. If its time is zero, nothing has been read yet.
	Snapshot Snapshot
	// MaxAge is how old the snapshot may be. 0 is no limit.
	MaxAge time.Duration
	// Now is the current time.
	Now time.Time
	// Problem is what somebody has to change before another release may be promoted, and Reason its reason.
	Reason  string
	Problem error
	// Failure is the error of the last read.
	Failure error
}

// Verdicts returns a verdict for each candidate and for each release of the history. Old are the previous verdicts,
// whose times are kept if a verdict has not changed. Next is the earliest time at which a verdict may change by itself;
// zero if there is none.
func (e Evaluation) Verdicts(old []v1alpha1.GateVerdict) (list []v1alpha1.GateVerdict, next time.Time) {
	for _, v := range e.releases() {
		id := version.Identity(v)
		var last *v1alpha1.GateVerdict
		sameRelease := func(o v1alpha1.GateVerdict) bool { return o.Release == id.Tag && o.Digest == id.Digest }
		if i := slices.IndexFunc(old, sameRelease); i >= 0 {
			last = &old[i]
		}
		r := e.evaluate(v, last)
		if !r.Until.IsZero() && (next.IsZero() || r.Until.Before(next)) {
			next = r.Until
		}
		list = append(list, e.verdict(id, r, last))
	}
	return list, next
}

// releases returns the candidates and the releases of the history.
func (e Evaluation) releases() []v1alpha1.VersionInfo {
	list := slices.Clone(gate.Candidates(e.Rollout))
	if e.Rollout.Spec.Selection != v1alpha1.SelectEvery {
		// An older candidate may be the one that became Available upstream.
		for _, v := range e.Rollout.Status.ReleaseCandidates[len(list):] {
			if e.Snapshot.deployed(e.Upstreams, v) {
				list = append(list, v)
			}
		}
	}
	for i := range e.Rollout.Status.History {
		v := e.Rollout.Status.History[i].Version
		// A rollback looks up the verdict by the digest in the history, which may be empty.
		same := func(o v1alpha1.VersionInfo) bool { return version.Identity(o) == version.Identity(v) }
		if !slices.ContainsFunc(list, same) {
			list = append(list, v)
		}
	}
	return list
}

// evaluate returns whether a release may be deployed. A rollback to a release that was Available here needs no backend,
// but is refused if the release is, or was in the last snapshot, quarantined upstream.
func (e Evaluation) evaluate(v v1alpha1.VersionInfo, last *v1alpha1.GateVerdict) Result {
	r := e.promotion(v)
	if r.State == v1alpha1.GateOpen || r.Reason == ReasonQuarantinedUpstream || !e.restorable(v) {
		return r
	}
	// A quarantine counts even in a snapshot that is too old to promote on.
	quarantine, ok := e.Snapshot.quarantined(e.Upstreams, v)
	switch {
	case ok:
		return quarantine
	case e.Snapshot.At.IsZero() && last != nil && last.Reason == ReasonQuarantinedUpstream:
		return closed(ReasonQuarantinedUpstream, "%s", last.Message)
	}
	return Result{State: v1alpha1.GateOpen, Reason: ReasonPromoted, Message: v.Tag + " has been Available here before"}
}

// promotion returns whether a release may be promoted from the upstream environments.
func (e Evaluation) promotion(v v1alpha1.VersionInfo) Result {
	switch {
	case e.Problem != nil:
		return closed(e.Reason, "%s", e.Problem.Error())
	case e.Snapshot.At.IsZero():
		r := Result{
			State: v1alpha1.GatePending, Reason: ReasonNewsOutdated, Message: "the other environments have not been read yet",
		}
		if e.Failure != nil {
			r.Message += ": " + e.Failure.Error()
		}
		return r
	}
	return e.Snapshot.Evaluate(Requirements{Upstreams: e.Upstreams, Now: e.Now, MaxAge: e.MaxAge}, v)
}

// restorable reports whether a rollback may deploy this release. The same tag with another digest is another release.
func (e Evaluation) restorable(v v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc(e.Rollout.Status.History, func(h v1alpha1.DeploymentHistoryEntry) bool {
		return release.Restorable(&e.Rollout.Status, &h) && version.Identity(h.Version) == version.Identity(v)
	})
}

// verdict converts a result.
func (e Evaluation) verdict(id v1alpha1.ReleaseIdentity, r Result, last *v1alpha1.GateVerdict) v1alpha1.GateVerdict {
	v := v1alpha1.GateVerdict{
		Release: id.Tag, Digest: id.Digest, State: r.State, Reason: r.Reason, Message: version.Clean(r.Message, 1024),
		Since: &metav1.Time{Time: e.Now.Truncate(time.Second)},
	}
	if !r.Since.IsZero() {
		v.Since = &metav1.Time{Time: r.Since.Truncate(time.Second)}
	}
	if !r.Until.IsZero() {
		v.Until = &metav1.Time{Time: r.Until.Truncate(time.Second)}
	}
	if last != nil && last.State == v.State && last.Reason == v.Reason {
		keepTimes(&v, *last, e.Now.Add(e.MaxAge/2))
	}
	return v
}

// keepTimes takes over the times of the last verdict, which had the same result. The end of an open verdict is extended
// only once it is before minUntil, so that not every read of the backend changes the status.
func keepTimes(v *v1alpha1.GateVerdict, last v1alpha1.GateVerdict, minUntil time.Time) {
	if last.Since != nil {
		v.Since = last.Since
	}
	extendable := v.State == v1alpha1.GateOpen && v.Until != nil && last.Until != nil
	if extendable && last.Until.After(minUntil) && last.Until.Before(v.Until) {
		v.Until = last.Until
	}
}

// GateName returns the name of the gate of an Environment, such as production-after-staging. It is a valid name, but
// two Environments may have the same one.
func GateName(e *environments.Environment) string {
	name := dnsLabel(e.Spec.Environment)
	if name == "" {
		name = e.Name
	}
	sep := "-after-"
	for _, up := range after(e.Spec) {
		if up = dnsLabel(up); up != "" {
			name, sep = name+sep+up, "-and-"
		}
	}
	return version.LabelValue(name)
}

// dnsLabel makes the name of an environment valid in the name of an object.
func dnsLabel(name string) string {
	valid := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	return strings.Trim(strings.Map(valid, strings.ToLower(name)), "-")
}

// SetGateSpec sets the spec of the gate of an Environment. It removes whatever would open the gate, but keeps passing:
// false, with which a user closes it.
func SetGateSpec(spec *v1alpha1.RolloutGateSpec, rollout string) {
	passing := spec.Passing
	if ptr.Deref(passing, false) {
		passing = nil
	}
	*spec = v1alpha1.RolloutGateSpec{Class: v1alpha1.GateClassEnvironment, Passing: passing}
	spec.RolloutRef.Name = rollout
}
