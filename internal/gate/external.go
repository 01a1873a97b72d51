package gate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// external reads the verdict that the controller of a foreign class wrote. It has to be for this very release, tag and digest,
// and for the spec as it is now.
func external(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity) Verdict {
	if g.Status.ObservedGeneration == g.Generation {
		for _, v := range g.Status.Verdicts {
			if v.Release == release.Tag && v.Digest == release.Digest {
				return Verdict{
					Gate: g.Name, State: state(v.State), Reason: v.Reason, Message: v.Message,
					Since: value(v.Since), Until: value(v.Until), ClearedBy: "the controller of class " + g.Spec.Class,
				}
			}
		}
	}
	return Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoVerdict,
		Message:   "no controller of class " + g.Spec.Class + " has written a verdict for " + release.Tag,
		ClearedBy: "the controller of class " + g.Spec.Class,
	}
}

// state maps whatever was written to one of the three states; only the word open opens.
func state(s v1alpha1.GateState) v1alpha1.GateState {
	if s == v1alpha1.GateOpen || s == v1alpha1.GatePending {
		return s
	}
	return v1alpha1.GateClosed
}

func value(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
