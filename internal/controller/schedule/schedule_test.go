package schedule_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller/schedule"
)

const noon = "2026-11-23T12:00:00Z"

func TestGates(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "other", nil)
	one, two := w.rollout(w.ns, "one", appLabels), w.rollout(w.ns, "two", appLabels)
	s := w.local("office", setOfficeHours)
	gates := w.awaitGates(w.ns, "one:true, two:true")

	g := gates[0]
	for _, candidate := range gates {
		if candidate.Spec.RolloutRef.Name == "one" {
			g = candidate
		}
	}
	want := v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{
			Name: g.Name,
			Labels: map[string]string{
				"gate.kuberik.com/schedule-name": "office", "gate.kuberik.com/schedule-namespace": w.ns,
				"gate.kuberik.com/schedule-kind": "RolloutSchedule", "gate.kuberik.com/rollout-name": "one",
			},
			Annotations: map[string]string{
				"gate.kuberik.com/reason": "schedule office is open until 2026-11-23T17:00Z",
				"gate.kuberik.com/until":  "2026-11-23T17:00:00Z",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "kuberik.com/v1alpha1", Kind: "RolloutSchedule", Name: "office", UID: s.UID,
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "one"}, Passing: ptr.To(true)},
	}
	got := v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Name: g.Name, Labels: g.Labels, Annotations: g.Annotations, OwnerReferences: g.OwnerReferences},
		Spec:       g.Spec,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the gate (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(g.Name, "office-one-") {
		t.Errorf("the gate is named %q, want the prefix office-one-", g.Name)
	}

	if m := w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open"); m != "lets 2 Rollouts pass" {
		t.Errorf("Ready says %q", m)
	}
	w.awaitCondition(s, "Stalled", metav1.ConditionFalse, "Evaluated")
	s.Status.Conditions = nil
	status := v1alpha1.ScheduleStatus{
		ObservedGeneration: 1, Active: true, ActiveRules: []string{"office"}, MatchingRollouts: 2,
		NextTransition: ptr.To(metav1.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)),
		ManagedGates:   []string{gates[0].Name, gates[1].Name},
	}
	if diff := cmp.Diff(status, s.Status); diff != "" {
		t.Errorf("the status (-want +got):\n%s", diff)
	}
	w.awaitEvent("Normal ScheduleActive the schedule is active (office): it lets 2 Rollouts pass, until 2026-11-23T17:00Z")

	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = nil })
	w.awaitGates(w.ns, "two:true")
	w.delete(two)
	w.awaitGates(w.ns, "")
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open")
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = appLabels })
	if again := w.awaitGates(w.ns, "one:true"); again[0].Name != g.Name {
		t.Errorf("the gate is named %q after it was created again, want %q", again[0].Name, g.Name)
	}
}

func TestAnnotationsAreCopiedAndRemovedAgain(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	g := w.awaitGates(w.ns, "one:true")[0]
	change(w, &g, func(g *v1alpha1.RolloutGate) { g.Annotations["mine"], g.Labels["mine"] = "kept", "kept" })
	shown := func(name, description string) {
		t.Helper()
		w.eventually("the annotations of the gate", func() error {
			g := w.gates(w.ns)[0]
			if g.Annotations["gate.kuberik.com/pretty-name"] != name || g.Annotations["gate.kuberik.com/description"] != description ||
				g.Annotations["mine"] != "kept" || g.Labels["mine"] != "kept" {
				return fmt.Errorf("got %v, %v", g.Annotations, g.Labels)
			}
			return nil
		})
	}
	change(w, s, func(s *v1alpha1.RolloutSchedule) {
		s.Annotations = map[string]string{
			"gate.kuberik.com/pretty-name": "Office hours", "gate.kuberik.com/description": "Nine to five",
		}
	})
	shown("Office hours", "Nine to five")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { delete(s.Annotations, "gate.kuberik.com/pretty-name") })
	shown("", "Nine to five")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Annotations = nil })
	shown("", "")
}

