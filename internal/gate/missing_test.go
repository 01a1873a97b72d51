package gate

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// A gate that is not there is shut, and somebody who writes a gate that looks like it gains nothing by that.
func TestMissing(t *testing.T) {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	release := v1alpha1.ReleaseIdentity{Tag: "1.0.0"}
	for _, kind := range []string{"RolloutSchedule", "Environment"} {
		g := Missing(ro, kind, "keeper", "uid")
		v := Evaluate(g, release, Context{})
		if v.Open() || v.Reason != ReasonNoGate || v.ClearedBy == "" || v.Message != "the gate that "+kind+" keeper is to keep is not there yet" {
			t.Errorf("%+v", v)
		}
		if Scheduled(g) != (kind == "RolloutSchedule") {
			t.Errorf("whether an Override of schedules goes past it: %v", Scheduled(g))
		}
	}
	alike := Missing(ro, "RolloutSchedule", "keeper", "uid")
	alike.UID, alike.OwnerReferences = "real", nil
	if v := Evaluate(alike, release, Context{}); v.Open() || v.Reason != ReasonNoVerdict {
		t.Errorf("a gate of class missing: %+v", v)
	}
}
