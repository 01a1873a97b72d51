package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// manual judges a gate that people open: by spec.passing, by listing the tag, or by approving the release. A gate that says nothing
// waits for them. What closes a gate was asked before.
func manual(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	unlisted := ""
	if g.Spec.AllowedVersions != nil {
		v := allows(g, release)
		if v.Open() {
			return v
		}
		if v.Reason != ReasonNotAllowed {
			unlisted = "; " + v.Message
		}
	}
	if g.Spec.Approvals == nil && g.Spec.Passing != nil {
		return Verdict{Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonPassing, Message: "the gate is open (spec.passing is true)"}
	}
	v := approved(g, release, c)
	if !v.Open() {
		v.Message += unlisted
	}
	return v
}
