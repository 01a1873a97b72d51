package gate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Reasons of verdicts.
const (
	// ReasonPassing: the gate is open for every release.
	ReasonPassing = "Passing"
	// ReasonAllowed: the tag is in allowedVersions.
	ReasonAllowed = "Allowed"
	// ReasonNotPassing: spec.passing is false.
	ReasonNotPassing = "NotPassing"
	// ReasonScheduleClosed: a schedule keeps the gate closed.
	ReasonScheduleClosed = "ScheduleClosed"
	// ReasonNotAllowed: allowedVersions does not list the tag.
	ReasonNotAllowed = "NotAllowed"
	// ReasonOtherDigest: allowedVersions lists the tag for another digest.
	ReasonOtherDigest = "OtherDigestAllowed"
	// ReasonDigestUnrecorded: allowedVersions lists the tag, and the digest that it stands for is not in the status yet.
	ReasonDigestUnrecorded = "DigestNotRecorded"
	// ReasonAwaitingApproval: nobody has approved the release.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonApproved: enough people approved.
	ReasonApproved = "Approved"
	// ReasonRejected: somebody whose approval would count rejected the release.
	ReasonRejected = "Rejected"
	// ReasonUnproven: nothing proves who approved.
	ReasonUnproven = "ApprovalsUnproven"
	// ReasonAuthorUnknown: the image was not read, so nobody knows whether an approval is its author's own.
	ReasonAuthorUnknown = "AuthorUnknown"
	// ReasonCounted: the gate counts the Approval.
	ReasonCounted = "Counted"
	// ReasonNotCounted: the gate does not count the Approval.
	ReasonNotCounted = "NotCounted"
	// ReasonReplaced: the same person has created another Approval, which counts instead.
	ReasonReplaced = "Replaced"
	// ReasonCountsNone: the gate counts no Approval of anybody.
	ReasonCountsNone = "GateCountsNone"
	// ReasonVerdictExpired: what was written of the release is over.
	ReasonVerdictExpired = "VerdictExpired"
	// ReasonNoGate: the gate that a schedule or an Environment is to keep is not there.
	ReasonNoGate = "NoGate"
	// ReasonNoVerdict: the controller of the class has not judged this release under the present spec.
	ReasonNoVerdict = "NoVerdict"
)

// Verdict is what a gate says of one release.
type Verdict struct {
	// Gate is the name of the RolloutGate.
	Gate string
	// State is open, closed or pending.
	State v1alpha1.GateState
	// Reason in one word.
	Reason string
	// Message for a person.
	Message string
	// Since when it holds; zero if nobody knows.
	Since time.Time
	// Until when it holds at the least; zero if nobody knows.
	Until time.Time
	// ClearedBy says who or what can open the gate.
	ClearedBy string
}

// Open says whether the release may pass.
func (v Verdict) Open() bool { return v.State == v1alpha1.GateOpen }

// Refuses reports whether the gate has turned the release down: a person said no, lists other versions, or it was given up upstream. Such
// a gate stays shut for the release until a person changes that, and may let a later one pass.
func (v Verdict) Refuses() bool {
	switch v.Reason {
	case ReasonRejected, ReasonNotAllowed, "QuarantinedUpstream", "RolledBackUpstream":
		return !v.Open()
	}
	return false
}

// Context is what a verdict may depend on besides the gate and the release.
type Context struct {
	// Now is the time of the question.
	Now time.Time
	// Approvals of releases of the Rollout.
	Approvals []Approval
	// UnverifiedReason says why nothing proves who approves; empty: it is proved.
	UnverifiedReason string
	// Authors says who made a release, as far as its image tells, and whether the image was read. Nil: no image was.
	Authors func(v1alpha1.ReleaseIdentity) (authors string, read bool)
}

// Set is the gates of a Rollout, in the order of their names, with what their verdicts depend on.
type Set struct {
	Gates []*v1alpha1.RolloutGate
	Context
}