// TestGatesChangeAtTheTransition runs the clock over two transitions.
func TestGatesChangeAtTheTransition(t *testing.T) {
	w := startController(t, "2026-11-23T08:59:57.5Z")
	for i := range 20 {
		w.rollout(w.ns, fmt.Sprintf("app-%02d", i), appLabels)
	}
	s := w.local("minute", func(s *v1alpha1.ScheduleSpec) {
		setOfficeHours(s)
		s.Rules[0].TimeRange.End = "09:01"
	})
	for _, state := range []struct {
		open bool
		at   string
	}{{false, ""}, {true, "2026-11-23T09:00:00Z"}, {false, "2026-11-23T09:01:00Z"}} {
		if state.at == "2026-11-23T09:01:00Z" {
			w.setTime("2026-11-23T09:00:58.5Z") // skips most of the minute
			triggerReconcile(w, s)
		}
		w.eventually("all gates change", func() error {
			gates := w.gates(w.ns)
			if len(gates) < 20 {
				return fmt.Errorf("there are %d gates", len(gates))
			}
			for _, g := range gates {
				if *g.Spec.Passing != state.open {
					return fmt.Errorf("gate %s is open: %t", g.Name, *g.Spec.Passing)
				}
			}
			return nil
		})
		if state.at == "" {
			continue
		}
		due, _ := time.Parse(time.RFC3339, state.at)
		late := w.clock.Now().Sub(due)
		t.Logf("20 gates changed %s after %s", late.Round(time.Millisecond), state.at)
		if late < 0 || late > time.Second {
			t.Errorf("the gates changed %s after the transition, want at most 1s", late)
		}
	}
	w.awaitEvent("ScheduleActive the schedule is active (office): it lets 20 Rollouts pass, until 2026-11-23T09:01Z")
	w.awaitEvent("ScheduleInactive the schedule is no longer active: it holds 20 Rollouts, until 2026-11-24T09:00Z")
}

func TestChangesOfGatesAreReverted(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	w.rollout(w.ns, "other", nil)
	w.local("night", func(s *v1alpha1.ScheduleSpec) { setOfficeHours(s); s.Action = v1alpha1.ScheduleDeny })
	want := w.awaitGates(w.ns, "one:false")[0]
	cases := map[string]func(*v1alpha1.RolloutGate){
		"passing":         func(g *v1alpha1.RolloutGate) { g.Spec.Passing = ptr.To(true) },
		"no passing":      func(g *v1alpha1.RolloutGate) { g.Spec.Passing = nil },
		"allowedVersions": func(g *v1alpha1.RolloutGate) { g.Spec.AllowedVersions = &[]string{"1.0.0"} },
		"rolloutRef":      func(g *v1alpha1.RolloutGate) { g.Spec.RolloutRef.Name = "other" },
		"class":           func(g *v1alpha1.RolloutGate) { g.Spec.Class = "example.com/mine" },
		"labels":          func(g *v1alpha1.RolloutGate) { g.Labels = nil },
		"another label":   func(g *v1alpha1.RolloutGate) { g.Labels["gate.kuberik.com/rollout-name"] = "other" },
		"annotations":     func(g *v1alpha1.RolloutGate) { g.Annotations = nil },
		"owner":           func(g *v1alpha1.RolloutGate) { g.OwnerReferences = nil },
		"no longer the controller": func(g *v1alpha1.RolloutGate) {
			g.OwnerReferences[0].Controller = nil
		},
		"everything": func(g *v1alpha1.RolloutGate) {
			g.Labels, g.Annotations, g.OwnerReferences = nil, nil, nil
			g.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "other"}, Passing: ptr.To(true)}
		},
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			g := w.gates(w.ns)[0]
			change(w, &g, edit)
			w.eventually("the change is reverted", func() error {
				g := w.gates(w.ns)[0]
				return diffGates(&want, &g)
			})
		})
	}
	t.Run("deleted", func(t *testing.T) {
		g := w.gates(w.ns)[0]
		w.delete(&g)
		if made := w.awaitGates(w.ns, "one:false")[0]; made.Name != want.Name {
			t.Errorf("the new gate is named %q, want %q", made.Name, want.Name)
		}
	})
}

