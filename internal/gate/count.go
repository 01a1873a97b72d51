package gate

import (
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// CountResult is the result of CountApproval.
type CountResult struct {
	// Counted is true if the gate counts the Approval.
	Counted bool
	// Reason is a CamelCase word.
	Reason string
	// Message says why the gate does not count the Approval; empty if it does.
	Message string
	// Until is when the gate stops counting the Approval; zero if never.
	Until time.Time
}

// CountApproval returns whether a manual gate counts an Approval, given all Approvals of c. The Approval has to be for
// this gate or for all gates.
func CountApproval(g *v1alpha1.RolloutGate, a Approval, c Context) CountResult {
	if message := countsNone(g); message != "" {
		return CountResult{Reason: ReasonCountsNone, Message: message}
	}
	policy := v1alpha1.ApprovalPolicy{}
	if g.Spec.Approvals != nil {
		policy = *g.Spec.Approvals
	}
	authors, read := c.authors(a.Release)
	if message, reason := cannotCount(g, c, authors, read); message != "" {
		return CountResult{Reason: reason, Message: "approvals are not counted: " + message}
	}
	if message := discountedReason(policy, a, authors, c.Now); message != "" {
		return CountResult{Reason: ReasonNotCounted, Message: message}
	}
	isThis := func(other Approval) bool { return other.Name == a.Name }
	if !slices.ContainsFunc(latestByUser(g, policy, a.Release, c.Approvals), isThis) {
		message := a.User + " has created another Approval of " + a.Release.Tag + ", and only the last one counts"
		return CountResult{Reason: ReasonReplaced, Message: message}
	}
	result := CountResult{Counted: true, Reason: ReasonCounted}
	if a.Decision == v1alpha1.Approve {
		result.Until = expiry(policy, a)
	}
	return result
}

// CountsNone returns why a gate counts no Approval at all, such as a gate of another class. It returns "" if it counts
// some.
func CountsNone(g *v1alpha1.RolloutGate) string {
	switch {
	case IsScheduled(g):
		return "the gate belongs to a schedule"
	case Class(g) != v1alpha1.GateClassManual:
		return "the gate is of class " + Class(g)
	}
	return countsNone(g)
}

// countsNone returns why a manual gate counts no Approval at all; empty if it counts some.
func countsNone(g *v1alpha1.RolloutGate) string {
	switch {
	case g.Spec.Passing != nil && !*g.Spec.Passing:
		return "the gate is closed for every release (spec.passing is false)"
	case g.Spec.Approvals != nil:
		return ""
	case g.Spec.AllowedVersions != nil:
		return "the gate has spec.allowedVersions and no spec.approvals: it opens for the listed versions only"
	case g.Spec.Passing != nil:
		return "the gate is open for every release (spec.passing is true)"
	}
	return ""
}
