package kube_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

func TestMessagesAreHeldAndStatesAreNot(t *testing.T) {
	t.Parallel()
	var m kube.Messages
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	old, next := v1alpha1.HealthCheckStatus{Status: "Healthy", Message: new("a")}, v1alpha1.HealthCheckStatus{Status: "Healthy", Message: new("b")}
	writes := 0
	for range 600 { // ten minutes of a new message each second
		wait := m.Hold("one", old, next, now)
		if wait == 0 {
			writes++
		}
		if wait < 0 || wait > kube.MessageInterval {
			t.Fatalf("it waits %s", wait)
		}
		now = now.Add(time.Second)
	}
	if writes < 60 || writes > 66 {
		t.Errorf("%d writes in ten minutes", writes)
	}
	if wait := m.Hold("two", old, next, now); wait > 0 {
		t.Errorf("another object waits %s", wait)
	}
	unhealthy := v1alpha1.HealthCheckStatus{Status: "Unhealthy", Message: new("c")}
	for range 10 {
		if wait := m.Hold("one", old, unhealthy, now); wait > 0 {
			t.Errorf("another state waits %s", wait)
		}
	}
	for m.Hold("one", old, next, now) == 0 {
	}
	if wait := m.Hold("one", old, next, now.Add(time.Hour)); wait > 0 {
		t.Errorf("after an hour, it waits %s", wait)
	}
}

// TestMessagesOfEveryKind: what is a message in one status is one in another, wherever it is.
func TestMessagesOfEveryKind(t *testing.T) {
	t.Parallel()
	condition := func(status, message string) []metav1.Condition {
		return []metav1.Condition{{Type: "Ready", Status: metav1.ConditionStatus(status), Message: message}}
	}
	verdict := func(state, message string) []v1alpha1.GateVerdict {
		return []v1alpha1.GateVerdict{{Release: "1.0.0", State: v1alpha1.GateState(state), Message: message}}
	}
	rollout := func(phase, message string) v1alpha1.RolloutStatus {
		return v1alpha1.RolloutStatus{
			Phase: v1alpha1.Phase(phase), WaitsFor: message, BlockedBy: []v1alpha1.Blocker{{Reason: "a", Message: message}},
			History: []v1alpha1.DeploymentHistoryEntry{{BakeStatusMessage: &message}}, Conditions: condition("True", message),
		}
	}
	for name, c := range map[string]struct {
		before, next any
		held         bool
	}{
		"a condition":           {v1alpha1.ScheduleStatus{Conditions: condition("True", "a")}, v1alpha1.ScheduleStatus{Conditions: condition("True", "b")}, true},
		"another condition":     {v1alpha1.ScheduleStatus{Conditions: condition("True", "a")}, v1alpha1.ScheduleStatus{Conditions: condition("False", "b")}, false},
		"a verdict":             {v1alpha1.RolloutGateStatus{Verdicts: verdict("closed", "a")}, v1alpha1.RolloutGateStatus{Verdicts: verdict("closed", "b")}, true},
		"another verdict":       {v1alpha1.RolloutGateStatus{Verdicts: verdict("closed", "a")}, v1alpha1.RolloutGateStatus{Verdicts: verdict("open", "b")}, false},
		"a Rollout":             {rollout("Baking", "a"), rollout("Baking", "b"), true},
		"another phase":         {rollout("Baking", "a"), rollout("Failed", "b"), false},
		"a message that is new": {v1alpha1.HealthCheckStatus{}, v1alpha1.HealthCheckStatus{Message: new("a")}, true},
		"another generation":    {v1alpha1.HealthCheckStatus{}, v1alpha1.HealthCheckStatus{ObservedGeneration: 1, Message: new("a")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m kube.Messages
			held := false
			for range 100 {
				held = m.Hold("a", c.before, c.next, time.Unix(0, 0)) > 0
			}
			if held != c.held {
				t.Errorf("after many writes it is held: %t", held)
			}
		})
	}
}

func TestMessagesForgetObjects(t *testing.T) {
	t.Parallel()
	var m kube.Messages
	now := time.Unix(0, 0)
	old, next := v1alpha1.HealthCheckStatus{Message: new("a")}, v1alpha1.HealthCheckStatus{Message: new("b")}
	for i := range 5000 {
		m.Hold(types.UID(fmt.Sprint(i)), old, next, now)
		now = now.Add(time.Second)
	}
	if n := m.Len(); n > 2048 {
		t.Errorf("%d objects are remembered", n)
	}
}
