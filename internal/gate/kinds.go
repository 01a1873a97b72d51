package gate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

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

// promoters says who or what opens the gate of an Environment, by the reason that the Environment wrote. For every other reason it is the
// release becoming Available upstream.
var promoters = map[string]string{
	"QuarantinedUpstream": "a newer release, or whoever lifts the quarantine upstream",
	"RolledBackUpstream":  "a newer release, or the release becoming Available upstream again",
	"UnknownEnvironment":  "whoever may edit the Environment or label the namespaces, or the first deployment upstream",
	"Unidentified":        "whoever may edit the ImagePolicies upstream and here",
	"NoEvidence":          "whoever may edit the Environments upstream, or the release becoming Available upstream",
	"NewsOutdated":        "the backend of the Environment answering again",
	"Cycle":               "whoever may edit the Environment",
	"RolloutNotFound":     "whoever may edit the Environment",
	"NoName":              "whoever may edit the Environment",
	"InvalidSpec":         "whoever may edit the Environment",
	"BackendRefuses":      "whoever may edit the backend of the Environment and its credentials",
}

// promoted judges a gate that an Environment keeps.
func promoted(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	v := asked("the release becoming Available upstream")(g, release, c)
	if by, ok := promoters[v.Reason]; ok && !v.Open() && v.ClearedBy != "" {
		v.ClearedBy = by
	}
	return v
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
