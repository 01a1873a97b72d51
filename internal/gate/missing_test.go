package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	deleted := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "calendar", DeletionTimestamp: &metav1.Time{Time: time.Unix(1, 0)}}}
	if again := MissingRequired(ro, []*v1alpha1.RolloutGate{required[0], deleted}); len(again) != 1 || again[0].Name != "calendar" {
		t.Errorf("a gate that is being deleted is taken for one that exists: %+v", again)
	}
	imitation := Placeholder(ro, "RolloutSchedule", "owner", "uid")
	imitation.UID, imitation.OwnerReferences = "real", nil
	if v := Evaluate(imitation, release, Context{}); v.Open() || v.Reason != ReasonNoVerdict {
		t.Errorf("a gate of class missing: %+v", v)
	}
}

// TestLimit: whoever may create gates may create very many, and none of them is skipped because of that.
func TestLimit(t *testing.T) {
	t.Parallel()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	release := v1alpha1.ReleaseIdentity{Tag: "1.0.0"}
	for _, n := range []int{0, 1, MaxGates, MaxGates + 1, 10 * MaxGates} {
		var all []*v1alpha1.RolloutGate
		for i := range n {
			all = append(all, &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("gate-%05d", n-i)}, Spec: v1alpha1.RolloutGateSpec{Passing: new(true)}})
		}
		limited := Set{Gates: Limit(ro, all)}
		if len(limited.Gates) > MaxGates+1 || limited.Admits(release) != (n <= MaxGates) {
			t.Errorf("of %d gates, %d are left; the release passes: %t", n, len(limited.Gates), limited.Admits(release))
		}
		if n > MaxGates {
			last := limited.Closed(release)[0]
			if last.Reason != ReasonTooManyGates || !strings.Contains(last.Message, "more than 200 RolloutGates") || limited.Gates[0].Name != "gate-00001" {
				t.Errorf("%+v, first %s", last, limited.Gates[0].Name)
			}
		}
	}
}

// TestCloseBySchedule: a gate that was opened in the name of a schedule is as closed as the schedule is.
func TestCloseBySchedule(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for name, spec := range map[string]v1alpha1.RolloutGateSpec{
		"open":         {Passing: new(true)},
		"with a list":  {AllowedVersions: &[]string{"1.0.0"}},
		"of any class": {Class: "example.com/mine"},
	} {
		g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{v1alpha1.AnnotationGateUntil: "2099-01-01T00:00:00Z"}}, Spec: spec}
		v := Evaluate(CloseBySchedule(g, "schedule freeze is closed", until), v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, Context{})
		if v.Open() || v.Reason != ReasonScheduleClosed || v.Message != "schedule freeze is closed" || !v.Until.Equal(until) {
			t.Errorf("%s: %+v", name, v)
		}
		if v := Evaluate(CloseBySchedule(g, "for ever", time.Time{}), v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, Context{}); v.Open() || !v.Until.IsZero() {
			t.Errorf("%s, without end: %+v", name, v)
		}
		if g.Annotations[v1alpha1.AnnotationGateReason] != "" {
			t.Errorf("%s: the cached gate was changed", name)
		}
	}
	closed := &v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{Passing: new(false)}}
	if CloseBySchedule(closed, "a", until) != closed {
		t.Error("a closed gate was changed")
	}
}
