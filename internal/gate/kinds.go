package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// kind is a class of gate that Kuberik answers for itself. Every other class belongs to an external controller.
type kind struct {
	class string
	judge func(*v1alpha1.RolloutGate, v1alpha1.ReleaseIdentity) Verdict
}

// kinds lists the classes that Kuberik answers for.
func kinds() []kind {
	return []kind{
		{v1alpha1.GateClassManual, manual},
	}
}

// Ours says whether Kuberik answers for the gate.
func Ours(g *v1alpha1.RolloutGate) bool {
	for _, k := range kinds() {
		if k.class == class(g) {
			return true
		}
	}
	return false
}