// diffGates compares two gates without their status and the metadata that the API server sets.
func diffGates(want, got *v1alpha1.RolloutGate) error {
	type view struct {
		Name                string
		Labels, Annotations map[string]string
		Owners              []metav1.OwnerReference
		Spec                v1alpha1.RolloutGateSpec
	}
	of := func(g *v1alpha1.RolloutGate) view {
		return view{g.Name, g.Labels, g.Annotations, g.OwnerReferences, g.Spec}
	}
	if diff := cmp.Diff(of(want), of(got)); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	return nil
}

func TestAReconcileWithoutChangesWritesNothing(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	g := w.awaitGates(w.ns, "one:true")[0]
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open")
	var was v1alpha1.ScheduleStatus
	s.Status.DeepCopyInto(&was)
	version := g.ResourceVersion
	for range 5 {
		triggerReconcile(w, s)
	}
	// When the last change is visible, the earlier ones have been reconciled.
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Annotations["gate.kuberik.com/pretty-name"] = "seen" })
	w.eventually("the annotation is copied", func() error {
		g = w.gates(w.ns)[0]
		if g.Annotations["gate.kuberik.com/pretty-name"] == "" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	managers := map[string]int{}
	for _, m := range g.ManagedFields {
		managers[m.Manager]++
	}
	if g.Generation != 1 || len(managers) != 1 {
		t.Errorf(
			"the gate was written again: generation %d, managers %v, version %s after %s", g.Generation, managers,
			g.ResourceVersion, version,
		)
	}
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, s.Status); diff != "" {
		t.Errorf("the status changed:\n%s", diff)
	}
	w.awaitEvent("ScheduleActive")
	select {
	case e := <-w.events.Events:
		t.Errorf("unexpected event: %s", e)
	default:
	}
}

func TestNamespaces(t *testing.T) {
	w := startController(t, noon)
	production := w.newNamespace(map[string]string{"stage": "production"})
	staging := w.newNamespace(map[string]string{"stage": "staging"})
	for _, ns := range []string{production, staging} {
		w.rollout(ns, "app", appLabels)
	}
	s := w.cluster("freeze", func(s *v1alpha1.ClusterScheduleSpec) {
		setFreeze(&s.ScheduleSpec)
		s.NamespaceSelector = &v1alpha1.LabelSelector{MatchLabels: map[string]string{"stage": "production"}}
	})
	g := w.awaitGates(production, "app:false")[0]
	w.awaitGates(staging, "")
	if _, ok := g.Labels["gate.kuberik.com/schedule-namespace"]; ok || g.Labels["gate.kuberik.com/schedule-kind"] != "ClusterRolloutSchedule" {
		t.Errorf("the labels are %v", g.Labels)
	}
	if r := g.Annotations["gate.kuberik.com/reason"]; r != "cluster schedule freeze is closed until its spec is changed" {
		t.Errorf("the reason is %q", r)
	}
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Closed")
	if diff := cmp.Diff([]string{production + "/" + g.Name}, s.Status.ManagedGates); diff != "" {
		t.Errorf("the gates in the status:\n%s", diff)
	}

	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: production}}
	change(w, ns, func(ns *corev1.Namespace) { delete(ns.Labels, "stage") })
	w.awaitGates(production, "")
	change(w, ns, func(ns *corev1.Namespace) { ns.Labels["stage"] = "production" })
	w.awaitGates(production, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.NamespaceSelector.MatchLabels["stage"] = "staging" })
	w.awaitGates(production, "")
	w.awaitGates(staging, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.NamespaceSelector = nil })
	w.awaitGates(production, "app:false")
	w.awaitGates(staging, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) {
		s.Spec.RolloutSelector.MatchLabels = map[string]string{"app": "none"}
	})
	w.awaitGates(production, "")
	w.awaitGates(staging, "")
}

