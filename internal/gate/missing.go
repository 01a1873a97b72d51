package gate

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// missing is the class of the placeholder for a gate that does not exist.
const missing = "missing"

// kindMore is the owner's kind of the placeholder for gates that are not evaluated because there are too many.
const kindMore = "RolloutGates"

// MaxGates is how many gates of one Rollout are evaluated.
const MaxGates = 200

// kindRollout is the owner's kind of the placeholder for a gate that spec.requiredGates lists.
const kindRollout = "Rollout"

// Placeholder returns a closed gate for one that an owner has not created yet.
func Placeholder(ro *v1alpha1.Rollout, kind, name string, uid types.UID) *v1alpha1.RolloutGate {
	return &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: strings.ToLower(kind) + "/" + name, // no gate can have this name
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: name, UID: uid, Controller: new(true)}},
		},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Class: missing},
	}
}

// Limit returns the first MaxGates gates of a Rollout by name. If there are more, it adds a placeholder for the others,
// so that no release passes.
func Limit(ro *v1alpha1.Rollout, all []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
	slices.SortFunc(all, func(a, b *v1alpha1.RolloutGate) int { return strings.Compare(a.Name, b.Name) })
	if len(all) <= MaxGates {
		return all
	}
	return append(all[:MaxGates:MaxGates], Placeholder(ro, kindMore, "more", ro.UID))
}

// MissingRequired returns a placeholder for each name in spec.requiredGates that is not among the gates of the Rollout.
// A gate that is being deleted does not count as one of them.
func MissingRequired(ro *v1alpha1.Rollout, present []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
	var list []*v1alpha1.RolloutGate
	for _, name := range ro.Spec.RequiredGates {
		if !slices.ContainsFunc(present,
			func(g *v1alpha1.RolloutGate) bool { return g.Name == name && g.DeletionTimestamp.IsZero() }) {
			g := Placeholder(ro, kindRollout, ro.Name, ro.UID)
			g.Name = name
			list = append(list, g)
		}
	}
	return list
}

// evaluateMissing returns the verdict of a placeholder.
func evaluateMissing(g *v1alpha1.RolloutGate) Verdict {
	owner := g.OwnerReferences[0]
	switch owner.Kind {
	case kindMore:
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonTooManyGates,
			Message:   fmt.Sprintf("the Rollout has more than %d RolloutGates, and no more are evaluated", MaxGates),
			ClearedBy: "whoever may delete RolloutGates",
		}
	case kindRollout:
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoGate,
			Message: "spec.requiredGates lists this gate, and no RolloutGate " + g.Name + " for this Rollout exists",
			ClearedBy: "creating the RolloutGate with rolloutRef.name: " + owner.Name +
				", or removing it from spec.requiredGates",
		}
	}
	return Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoGate,
		Message:   "the gate that " + owner.Kind + " " + owner.Name + " owns does not exist yet",
		ClearedBy: "the controller of Kuberik, or whoever may edit the " + owner.Kind,
	}
}