// Evaluate asks a gate about a release.
func Evaluate(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	if v, shut := static(g, release); shut {
		return v
	}
	if g.UID == "" && Class(g) == missing && len(g.OwnerReferences) == 1 {
		return absent(g, release, c)
	}
	for _, k := range kinds() {
		if k.class == Class(g) {
			return k.judge(g, release, c)
		}
	}
	return external(g, release, c)
}

// Admits says whether every gate is open for a release.
func (s Set) Admits(release v1alpha1.ReleaseIdentity) bool {
	for _, g := range s.Gates {
		if !Evaluate(g, release, s.Context).Open() {
			return false
		}
	}
	return true
}

// Shut returns the verdicts that are not open: first those that need nobody, then those that call a person, each in the order of the
// gates. Nobody is to be called for a release that cannot go out anyway.
func (s Set) Shut(release v1alpha1.ReleaseIdentity) []Verdict {
	var shut, people []Verdict
	for _, g := range s.Gates {
		switch v := Evaluate(g, release, s.Context); {
		case v.Open():
		case v.Reason == ReasonAwaitingApproval:
			people = append(people, v)
		default:
			shut = append(shut, v)
		}
	}
	return append(shut, people...)
}

// Scheduled says whether a schedule made the gate.
func Scheduled(g *v1alpha1.RolloutGate) bool {
	owner := metav1.GetControllerOf(g)
	return owner != nil && (owner.Kind == "RolloutSchedule" || owner.Kind == "ClusterRolloutSchedule")
}

// reasonDue is why a gate is shut whose schedule has to be evaluated first.
const reasonDue = "the schedule is about to be evaluated again"

// At is a gate as it is at a time. One that a schedule opened until a time that has come is shut until the schedule has been looked at
// again.
func At(g *v1alpha1.RolloutGate, now time.Time) *v1alpha1.RolloutGate {
	until := scheduled(g)
	if until.IsZero() || until.After(now) || g.Spec.Passing == nil || !*g.Spec.Passing {
		return g
	}
	due, shut := g.DeepCopy(), false
	due.Spec.Passing = &shut
	due.Annotations[v1alpha1.AnnotationGateReason] = reasonDue
	delete(due.Annotations, v1alpha1.AnnotationGateUntil)
	return due
}

// scheduled is until when a schedule has set a gate; zero if none has, or for ever.
func scheduled(g *v1alpha1.RolloutGate) time.Time {
	if g.Annotations[v1alpha1.AnnotationGateReason] == "" {
		return time.Time{}
	}
	until, err := time.Parse(time.RFC3339, g.Annotations[v1alpha1.AnnotationGateUntil])
	if err != nil {
		return time.Time{}
	}
	return until
}

// closed is a gate that spec.passing closes: by hand, or by a schedule, which says why and until when.
func closed(g *v1alpha1.RolloutGate) Verdict {
	v := Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNotPassing,
		Message:   "the gate is closed (spec.passing is false)",
		ClearedBy: "whoever may set spec.passing of the gate",
	}
	if reason := g.Annotations[v1alpha1.AnnotationGateReason]; reason != "" {
		v.Reason, v.Message, v.ClearedBy, v.Until = ReasonScheduleClosed, reason, "whoever may edit the schedule", scheduled(g)
		switch {
		case reason == reasonDue:
			v.ClearedBy = "the controller of Kuberik"
		case !v.Until.IsZero():
			v.ClearedBy = "time, or " + v.ClearedBy
		}
	}
	return v
}

// static applies the fields that close a gate of any class: passing false, and a list without the tag. Where approvals are asked for, the
// list is one way in among others.
func static(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity) (Verdict, bool) {
	if g.Spec.Passing != nil && !*g.Spec.Passing {
		return closed(g), true
	}
	if g.Spec.Approvals == nil && g.Spec.AllowedVersions != nil {
		v := allows(g, release)
		return v, !v.Open()
	}
	return Verdict{}, false
}
