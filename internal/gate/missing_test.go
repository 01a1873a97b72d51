package gate

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// TestMissingGateIsClosed also covers a gate that imitates a placeholder.
func TestMissingGateIsClosed(t *testing.T) {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	release := v1alpha1.ReleaseIdentity{Tag: "1.0.0"}
	for _, kind := range []string{"RolloutSchedule", "Environment"} {
		g := Placeholder(ro, kind, "owner", "uid")
		v := Evaluate(g, release, Context{})
		if v.Open() || v.Reason != ReasonNoGate || v.ClearedBy == "" || v.Message != "the gate that "+kind+" owner owns does not exist yet" {
			t.Errorf("%+v", v)
		}
		if IsScheduled(g) != (kind == "RolloutSchedule") {
			t.Errorf("IsScheduled is %v", IsScheduled(g))
		}
	}
	ro.Spec.RequiredGates = []string{"approval", "calendar"}
	required := MissingRequired(ro, []*v1alpha1.RolloutGate{{ObjectMeta: metav1.ObjectMeta{Name: "calendar"}}})
	if len(required) != 1 || required[0].Name != "approval" {
		t.Fatalf("%+v", required)
	}
	if v := Evaluate(required[0], release, Context{}); v.Open() || v.Reason != ReasonNoGate || v.Gate != "approval" ||
		!strings.Contains(v.Message, "spec.requiredGates") || !strings.Contains(v.ClearedBy, "rolloutRef.name: app") {
		t.Errorf("%+v", v)
	}
	imitation := Placeholder(ro, "RolloutSchedule", "owner", "uid")
	imitation.UID, imitation.OwnerReferences = "real", nil
	if v := Evaluate(imitation, release, Context{}); v.Open() || v.Reason != ReasonNoVerdict {
		t.Errorf("a gate of class missing: %+v", v)
	}
}
