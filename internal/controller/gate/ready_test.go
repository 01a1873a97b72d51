package gate

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// What a person writes wrong shows in the condition Ready of the gate.
func TestReadyOfAGateOfAnotherClass(t *testing.T) {
	t.Parallel()
	verdict := v1alpha1.GateVerdict{Release: "1.0", Digest: "a", State: v1alpha1.GateOpen, Message: "the tests of 1.0 have passed"}
	for name, tc := range map[string]struct {
		edit          func(*v1alpha1.RolloutGate)
		status        metav1.ConditionStatus
		reason, says  string
		writes, again int
	}{
		"nobody answers": {
			func(*v1alpha1.RolloutGate) {}, metav1.ConditionUnknown, reasonAwaited, "waits for the controller of class checks.example.com", 1, 1,
		},
		"answered": {
			func(g *v1alpha1.RolloutGate) {
				g.Status = v1alpha1.RolloutGateStatus{ObservedGeneration: 1, Verdicts: []v1alpha1.GateVerdict{verdict}}
			}, metav1.ConditionTrue, reasonEvaluated, "the tests of 1.0 have passed", 1, 1,
		},
		"answered for an older spec": {
			func(g *v1alpha1.RolloutGate) {
				g.Generation, g.Status = 2, v1alpha1.RolloutGateStatus{ObservedGeneration: 1, Verdicts: []v1alpha1.GateVerdict{verdict}}
			}, metav1.ConditionUnknown, reasonAwaited, "has not written a verdict for this spec", 1, 1,
		},
		"its own condition": {
			func(g *v1alpha1.RolloutGate) {
				g.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Connected", Message: "all is well"}}
			}, metav1.ConditionTrue, "Connected", "all is well", 0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFixture(t, v("1.0", "a"))
			w.store.gate.Spec.HTTP, w.store.gate.Spec.Class = nil, "checks.example.com"
			tc.edit(w.store.gate)
			w.reconcile()
			if w.store.writes != tc.writes {
				t.Errorf("%d writes, want %d", w.store.writes, tc.writes)
			}
			w.reconcile()
			if w.store.writes != tc.again {
				t.Errorf("it writes again without need: %d", w.store.writes)
			}
			c := w.store.gate.Status.Conditions[0]
			if c.Status != tc.status || c.Reason != tc.reason || !strings.Contains(c.Message, tc.says) {
				t.Errorf("it is %s %s: %s", c.Status, c.Reason, c.Message)
			}
		})
	}
}

func TestReadyOfAGateThatCannotBeRead(t *testing.T) {
	t.Parallel()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RolloutGateSpec{HTTP: &v1alpha1.HTTPGate{}}}
	g.Spec.RolloutRef.Name = "app"
	if c := ready(g, nil, true); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "Rollout app does not exist") {
		t.Errorf("without its Rollout: %+v", c)
	}
	for says, list := range map[string][]v1alpha1.GateVerdict{
		"no release waits for the gate":       nil,
		"waits for approval of 1.1":           {{Release: "1.1", Message: "waits for approval of 1.1"}, {Release: "1.0", Message: "open"}},
		"the verdict for 1.1 gives no reason": {{Release: "1.1"}, {Release: "1.0", Message: "open"}},
	} {
		if c := ready(g, list, false); c.Status != metav1.ConditionTrue || c.Message != says {
			t.Errorf("it says %q, want %q", c.Message, says)
		}
	}
	for reason, want := range map[string]metav1.ConditionStatus{
		"ExpressionFailed": metav1.ConditionFalse, "Refused": metav1.ConditionFalse, "AnsweredNo": metav1.ConditionTrue, "NoAnswer": metav1.ConditionTrue,
	} {
		c := ready(g, []v1alpha1.GateVerdict{{Release: "1.1"}, {Release: "1.0", Reason: reason, Message: "success: Syntax error"}}, false)
		if c.Status != want || want == metav1.ConditionFalse && (c.Reason != reason || c.Message != "success: Syntax error") {
			t.Errorf("%s: %+v", reason, c)
		}
	}
}
