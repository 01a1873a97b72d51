package gate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// missing is the class of a gate that is not there.
const missing = "missing"

// kindRollout owns the stand-in of a gate that spec.requiredGates lists.
const kindRollout = "Rollout"

// Missing is a gate that something is to keep for a Rollout, and that is not there. It is shut.
func Missing(ro *v1alpha1.Rollout, kind, name string, uid types.UID) *v1alpha1.RolloutGate {
	controls := true
	return &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: strings.ToLower(kind) + "/" + name, // no gate can have this name
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: name, UID: uid, Controller: &controls}},
		},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Class: missing},
	}
}

// Required returns a closed gate for each name of spec.requiredGates that is not among the gates of the Rollout.
func Required(ro *v1alpha1.Rollout, present []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
	var list []*v1alpha1.RolloutGate
	for _, name := range ro.Spec.RequiredGates {
		if !slices.ContainsFunc(present, func(g *v1alpha1.RolloutGate) bool { return g.Name == name }) {
			g := Missing(ro, kindRollout, ro.Name, ro.UID)
			g.Name = name
			list = append(list, g)
		}
	}
	return list
}

func absent(g *v1alpha1.RolloutGate, _ v1alpha1.ReleaseIdentity, _ Context) Verdict {
	owner := g.OwnerReferences[0]
	if owner.Kind == kindRollout {
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoGate,
			Message:   "spec.requiredGates lists this gate, and no RolloutGate " + g.Name + " for this Rollout exists",
			ClearedBy: "creating the RolloutGate with rolloutRef.name: " + owner.Name + ", or removing it from spec.requiredGates",
		}
	}
	return Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoGate,
		Message:   "the gate that " + owner.Kind + " " + owner.Name + " is to keep is not there yet",
		ClearedBy: "the controller of Kuberik, or whoever may edit the " + owner.Kind,
	}
}
