package gate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// reasonQuarantinedUpstream is what an Environment writes of a release that is quarantined upstream.
const reasonQuarantinedUpstream = "QuarantinedUpstream"

// kind is a class of gate that Kuberik answers for itself. Every other class belongs to an external controller.
type kind struct {
	class string
	judge func(*v1alpha1.RolloutGate, v1alpha1.ReleaseIdentity, Context) Verdict
}

// kinds lists the classes that Kuberik answers for.
func kinds() []kind {
	return []kind{
		{v1alpha1.GateClassManual, manual},
		{v1alpha1.GateClassHTTP, asked("the answer of the URL, or whoever may edit the gate")},
		{v1alpha1.GateClassEnvironment, promoted},
	}
}

// promoted judges a gate that an Environment keeps.
func promoted(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	v := asked("the release becoming Available upstream")(g, release, c)
	if v.Reason == reasonQuarantinedUpstream {
		v.ClearedBy = "a newer release, or whoever lifts the quarantine upstream"
	}
	return v
}

// Ours says whether Kuberik answers for the gate.
func Ours(g *v1alpha1.RolloutGate) bool {
	for _, k := range kinds() {
		if k.class == Class(g) {
			return true
		}
	}
	return false
}

// Class of a gate: what it says, or what its fields imply. One that an Environment keeps is of its class whatever somebody makes it say.
func Class(g *v1alpha1.RolloutGate) string {
	owner := metav1.GetControllerOf(g)
	switch {
	case owner != nil && owner.Kind == "Environment" && g.Spec.Class != missing:
		return v1alpha1.GateClassEnvironment
	case g.Spec.Class != "":
		return g.Spec.Class
	case g.Spec.HTTP != nil:
		return v1alpha1.GateClassHTTP
	}
	return v1alpha1.GateClassManual
}