func TestAScheduleWithoutRollouts(t *testing.T) {
	w := startController(t, noon)
	s := w.local("office", setOfficeHours)
	if m := w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open"); m != "selects no Rollout" {
		t.Errorf("Ready says %q", m)
	}
	w.awaitEvent("Normal ScheduleActive the schedule is active (office): it selects no Rollout, until 2026-11-23T17:00Z")
}

func TestAFreezeWithExemptions(t *testing.T) {
	w := startController(t, noon)
	elsewhere := w.newNamespace(nil)
	app, hotfix := w.rollout(w.ns, "app", appLabels), w.rollout(
		elsewhere, "hotfix", map[string]string{"app": "app", "exempt": "yes"},
	)
	s := w.cluster("incident", func(s *v1alpha1.ClusterScheduleSpec) {
		setFreeze(&s.ScheduleSpec)
		s.Exempt = &v1alpha1.LabelSelector{MatchLabels: map[string]string{"exempt": "yes"}}
	})
	w.awaitGates(w.ns, "app:false")
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Closed")
	w.awaitGates(elsewhere, "")
	if s.Status.NextTransition != nil || !s.Status.Active || s.Status.MatchingRollouts != 1 {
		t.Errorf("the status is %+v", s.Status)
	}
	change(w, hotfix, func(ro *v1alpha1.Rollout) { delete(ro.Labels, "exempt") })
	w.awaitGates(elsewhere, "hotfix:false")
	change(w, app, func(ro *v1alpha1.Rollout) { ro.Labels["exempt"] = "yes" })
	w.awaitGates(w.ns, "")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.Exempt = nil })
	w.awaitGates(w.ns, "app:false")
}

func TestAnInvalidScheduleClosesItsGates(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	w.rollout(w.ns, "two", appLabels)
	s := w.local("office", setOfficeHours)
	w.awaitGates(w.ns, "one:true, two:true")
	w.awaitEvent("ScheduleActive")

	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Timezone = "Europe/Berln" })
	g := w.awaitGates(w.ns, "one:false, two:false")[0]
	message := w.awaitCondition(s, "Stalled", metav1.ConditionTrue, "InvalidSchedule")
	w.awaitCondition(s, "Ready", metav1.ConditionFalse, "InvalidSchedule")
	if !strings.Contains(message, `timezone "Europe/Berln" is unknown`) {
		t.Errorf("Stalled says %q", message)
	}
	if r := g.Annotations["gate.kuberik.com/reason"]; r != "schedule office is invalid, so its gates are closed: "+message || g.Annotations["gate.kuberik.com/until"] != "" {
		t.Errorf("the gate says %v", g.Annotations)
	}
	w.awaitEvent(`Warning InvalidSchedule timezone "Europe/Berln" is unknown`)
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
	w.awaitCondition(s, "Ready", metav1.ConditionFalse, "InvalidSchedule")
	w.awaitGates(w.ns, "one:false, two:false")

	change(w, s, func(s *v1alpha1.RolloutSchedule) {
		s.Spec.Timezone, s.Spec.Action = "Europe/Berlin", v1alpha1.ScheduleAllow
	})
	w.awaitGates(w.ns, "one:true, two:true")
	w.awaitCondition(s, "Stalled", metav1.ConditionFalse, "Evaluated")

	t.Run("a selector", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) {
			s.Spec.RolloutSelector.MatchLabels = map[string]string{"not a label": "x"}
		})
		w.awaitGates(w.ns, "one:false, two:false")
		if m := w.awaitCondition(s, "Stalled", metav1.ConditionTrue, "InvalidSchedule"); !strings.Contains(m, "rolloutSelector is invalid") {
			t.Errorf("Stalled says %q", m)
		}
	})
	t.Run("never opens", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) {
			s.Spec.RolloutSelector.MatchLabels = appLabels
			s.Spec.Rules[0].DateRange = &v1alpha1.DateRange{Start: "2025-12-24", End: "2026-01-01"}
		})
		w.awaitCondition(s, "Stalled", metav1.ConditionTrue, "NeverOpens")
		w.awaitGates(w.ns, "one:false, two:false")
	})
	t.Run("over", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
		if m := w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open"); m != `rule "office" no longer matches: its dateRange ended on 2026-01-01; lets 2 Rollouts pass` {
			t.Errorf("Ready says %q", m)
		}
		w.awaitCondition(s, "Stalled", metav1.ConditionFalse, "Evaluated")
		w.awaitGates(w.ns, "one:true, two:true")
	})
}

