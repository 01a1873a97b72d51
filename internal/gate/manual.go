package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// evaluateManual evaluates a gate that people open: with spec.passing, with spec.allowedVersions, or with Approvals.
// Without any of these it waits for an Approval. evaluateStatic has run before.
func evaluateManual(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	unlisted := ""
	if g.Spec.AllowedVersions != nil {
		v := evaluateAllowed(g, release)
		if v.Open() {
			return v
		}
		if v.Reason != ReasonNotAllowed {
			unlisted = "; " + v.Message
		}
	}
	if g.Spec.Approvals == nil && g.Spec.Passing != nil {
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonPassing, Message: "the gate is open (spec.passing is true)",
		}
	}
	v := evaluateApprovals(g, release, c)
	if !v.Open() {
		v.Message += unlisted
	}
	return v
}
