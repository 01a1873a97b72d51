package gate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
	// ReasonDigestUnrecorded: allowedVersions lists the tag, and the status does not list its digest yet.
	ReasonDigestUnrecorded = "DigestNotRecorded"
	// ReasonAwaitingApproval: nobody has approved the release.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonApproved: enough people approved.
	ReasonApproved = "Approved"
	// ReasonRejected: an eligible user has rejected the release.
	ReasonRejected = "Rejected"
	// ReasonUnverified: the users of Approvals are not verified.
	ReasonUnverified = "ApprovalsUnproven"
	// ReasonAuthorUnknown: the image was not read, so its authors, who may not approve, are unknown.
	ReasonAuthorUnknown = "AuthorUnknown"
	// ReasonCounted: the gate counts the Approval.
	ReasonCounted = "Counted"
	// ReasonNotCounted: the gate does not count the Approval.
	ReasonNotCounted = "NotCounted"
	// ReasonReplaced: the same person has created another Approval, which counts instead.
	ReasonReplaced = "Replaced"
	// ReasonCountsNone: the gate counts no Approvals.
	ReasonCountsNone = "GateCountsNone"
	// ReasonVerdictExpired: the verdict for the release has expired.
	ReasonVerdictExpired = "VerdictExpired"
	// ReasonNoGate: the gate that the Rollout requires, or that a schedule or an Environment owns, does not exist.
	ReasonNoGate = "NoGate"
	// ReasonTooManyGates: the Rollout has more gates than are evaluated.
	ReasonTooManyGates = "TooManyGates"
	// ReasonNoVerdict: the controller of the class has not written a verdict for this release and spec.
	ReasonNoVerdict = "NoVerdict"
)

// Verdict is the result of a gate for one release.
type Verdict struct {
	// Gate is the name of the RolloutGate.
	Gate string
	// State is open, closed or pending.
	State v1alpha1.GateState
	// Reason is a CamelCase word.
	Reason string
	// Message is for a person.
	Message string
	// Since is when the state began; zero if unknown.
	Since time.Time
	// Until is the earliest time at which the state may end; zero if unknown.
	Until time.Time
	// ClearedBy names who or what can open the gate.
	ClearedBy string
}

// Open reports whether the release may pass.
func (v Verdict) Open() bool { return v.State == v1alpha1.GateOpen }

// Refuses reports whether the gate rejects this release in particular: a person rejected it, allowedVersions does not
// list it, or it failed upstream. The gate stays closed for the release until a person acts, and may be open for a
// later one.
func (v Verdict) Refuses() bool {
	switch v.Reason {
	case ReasonRejected, ReasonNotAllowed, "QuarantinedUpstream", "RolledBackUpstream":
		return !v.Open()
	}
	return false
}

// Context is the input of an evaluation besides the gate and the release.
type Context struct {
	// Now is the time of the evaluation.
	Now time.Time
	// Approvals are those of all releases of the Rollout.
	Approvals []Approval
	// UnverifiedReason says why the users of Approvals are not verified; empty if they are.
	UnverifiedReason string
	// Authors returns the authors of a release according to its image, and whether the image was read. Nil if no image
	// was.
	Authors func(v1alpha1.ReleaseIdentity) (authors string, read bool)
}

// Set is the gates of a Rollout, sorted by name, with the input of their evaluation.
type Set struct {
	Gates []*v1alpha1.RolloutGate
	Context
}

// Evaluate returns the verdict of a gate for a release.
func Evaluate(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	if v, closed := evaluateStatic(g, release); closed {
		return v
	}
	if g.UID == "" && Class(g) == missing && len(g.OwnerReferences) == 1 {
		return evaluateMissing(g)
	}
	for _, k := range kinds() {
		if k.class == Class(g) {
			return k.evaluate(g, release, c)
		}
	}
	return evaluateStatus("the controller of class "+Class(g))(g, release, c)
}

// Admits reports whether every gate is open for a release.
func (s Set) Admits(release v1alpha1.ReleaseIdentity) bool {
	for _, g := range s.Gates {
		if !Evaluate(g, release, s.Context).Open() {
			return false
		}
	}
	return true
}

// Closed returns the verdicts that are not open, sorted by gate. Those that wait for an approval come last: nobody has
// to approve a release that other gates hold.
func (s Set) Closed(release v1alpha1.ReleaseIdentity) []Verdict {
	var closed, awaiting []Verdict
	for _, g := range s.Gates {
		switch v := Evaluate(g, release, s.Context); {
		case v.Open():
		case v.Reason == ReasonAwaitingApproval:
			awaiting = append(awaiting, v)
		default:
			closed = append(closed, v)
		}
	}
	return append(closed, awaiting...)
}