func TestLongNames(t *testing.T) {
	w := startController(t, noon)
	long := strings.Repeat("very-long.", 24) + "name"
	w.rollout(w.ns, long+"-one", appLabels)
	w.rollout(w.ns, long+"-two", appLabels)
	s := w.local(long, setOfficeHours)
	gates := w.awaitGates(w.ns, long+"-one:true, "+long+"-two:true")
	for _, g := range gates {
		for k, v := range g.Labels {
			if len(validation.IsValidLabelValue(v)) > 0 {
				t.Errorf("label %s is %q", k, v)
			}
		}
	}
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
	for _, g := range w.awaitGates(w.ns, long+"-one:false, "+long+"-two:false") {
		change(w, &g, func(g *v1alpha1.RolloutGate) { g.OwnerReferences, g.Spec.Passing = nil, ptr.To(true) })
	}
	w.awaitGates(w.ns, long+"-one:false, "+long+"-two:false")
}

func TestTwoSchedulesHaveSeparateGates(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "app", appLabels)
	hours := w.local("office", setOfficeHours)
	holidays := w.cluster("holidays", func(s *v1alpha1.ClusterScheduleSpec) {
		s.Rules = []v1alpha1.ScheduleRule{{DateRange: &v1alpha1.DateRange{Start: "2026-12-24", End: "2026-12-26"}}}
	})
	w.awaitGates(w.ns, "app:true, app:true")
	w.setTime("2026-12-24T12:00:00Z")
	triggerReconcile(w, holidays)
	w.awaitGates(w.ns, "app:false, app:true")
	w.delete(holidays)
	w.setTime("2026-12-24T20:00:00Z")
	triggerReconcile(w, hours)
	w.awaitGates(w.ns, "app:false, app:false")
}

// publishedGate creates a gate as the published controller does.
func (w *testEnv) publishedGate(rollout string, owner ...metav1.OwnerReference) *v1alpha1.RolloutGate {
	w.Helper()
	g := &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, GenerateName: "schedule-gate-", OwnerReferences: owner,
			Labels: map[string]string{
				"gate.kuberik.com/schedule-name": "office", "gate.kuberik.com/schedule-namespace": w.ns,
				"gate.kuberik.com/schedule-kind": "RolloutSchedule", "gate.kuberik.com/rollout-name": rollout,
			}},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: rollout}, Passing: ptr.To(false)},
	}
	w.create(g)
	return g
}

func TestGatesOfThePublishedControllerAreAdopted(t *testing.T) {
	before := newEnv(t)
	for _, name := range []string{"one", "two", "three"} {
		before.rollout(before.ns, name, appLabels)
	}
	s := before.local("office", setOfficeHours)
	owner := *metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("RolloutSchedule"))
	deleted := owner
	deleted.UID = "00000000-0000-0000-0000-000000000000"
	kept := map[string]*v1alpha1.RolloutGate{
		"two":   before.publishedGate("two"),            // has no owner
		"three": before.publishedGate("three", deleted), // owned by a deleted schedule with the same name
	}
	before.publishedGate("one", owner)
	before.publishedGate("one", owner) // a duplicate
	before.publishedGate("four", owner)

	w := startController(t, noon)
	w.ns = before.ns
	gates := w.awaitGates(w.ns, "one:true, three:true, two:true")
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open")
	for _, g := range gates {
		if want := kept[g.Spec.RolloutRef.Name]; want != nil && g.Name != want.Name || !strings.HasPrefix(g.Name, "schedule-gate-") {
			t.Errorf("the gate of %s was not adopted, got %s", g.Spec.RolloutRef.Name, g.Name)
		}
		if !metav1.IsControlledBy(&g, s) {
			t.Errorf("the owners of %s are %v", g.Name, g.OwnerReferences)
		}
	}
}

