package gate

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// asked judges a gate by the verdict that its controller wrote into the status. It has to be for this very release, tag and digest, for
// the spec as it is now, and not be over.
func asked(clearedBy string) func(*v1alpha1.RolloutGate, v1alpha1.ReleaseIdentity, Context) Verdict {
	return func(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
		if g.Status.ObservedGeneration == g.Generation {
			for _, v := range g.Status.Verdicts {
				if v.Release == release.Tag && v.Digest == release.Digest {
					return written(g, v, clearedBy, c.Now)
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

func written(g *v1alpha1.RolloutGate, w v1alpha1.GateVerdict, clearedBy string, now time.Time) Verdict {
	v := Verdict{
		Gate: g.Name, State: state(w.State), Reason: w.Reason, Message: w.Message,
		Since: value(w.Since), Until: value(w.Until), ClearedBy: clearedBy,
	}
	if v.Message == "" {
		v.Message = "class " + Class(g) + " says " + string(v.State) + " for " + w.Release + ", and not why"
	}
	if v.Open() && !v.Until.IsZero() && !v.Until.After(now) {
		v.State, v.Reason, v.Until = v1alpha1.GatePending, ReasonVerdictExpired, time.Time{}
		v.Message = "the verdict of class " + Class(g) + " for " + w.Release + " is over and has not been renewed"
	}
	return v
}

// external judges a gate of a class that Kuberik does not know.
func external(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	return asked("the controller of class "+Class(g))(g, release, c)
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
