package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// manual judges a gate that people open: by spec.passing, or by listing the tag. A gate with neither waits for them. What
// closes a gate was asked before.
func manual(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity) Verdict {
	switch {
	case g.Spec.AllowedVersions != nil:
		return Verdict{Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonAllowed, Message: "the gate lists " + release.Tag}
	case g.Spec.Passing != nil:
		return Verdict{Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonPassing, Message: "the gate is open (spec.passing is true)"}
	}
	return Verdict{
		Gate: g.Name, State: v1alpha1.GatePending, Reason: ReasonAwaitingApproval,
		Message:   "waits for approval of " + release.Tag,
		ClearedBy: "whoever may edit the gate: list the tag in spec.allowedVersions",
	}
}