// TestForeignGatesAreNotChanged also checks that duplicates of the gate of a schedule are deleted.
func TestForeignGatesAreNotChanged(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	mine := w.awaitGates(w.ns, "one:true")[0]
	foreign := w.publishedGate("one", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1", Controller: ptr.To(true)})
	manual := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "manual"}, Spec: foreign.Spec}
	w.create(manual)
	w.publishedGate("one", *metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("RolloutSchedule")))
	w.publishedGate("one")
	for _, g := range w.awaitGates(w.ns, strings.Repeat("one:false, ", 2)+"one:true") {
		switch g.Name {
		case mine.Name:
		case foreign.Name:
			if err := diffGates(foreign, &g); err != nil {
				t.Error(err)
			}
		case manual.Name:
			if err := diffGates(manual, &g); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("unexpected gate %s", g.Name)
		}
	}
}

// TestAStaleCache reconciles a schedule again before its gate is in the cache.
func TestAStaleCache(t *testing.T) {
	w := newEnv(t)
	w.setTime(noon)
	w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	live, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	missing := func(o client.Object) error {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), o.GetName())
	}
	stale := interceptor.NewClient(live, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.RolloutGateList); ok {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*v1alpha1.RolloutGate); ok {
				return missing(o)
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	c := schedule.New(stale, w.events, &w.clock)
	if _, err := c.Reconcile(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	result, err := c.Reconcile(t.Context(), s)
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("got %v, %v, want a retry within 1s and no error", result, err)
	}
	if gates := w.gates(w.ns); len(gates) != 1 {
		t.Errorf("the gates are %q", summarize(gates))
	}
}

// TestATerminatingNamespace has a Rollout in a namespace in which no gate can be created.
func TestATerminatingNamespace(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "app", appLabels)
	terminating := w.newNamespace(nil)
	w.rollout(terminating, "app", appLabels)
	w.delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: terminating}})
	s := w.cluster("freeze", func(s *v1alpha1.ClusterScheduleSpec) { setFreeze(&s.ScheduleSpec) })
	w.awaitGates(w.ns, "app:false")
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Closed")
	if len(s.Status.ManagedGates) != 1 {
		t.Errorf("the gates are %q", s.Status.ManagedGates)
	}
}

// TestTheGarbageCollectorDeletesTheGates checks the owner of a gate, because the test cluster has no garbage collector.
func TestTheGarbageCollectorDeletesTheGates(t *testing.T) {
	w := startController(t, noon)
	w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	g := w.awaitGates(w.ns, "one:true")[0]
	w.delete(s)
	w.eventually("the schedule is deleted", func() error {
		err := w.Get(w.Context(), client.ObjectKeyFromObject(s), s)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it still exists: %w", err)
	})
	owner := metav1.GetControllerOf(&g)
	if owner == nil || owner.UID != s.UID || len(g.OwnerReferences) != 1 || len(g.Finalizers) != 0 {
		t.Fatalf("the garbage collector would not delete the gate: owners %v, finalizers %v", g.OwnerReferences, g.Finalizers)
	}
	w.delete(&g)
	other := w.local("other", setOfficeHours) // when it is ready, the deletion has been reconciled
	gates := w.awaitGates(w.ns, "one:true")
	w.awaitCondition(other, "Ready", metav1.ConditionTrue, "Open")
	if owner := metav1.GetControllerOf(&gates[0]); owner.Name != "other" {
		t.Errorf("the deleted schedule created %s", gates[0].Name)
	}
}

