package gate

import (
	"slices"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// manual judges a gate that people open: by spec.passing, by listing the tag, or by approving the release. A gate that says nothing
// waits for them. What closes a gate was asked before.
func manual(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	switch list := g.Spec.AllowedVersions; {
	case list != nil && slices.Contains(*list, release.Tag):
		return Verdict{Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonAllowed, Message: "the gate lists " + release.Tag}
	case g.Spec.Approvals == nil && g.Spec.Passing != nil:
		return Verdict{Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonPassing, Message: "the gate is open (spec.passing is true)"}
	}
	return approved(g, release, c)
}
