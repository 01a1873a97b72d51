package gate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// evaluateStatus returns a function that evaluates a gate by the verdict in its status. The verdict has to be for the
// tag and the digest of the release and for the current spec, and must not have expired.
func evaluateStatus(clearedBy string) func(*v1alpha1.RolloutGate, v1alpha1.ReleaseIdentity, Context) Verdict {
	return func(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
		if g.Status.ObservedGeneration == g.Generation {
			for _, v := range g.Status.Verdicts {
				if v.Release == release.Tag && v.Digest == release.Digest {
					return fromStatus(g, v, clearedBy, c.Now)
				}
			}
		}
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNoVerdict,
			Message:   "no controller of class " + Class(g) + " has written a verdict for " + release.Tag,
			ClearedBy: clearedBy,
		}
	}
}

// fromStatus converts a verdict of the status. An open verdict that has expired is pending.
func fromStatus(g *v1alpha1.RolloutGate, w v1alpha1.GateVerdict, clearedBy string, now time.Time) Verdict {
	v := Verdict{
		Gate: g.Name, State: normalizeState(w.State), Reason: w.Reason, Message: w.Message,
		Since: timeOf(w.Since), Until: timeOf(w.Until), ClearedBy: clearedBy,
	}
	if v.Message == "" {
		v.Message = "class " + Class(g) + " wrote the verdict " + string(v.State) + " for " + w.Release + " without a message"
	}
	if v.Open() && !v.Until.IsZero() && !v.Until.After(now) {
		v.State, v.Reason, v.Until = v1alpha1.GatePending, ReasonVerdictExpired, time.Time{}
		v.Message = "the verdict of class " + Class(g) + " for " + w.Release + " has expired and was not renewed"
	}
	return v
}

// normalizeState returns one of the three states: closed for any other text.
func normalizeState(s v1alpha1.GateState) v1alpha1.GateState {
	if s == v1alpha1.GateOpen || s == v1alpha1.GatePending {
		return s
	}
	return v1alpha1.GateClosed
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