// TestTheNameOfAGateIsTaken also checks that the other gates are written, and that the failed one is retried.
func TestTheNameOfAGateIsTaken(t *testing.T) {
	w := startController(t, noon)
	one := w.rollout(w.ns, "one", appLabels)
	s := w.local("office", setOfficeHours)
	name := w.awaitGates(w.ns, "one:true")[0].Name
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = nil })
	w.awaitGates(w.ns, "")
	foreign := &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1", Controller: ptr.To(true),
		}}},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "else"}},
	}
	w.create(foreign)
	w.rollout(w.ns, "two", appLabels)
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = appLabels })
	message := w.awaitCondition(s, "Ready", metav1.ConditionFalse, "GatesFailed")
	w.awaitGates(w.ns, "else:false, two:true")
	if !strings.HasPrefix(message, fmt.Sprintf("Rollout one: cannot adopt the gate %q: ", name)) {
		t.Errorf("Ready says %q", message)
	}
	w.awaitEvent("Warning GatesFailed Rollout one: ")
	w.delete(foreign)
	w.awaitCondition(s, "Ready", metav1.ConditionTrue, "Open")
	w.awaitGates(w.ns, "one:true, two:true")
}

func TestTheAPIServerRejectsInvalidSchedules(t *testing.T) {
	w := startController(t, noon)
	cases := map[string]struct{ spec, message string }{
		"neither":        {`{rolloutSelector: {}}`, "give either rules, or always: true"},
		"both":           {`{rolloutSelector: {}, always: true, rules: [{}]}`, "give either rules, or always: true"},
		"not always":     {`{rolloutSelector: {}, always: false}`, "give either rules, or always: true"},
		"no rules":       {`{rolloutSelector: {}, rules: []}`, "spec.rules"},
		"too many rules": {`{rolloutSelector: {}, rules: [` + strings.Repeat("{},", 101) + `]}`, "at most 100 items"},
		"no selector":    {`{always: true}`, "spec.rolloutSelector: Required"},
		"operator": {
			`{always: true, rolloutSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}`,
			"an operator is In or NotIn",
		},
		"values": {
			`{always: true, rolloutSelector: {matchExpressions: [{key: a, operator: In}]}}`, "an operator is In or NotIn",
		},
		"exempt everything": {
			`{always: true, rolloutSelector: {}, exempt: {}}`, "an empty exempt would leave every Rollout alone",
		},
		"action": {`{always: true, rolloutSelector: {}, action: Block}`, `supported values: "Allow", "Deny"`},
		"local time": {
			`{always: true, rolloutSelector: {}, timezone: Local}`, "write an IANA time zone such as Europe/Berlin",
		},
		"no zone": {
			`{always: true, rolloutSelector: {}, timezone: ""}`, "write an IANA time zone such as Europe/Berlin",
		},
		"start": {
			`{rolloutSelector: {}, rules: [{timeRange: {start: "9:00", end: "17:00"}}]}`,
			"write the start as hours and minutes",
		},
		"start at the end": {
			`{rolloutSelector: {}, rules: [{timeRange: {start: "24:00", end: "17:00"}}]}`,
			"write the start as hours and minutes",
		},
		"end": {
			`{rolloutSelector: {}, rules: [{timeRange: {start: "09:00", end: "5pm"}}]}`, "24:00 is the end of the day",
		},
		"no end": {`{rolloutSelector: {}, rules: [{timeRange: {start: "09:00"}}]}`, "timeRange.end: Required"},
		"day":    {`{rolloutSelector: {}, rules: [{daysOfWeek: [Mon]}]}`, `supported values: "Monday"`},
		"date": {
			`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-13-45", end: "2026-13-46"}}]}`,
			"write a date that exists",
		},
		"30 February": {
			`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-02-01", end: "2026-02-30"}}]}`,
			"write a date that exists",
		},
		"leap day": {
			`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-02-01", end: "2100-02-29"}}]}`,
			"February has no 29th in that year",
		},
		"dates": {
			`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-12-26", end: "2026-12-24"}}]}`,
			"the dateRange ends before it starts",
		},
		"names": {
			`{rolloutSelector: {}, rules: [{name: a}, {name: b}, {name: a}]}`, "two rules have the same name",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, meta := range []string{"kind: ClusterRolloutSchedule\nmetadata: {name: invalid}", "kind: RolloutSchedule\nmetadata: {name: invalid, namespace: default}"} {
				err := plane.Apply(t.Context(), []byte("apiVersion: kuberik.com/v1alpha1\n"+meta+"\nspec: "+tc.spec+"\n"))
				if err == nil || !strings.Contains(err.Error(), tc.message) {
					t.Errorf("got %v, want …%s…", err, tc.message)
				}
			}
		})
	}
	valid := map[string]string{
		"unnamed rules": `{rolloutSelector: {}, rules: [{}, {}, {name: ""}, {name: a}]}`,
		"24:00":         `{rolloutSelector: {}, rules: [{timeRange: {start: "00:00", end: "24:00"}}]}`,
		"leap day":      `{rolloutSelector: {}, rules: [{dateRange: {start: "2028-02-29", end: "2028-02-29"}}]}`,
		"not always":    `{rolloutSelector: {}, rules: [{}], always: false}`,
		"as published": `{rolloutSelector: {matchLabels: {a: b}}, timezone: America/New_York, action: Allow, rules: [{name: business-hours,
			timeRange: {start: "09:00", end: "17:00"}, daysOfWeek: [Monday, Tuesday, Monday], dateRange: {start: "2026-01-01", end: "2026-01-01"}}]}`,
	}
	for name, spec := range valid {
		t.Run(name, func(t *testing.T) {
			manifest := "apiVersion: kuberik.com/v1alpha1\nkind: RolloutSchedule\nmetadata: {name: valid, namespace: " + w.ns + "}\nspec: " + spec + "\n"
			if err := plane.Apply(t.Context(), []byte(manifest)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheManifestsOfTheGuide(t *testing.T) {
	w := startController(t, "2026-11-27T11:00:00Z")
	text, err := os.ReadFile("../../../docs/guides/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	production := w.newNamespace(map[string]string{"stage": "production", "example.com/freeze": "exempt"})
	w.rollout(production, "app", nil)
	w.rollout("default", "web", map[string]string{"tier": "frontend"})
	w.rollout("default", "hotfix", map[string]string{"kuberik.com/exempt-from-freeze": "true"})
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	want := map[string]struct{ reason, message string }{
		"office-hours":  {"Open", "lets 1 Rollout pass"},
		"holidays":      {"Closed", "holds 1 Rollout"},
		"incident":      {"Closed", "holds 2 Rollouts"},
		"change-freeze": {"Closed", "holds 2 Rollouts"},
	}
	if len(blocks) != len(want) {
		t.Fatalf("the guide has %d manifests, the test expects %d", len(blocks), len(want))
	}
	for _, block := range blocks {
		manifest, _, _ := strings.Cut(block, "```")
		if err := plane.Apply(t.Context(), []byte(manifest)); err != nil {
			t.Fatalf("%v\n%s", err, manifest)
		}
		var head struct {
			Kind     string
			Metadata metav1.ObjectMeta
		}
		if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
			t.Fatal(err)
		}
		var s client.Object = &v1alpha1.ClusterRolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: head.Metadata.Name}}
		if head.Kind == "RolloutSchedule" {
			s = &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: head.Metadata.Name}}
		}
		if m := w.awaitCondition(s, "Ready", metav1.ConditionTrue, want[head.Metadata.Name].reason); m != want[head.Metadata.Name].message {
			t.Errorf("%s says %q, want %q", head.Metadata.Name, m, want[head.Metadata.Name].message)
		}
	}
}
