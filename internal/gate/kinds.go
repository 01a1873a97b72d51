package gate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// kind is a class of gate that Kuberik implements. Every other class belongs to an external controller.
type kind struct {
	class    string
	evaluate func(*v1alpha1.RolloutGate, v1alpha1.ReleaseIdentity, Context) Verdict
}

// kinds lists the classes that Kuberik implements.
func kinds() []kind {
	return []kind{
		{v1alpha1.GateClassManual, evaluateManual},
		{v1alpha1.GateClassHTTP, evaluateStatus("the answer of the URL, or whoever may edit the gate")},
		{v1alpha1.GateClassEnvironment, evaluateEnvironment},
	}
}

// environmentClearedBy maps the reason of an Environment's verdict to who or what can open its gate. For other reasons,
// it is the release becoming Available upstream.
var environmentClearedBy = map[string]string{
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

// evaluateEnvironment returns the verdict of a gate that an Environment owns.
func evaluateEnvironment(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	v := evaluateStatus("the release becoming Available upstream")(g, release, c)
	if by, ok := environmentClearedBy[v.Reason]; ok && !v.Open() && v.ClearedBy != "" {
		v.ClearedBy = by
	}
	return v
}

// Class returns the class of a gate: spec.class, or the one that its fields imply. A gate that an Environment owns
// always has the class environment, so that editing spec.class does not open it.
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