// OwnedBy reports whether an object controls the gate. The kind and name of the reference must be right as well as its
// UID: the class of a gate follows from the kind, and who may edit gates may write a reference with any kind.
func OwnedBy(g *v1alpha1.RolloutGate, kind, name string, uid types.UID) bool {
	owner := metav1.GetControllerOfNoCopy(g)
	return owner != nil && owner.UID == uid && owner.Kind == kind && owner.Name == name
}

// IsScheduled reports whether a schedule owns the gate.
func IsScheduled(g *v1alpha1.RolloutGate) bool {
	owner := metav1.GetControllerOf(g)
	return owner != nil && (owner.Kind == "RolloutSchedule" || owner.Kind == "ClusterRolloutSchedule")
}

// scheduleDue is the annotated reason of a gate that is closed until its schedule is evaluated again.
const scheduleDue = "the schedule is about to be evaluated again"

// ExpireSchedule returns the gate as it is at a time. If a schedule opened it until a time that has passed, it is
// closed until the schedule is evaluated again.
func ExpireSchedule(g *v1alpha1.RolloutGate, now time.Time) *v1alpha1.RolloutGate {
	until := scheduledUntil(g)
	if until.IsZero() || until.After(now) || g.Spec.Passing == nil || !*g.Spec.Passing {
		return g
	}
	due := g.DeepCopy()
	due.Spec.Passing = new(false)
	due.Annotations[v1alpha1.AnnotationGateReason] = scheduleDue
	delete(due.Annotations, v1alpha1.AnnotationGateUntil)
	return due
}

// CloseBySchedule returns the gate as a schedule that is closed now, for a reason and until a time, would set it. A
// zero time is without end. A gate that is closed already stays as it is.
func CloseBySchedule(g *v1alpha1.RolloutGate, reason string, until time.Time) *v1alpha1.RolloutGate {
	if g.Spec.Passing != nil && !*g.Spec.Passing {
		return g
	}
	closed := g.DeepCopy()
	closed.Spec.Passing = new(false)
	if closed.Annotations == nil {
		closed.Annotations = map[string]string{}
	}
	closed.Annotations[v1alpha1.AnnotationGateReason] = reason
	delete(closed.Annotations, v1alpha1.AnnotationGateUntil)
	if !until.IsZero() {
		closed.Annotations[v1alpha1.AnnotationGateUntil] = until.UTC().Format(time.RFC3339)
	}
	return closed
}

// scheduledUntil returns until when a schedule has set a gate; zero if none has, or if the time is unlimited.
func scheduledUntil(g *v1alpha1.RolloutGate) time.Time {
	if g.Annotations[v1alpha1.AnnotationGateReason] == "" {
		return time.Time{}
	}
	until, err := time.Parse(time.RFC3339, g.Annotations[v1alpha1.AnnotationGateUntil])
	if err != nil {
		return time.Time{}
	}
	return until
}

// notPassing returns the verdict of a gate that spec.passing closes. A schedule that sets spec.passing annotates the
// reason and the end.
func notPassing(g *v1alpha1.RolloutGate) Verdict {
	v := Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNotPassing,
		Message:   "the gate is closed (spec.passing is false)",
		ClearedBy: "whoever may set spec.passing of the gate",
	}
	if reason := g.Annotations[v1alpha1.AnnotationGateReason]; reason != "" {
		v.Reason, v.Message, v.ClearedBy, v.Until = ReasonScheduleClosed, reason, "whoever may edit the schedule",
			scheduledUntil(g)
		switch {
		case reason == scheduleDue:
			v.ClearedBy = "the controller of Kuberik"
		case !v.Until.IsZero():
			v.ClearedBy = "time, or " + v.ClearedBy
		}
	}
	return v
}

// evaluateStatic evaluates the fields that close a gate of any class: spec.passing, and spec.allowedVersions without
// the tag. With spec.approvals, an approval is an alternative to allowedVersions. It returns the verdict, and whether
// it is closed.
func evaluateStatic(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity) (Verdict, bool) {
	if g.Spec.Passing != nil && !*g.Spec.Passing {
		return notPassing(g), true
	}
	if g.Spec.Approvals == nil && g.Spec.AllowedVersions != nil {
		v := evaluateAllowed(g, release)
		return v, !v.Open()
	}
	return Verdict{}, false
}
