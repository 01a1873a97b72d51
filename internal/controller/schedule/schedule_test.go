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
	w := begin(t, noon)
	w.rollout(w.home, "other", nil)
	one, two := w.rollout(w.home, "one", it), w.rollout(w.home, "two", it)
	s := w.local("office", office)
	gates := w.expect(w.home, "one:true, two:true")

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
				"gate.kuberik.com/schedule-name": "office", "gate.kuberik.com/schedule-namespace": w.home,
				"gate.kuberik.com/schedule-kind": "RolloutSchedule", "gate.kuberik.com/rollout-name": "one",
			},
			Annotations: map[string]string{
				"gate.kuberik.com/reason": "schedule office is open until 2026-11-23T17:00Z", "gate.kuberik.com/until": "2026-11-23T17:00:00Z",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "kuberik.com/v1alpha1", Kind: "RolloutSchedule", Name: "office", UID: s.UID,
				Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "one"}, Passing: ptr.To(true)},
	}
	got := v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Name: g.Name, Labels: g.Labels, Annotations: g.Annotations, OwnerReferences: g.OwnerReferences}, Spec: g.Spec,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the gate (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(g.Name, "office-one-") {
		t.Errorf("the gate is named %q, which tells nobody what it is for", g.Name)
	}

	if m := w.condition(s, "Ready", metav1.ConditionTrue, "Open"); m != "lets 2 Rollouts pass" {
		t.Errorf("Ready says %q", m)
	}
	w.condition(s, "Stalled", metav1.ConditionFalse, "Evaluated")
	s.Status.Conditions = nil
	status := v1alpha1.ScheduleStatus{
		ObservedGeneration: 1, Active: true, ActiveRules: []string{"office"}, MatchingRollouts: 2,
		NextTransition: ptr.To(metav1.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)), ManagedGates: []string{gates[0].Name, gates[1].Name},
	}
	if diff := cmp.Diff(status, s.Status); diff != "" {
		t.Errorf("the status (-want +got):\n%s", diff)
	}
	w.event("Normal ScheduleActive the schedule is active (office): it lets 2 Rollouts pass, until 2026-11-23T17:00Z")

	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = nil })
	w.expect(w.home, "two:true")
	w.remove(two)
	w.expect(w.home, "")
	w.condition(s, "Ready", metav1.ConditionTrue, "Open")
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = it })
	if again := w.expect(w.home, "one:true"); again[0].Name != g.Name {
		t.Errorf("the same gate is now named %q, it was %q", again[0].Name, g.Name)
	}
}

func TestAnnotationsAreCopiedAndRemovedAgain(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	s := w.local("office", office)
	g := w.expect(w.home, "one:true")[0]
	change(w, &g, func(g *v1alpha1.RolloutGate) { g.Annotations["mine"], g.Labels["mine"] = "kept", "kept" })
	shown := func(name, description string) {
		t.Helper()
		w.eventually("the annotations of the gate", func() error {
			g := w.gates(w.home)[0]
			if g.Annotations["gate.kuberik.com/pretty-name"] != name || g.Annotations["gate.kuberik.com/description"] != description ||
				g.Annotations["mine"] != "kept" || g.Labels["mine"] != "kept" {
				return fmt.Errorf("got %v, %v", g.Annotations, g.Labels)
			}
			return nil
		})
	}
	change(w, s, func(s *v1alpha1.RolloutSchedule) {
		s.Annotations = map[string]string{"gate.kuberik.com/pretty-name": "Office hours", "gate.kuberik.com/description": "Nine to five"}
	})
	shown("Office hours", "Nine to five")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { delete(s.Annotations, "gate.kuberik.com/pretty-name") })
	shown("", "Nine to five")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Annotations = nil })
	shown("", "")
}

// TestTheExactSecond lets the clock run over two transitions.
func TestTheExactSecond(t *testing.T) {
	w := begin(t, "2026-11-23T08:59:57.5Z")
	for i := range 20 {
		w.rollout(w.home, fmt.Sprintf("app-%02d", i), it)
	}
	s := w.local("minute", func(s *v1alpha1.ScheduleSpec) {
		office(s)
		s.Rules[0].TimeRange.End = "09:01"
	})
	for _, state := range []struct {
		open bool
		at   string
	}{{false, ""}, {true, "2026-11-23T09:00:00Z"}, {false, "2026-11-23T09:01:00Z"}} {
		if state.at == "2026-11-23T09:01:00Z" {
			w.at("2026-11-23T09:00:58.5Z") // the rest of the minute is no different
			kick(w, s)
		}
		w.eventually("all gates flip", func() error {
			gates := w.gates(w.home)
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
		t.Logf("20 gates were seen to flip %s after %s", late.Round(time.Millisecond), state.at)
		if late < 0 || late > time.Second {
			t.Errorf("they flipped %s after it was due", late)
		}
	}
	w.event("ScheduleActive the schedule is active (office): it lets 20 Rollouts pass, until 2026-11-23T09:01Z")
	w.event("ScheduleInactive the schedule is no longer active: it holds 20 Rollouts, until 2026-11-24T09:00Z")
}

func TestRepairs(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	w.rollout(w.home, "other", nil)
	w.local("night", func(s *v1alpha1.ScheduleSpec) { office(s); s.Action = v1alpha1.ScheduleDeny })
	right := w.expect(w.home, "one:false")[0]
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
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			g := w.gates(w.home)[0]
			change(w, &g, spoil)
			w.eventually("the gate is put back", func() error {
				g := w.gates(w.home)[0]
				return differ(&right, &g)
			})
		})
	}
	t.Run("deleted", func(t *testing.T) {
		g := w.gates(w.home)[0]
		w.remove(&g)
		if made := w.expect(w.home, "one:false")[0]; made.Name != right.Name {
			t.Errorf("it is now named %q", made.Name)
		}
	})
}

// differ compares what matters in two gates.
func differ(want, got *v1alpha1.RolloutGate) error {
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

// TestNothingToDo looks again and again at a world in which nothing changes.
func TestNothingToDo(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	s := w.local("office", office)
	g := w.expect(w.home, "one:true")[0]
	w.condition(s, "Ready", metav1.ConditionTrue, "Open")
	var was v1alpha1.ScheduleStatus
	s.Status.DeepCopyInto(&was)
	version := g.ResourceVersion
	for range 5 {
		kick(w, s)
	}
	// What comes last is seen: what came before it has been looked at.
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Annotations["gate.kuberik.com/pretty-name"] = "seen" })
	w.eventually("the annotation is seen", func() error {
		g = w.gates(w.home)[0]
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
		t.Errorf("the gate was written more often than needed: generation %d, managers %v, version %s after %s", g.Generation, managers, g.ResourceVersion, version)
	}
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, s.Status); diff != "" {
		t.Errorf("the status changed:\n%s", diff)
	}
	w.event("ScheduleActive")
	select {
	case e := <-w.events.Events:
		t.Errorf("an event though nothing happened: %s", e)
	default:
	}
}

func TestNamespaces(t *testing.T) {
	w := begin(t, noon)
	production := w.namespace(map[string]string{"stage": "production"})
	staging := w.namespace(map[string]string{"stage": "staging"})
	for _, ns := range []string{production, staging} {
		w.rollout(ns, "app", it)
	}
	s := w.cluster("freeze", func(s *v1alpha1.ClusterScheduleSpec) {
		freeze(&s.ScheduleSpec)
		s.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "production"}}
	})
	g := w.expect(production, "app:false")[0]
	w.expect(staging, "")
	if _, ok := g.Labels["gate.kuberik.com/schedule-namespace"]; ok || g.Labels["gate.kuberik.com/schedule-kind"] != "ClusterRolloutSchedule" {
		t.Errorf("the labels are %v", g.Labels)
	}
	if r := g.Annotations["gate.kuberik.com/reason"]; r != "cluster schedule freeze is closed until somebody changes it" {
		t.Errorf("the reason is %q", r)
	}
	w.condition(s, "Ready", metav1.ConditionTrue, "Closed")
	if diff := cmp.Diff([]string{production + "/" + g.Name}, s.Status.ManagedGates); diff != "" {
		t.Errorf("the gates in the status:\n%s", diff)
	}

	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: production}}
	change(w, ns, func(ns *corev1.Namespace) { delete(ns.Labels, "stage") })
	w.expect(production, "")
	change(w, ns, func(ns *corev1.Namespace) { ns.Labels["stage"] = "production" })
	w.expect(production, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.NamespaceSelector.MatchLabels["stage"] = "staging" })
	w.expect(production, "")
	w.expect(staging, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.NamespaceSelector = nil })
	w.expect(production, "app:false")
	w.expect(staging, "app:false")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) {
		s.Spec.RolloutSelector.MatchLabels = map[string]string{"app": "none"}
	})
	w.expect(production, "")
	w.expect(staging, "")
}

// TestSelectsNothing: the event is a sentence for a schedule without Rollouts too.
func TestSelectsNothing(t *testing.T) {
	w := begin(t, noon)
	s := w.local("office", office)
	if m := w.condition(s, "Ready", metav1.ConditionTrue, "Open"); m != "selects no Rollout" {
		t.Errorf("Ready says %q", m)
	}
	w.event("Normal ScheduleActive the schedule is active (office): it selects no Rollout, until 2026-11-23T17:00Z")
}

func TestFreeze(t *testing.T) {
	w := begin(t, noon)
	elsewhere := w.namespace(nil)
	app, hotfix := w.rollout(w.home, "app", it), w.rollout(elsewhere, "hotfix", map[string]string{"app": "it", "exempt": "yes"})
	s := w.cluster("incident", func(s *v1alpha1.ClusterScheduleSpec) {
		freeze(&s.ScheduleSpec)
		s.Exempt = &metav1.LabelSelector{MatchLabels: map[string]string{"exempt": "yes"}}
	})
	w.expect(w.home, "app:false")
	w.condition(s, "Ready", metav1.ConditionTrue, "Closed")
	w.expect(elsewhere, "")
	if s.Status.NextTransition != nil || !s.Status.Active || s.Status.MatchingRollouts != 1 {
		t.Errorf("the status is %+v", s.Status)
	}
	change(w, hotfix, func(ro *v1alpha1.Rollout) { delete(ro.Labels, "exempt") })
	w.expect(elsewhere, "hotfix:false")
	change(w, app, func(ro *v1alpha1.Rollout) { ro.Labels["exempt"] = "yes" })
	w.expect(w.home, "")
	change(w, s, func(s *v1alpha1.ClusterRolloutSchedule) { s.Spec.Exempt = nil })
	w.expect(w.home, "app:false")
}

func TestInvalid(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	w.rollout(w.home, "two", it)
	s := w.local("office", office)
	w.expect(w.home, "one:true, two:true")
	w.event("ScheduleActive")

	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Timezone = "Europe/Berln" })
	g := w.expect(w.home, "one:false, two:false")[0]
	message := w.condition(s, "Stalled", metav1.ConditionTrue, "InvalidSchedule")
	w.condition(s, "Ready", metav1.ConditionFalse, "InvalidSchedule")
	if !strings.Contains(message, `timezone "Europe/Berln" is not known`) {
		t.Errorf("Stalled says %q", message)
	}
	if r := g.Annotations["gate.kuberik.com/reason"]; r != "schedule office is invalid and closes its gates: "+message || g.Annotations["gate.kuberik.com/until"] != "" {
		t.Errorf("the gate says %v", g.Annotations)
	}
	w.event(`Warning InvalidSchedule timezone "Europe/Berln" is not known`)
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
	w.condition(s, "Ready", metav1.ConditionFalse, "InvalidSchedule")
	w.expect(w.home, "one:false, two:false")

	change(w, s, func(s *v1alpha1.RolloutSchedule) {
		s.Spec.Timezone, s.Spec.Action = "Europe/Berlin", v1alpha1.ScheduleAllow
	})
	w.expect(w.home, "one:true, two:true")
	w.condition(s, "Stalled", metav1.ConditionFalse, "Evaluated")

	t.Run("a selector", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) {
			s.Spec.RolloutSelector.MatchLabels = map[string]string{"not a label": "x"}
		})
		w.expect(w.home, "one:false, two:false")
		if m := w.condition(s, "Stalled", metav1.ConditionTrue, "InvalidSchedule"); !strings.Contains(m, "rolloutSelector cannot be used") {
			t.Errorf("Stalled says %q", m)
		}
	})
	t.Run("never opens", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) {
			s.Spec.RolloutSelector.MatchLabels = it
			s.Spec.Rules[0].DateRange = &v1alpha1.DateRange{Start: "2025-12-24", End: "2026-01-01"}
		})
		w.condition(s, "Stalled", metav1.ConditionTrue, "NeverOpens")
		w.expect(w.home, "one:false, two:false")
	})
	t.Run("over", func(t *testing.T) {
		change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
		if m := w.condition(s, "Ready", metav1.ConditionTrue, "Open"); m != `rule "office" does not match any more: its dateRange ends on 2026-01-01; lets 2 Rollouts pass` {
			t.Errorf("Ready says %q", m)
		}
		w.condition(s, "Stalled", metav1.ConditionFalse, "Evaluated")
		w.expect(w.home, "one:true, two:true")
	})
}

func TestLongNames(t *testing.T) {
	w := begin(t, noon)
	long := strings.Repeat("very-long.", 24) + "name"
	w.rollout(w.home, long+"-one", it)
	w.rollout(w.home, long+"-two", it)
	s := w.local(long, office)
	gates := w.expect(w.home, long+"-one:true, "+long+"-two:true")
	for _, g := range gates {
		for k, v := range g.Labels {
			if len(validation.IsValidLabelValue(v)) > 0 {
				t.Errorf("label %s is %q", k, v)
			}
		}
	}
	w.condition(s, "Ready", metav1.ConditionTrue, "Open")
	change(w, s, func(s *v1alpha1.RolloutSchedule) { s.Spec.Action = v1alpha1.ScheduleDeny })
	for _, g := range w.expect(w.home, long+"-one:false, "+long+"-two:false") {
		change(w, &g, func(g *v1alpha1.RolloutGate) { g.OwnerReferences, g.Spec.Passing = nil, ptr.To(true) })
	}
	w.expect(w.home, long+"-one:false, "+long+"-two:false")
}

// TestTwoSchedules selects one Rollout by two schedules: each has a gate of its own.
func TestTwoSchedules(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "app", it)
	office := w.local("office", office)
	holidays := w.cluster("holidays", func(s *v1alpha1.ClusterScheduleSpec) {
		s.Rules = []v1alpha1.ScheduleRule{{DateRange: &v1alpha1.DateRange{Start: "2026-12-24", End: "2026-12-26"}}}
	})
	w.expect(w.home, "app:true, app:true")
	w.at("2026-12-24T12:00:00Z")
	kick(w, holidays)
	w.expect(w.home, "app:false, app:true")
	w.remove(holidays)
	w.at("2026-12-24T20:00:00Z")
	kick(w, office)
	w.expect(w.home, "app:false, app:false")
}

// found is a gate as the public controller made it.
func (w *world) found(rollout string, owner ...metav1.OwnerReference) *v1alpha1.RolloutGate {
	w.Helper()
	g := &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.home, GenerateName: "schedule-gate-", OwnerReferences: owner, Labels: map[string]string{
			"gate.kuberik.com/schedule-name": "office", "gate.kuberik.com/schedule-namespace": w.home,
			"gate.kuberik.com/schedule-kind": "RolloutSchedule", "gate.kuberik.com/rollout-name": rollout,
		}},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: rollout}, Passing: ptr.To(false)},
	}
	w.make(g)
	return g
}

// TestAdoption has the gates of the public controller before anything of ours runs.
func TestAdoption(t *testing.T) {
	before := connect(t)
	for _, name := range []string{"one", "two", "three"} {
		before.rollout(before.home, name, it)
	}
	s := before.local("office", office)
	owner := *metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("RolloutSchedule"))
	gone := owner
	gone.UID = "00000000-0000-0000-0000-000000000000"
	kept := map[string]*v1alpha1.RolloutGate{
		"two":   before.found("two"),         // it lost its owner
		"three": before.found("three", gone), // of a schedule of the same name, which was deleted
	}
	before.found("one", owner)
	before.found("one", owner) // made in a race
	before.found("four", owner)

	w := begin(t, noon)
	w.home = before.home
	gates := w.expect(w.home, "one:true, three:true, two:true")
	w.condition(s, "Ready", metav1.ConditionTrue, "Open")
	for _, g := range gates {
		if want := kept[g.Spec.RolloutRef.Name]; want != nil && g.Name != want.Name || !strings.HasPrefix(g.Name, "schedule-gate-") {
			t.Errorf("the gate of %s is a new one, %s", g.Spec.RolloutRef.Name, g.Name)
		}
		if !metav1.IsControlledBy(&g, s) {
			t.Errorf("the owners of %s are %v", g.Name, g.OwnerReferences)
		}
	}
}

// TestOthers leaves alone what belongs to somebody else, whatever its labels say, and lets no two gates be.
func TestOthers(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	s := w.local("office", office)
	mine := w.expect(w.home, "one:true")[0]
	foreign := w.found("one", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1", Controller: ptr.To(true)})
	manual := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: w.home, Name: "manual"}, Spec: foreign.Spec}
	w.make(manual)
	w.found("one", *metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("RolloutSchedule")))
	w.found("one")
	for _, g := range w.expect(w.home, strings.Repeat("one:false, ", 2)+"one:true") {
		switch g.Name {
		case mine.Name:
		case foreign.Name:
			if err := differ(foreign, &g); err != nil {
				t.Error(err)
			}
		case manual.Name:
			if err := differ(manual, &g); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("there is %s", g.Name)
		}
	}
}

// TestALaggingCache looks twice at a schedule before the cache knows of its gates.
func TestALaggingCache(t *testing.T) {
	w := connect(t)
	w.at(noon)
	w.rollout(w.home, "one", it)
	s := w.local("office", office)
	live, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	missing := func(o client.Object) error {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), o.GetName())
	}
	lagging := interceptor.NewClient(live, interceptor.Funcs{
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
	c := schedule.New(lagging, w.events, &w.clock)
	if _, err := c.Reconcile(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	result, err := c.Reconcile(t.Context(), s)
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("it is not looked at again soon, without a word: %v, %v", result, err)
	}
	if gates := w.gates(w.home); len(gates) != 1 {
		t.Errorf("the gates are %q", said(gates))
	}
}

// TestTerminating has a Rollout in a namespace that is being deleted, in which nothing can be made.
func TestTerminating(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "app", it)
	going := w.namespace(nil)
	w.rollout(going, "app", it)
	w.remove(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: going}})
	s := w.cluster("freeze", func(s *v1alpha1.ClusterScheduleSpec) { freeze(&s.ScheduleSpec) })
	w.expect(w.home, "app:false")
	w.condition(s, "Ready", metav1.ConditionTrue, "Closed")
	if len(s.Status.ManagedGates) != 1 {
		t.Errorf("the gates are %q", s.Status.ManagedGates)
	}
}

// TestDeletedSchedule is about the one thing that the API server does not do here: collect garbage.
func TestDeletedSchedule(t *testing.T) {
	w := begin(t, noon)
	w.rollout(w.home, "one", it)
	s := w.local("office", office)
	g := w.expect(w.home, "one:true")[0]
	w.remove(s)
	w.eventually("the schedule is gone", func() error {
		err := w.Get(w.Context(), client.ObjectKeyFromObject(s), s)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	owner := metav1.GetControllerOf(&g)
	if owner == nil || owner.UID != s.UID || len(g.OwnerReferences) != 1 || len(g.Finalizers) != 0 {
		t.Fatalf("nothing will collect %v %v", g.OwnerReferences, g.Finalizers)
	}
	w.remove(&g)
	other := w.local("other", office) // to see that what came before it has been looked at
	gates := w.expect(w.home, "one:true")
	w.condition(other, "Ready", metav1.ConditionTrue, "Open")
	if owner := metav1.GetControllerOf(&gates[0]); owner.Name != "other" {
		t.Errorf("a schedule that is gone made %s", gates[0].Name)
	}
}

// TestTaken has one gate that cannot be written: the others are, it is said, and it is tried again.
func TestTaken(t *testing.T) {
	w := begin(t, noon)
	one := w.rollout(w.home, "one", it)
	s := w.local("office", office)
	name := w.expect(w.home, "one:true")[0].Name
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = nil })
	w.expect(w.home, "")
	thief := &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.home, Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1", Controller: ptr.To(true),
		}}},
		Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "else"}},
	}
	w.make(thief)
	w.rollout(w.home, "two", it)
	change(w, one, func(ro *v1alpha1.Rollout) { ro.Labels = it })
	message := w.condition(s, "Ready", metav1.ConditionFalse, "GatesFailed")
	w.expect(w.home, "else:false, two:true")
	if !strings.HasPrefix(message, fmt.Sprintf("Rollout one: taking over the gate %q: ", name)) {
		t.Errorf("Ready says %q", message)
	}
	w.event("Warning GatesFailed Rollout one: ")
	w.remove(thief)
	w.condition(s, "Ready", metav1.ConditionTrue, "Open")
	w.expect(w.home, "one:true, two:true")
}

// TestRefused shows what the API server says of mistakes.
func TestRefused(t *testing.T) {
	w := begin(t, noon)
	cases := map[string]struct{ spec, message string }{
		"neither":           {`{rolloutSelector: {}}`, "give either rules, or always: true"},
		"both":              {`{rolloutSelector: {}, always: true, rules: [{}]}`, "give either rules, or always: true"},
		"not always":        {`{rolloutSelector: {}, always: false}`, "give either rules, or always: true"},
		"no rules":          {`{rolloutSelector: {}, rules: []}`, "spec.rules"},
		"too many rules":    {`{rolloutSelector: {}, rules: [` + strings.Repeat("{},", 101) + `]}`, "at most 100 items"},
		"no selector":       {`{always: true}`, "spec.rolloutSelector: Required"},
		"operator":          {`{always: true, rolloutSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}`, "an operator is In or NotIn"},
		"values":            {`{always: true, rolloutSelector: {matchExpressions: [{key: a, operator: In}]}}`, "an operator is In or NotIn"},
		"exempt everything": {`{always: true, rolloutSelector: {}, exempt: {}}`, "an empty exempt would leave every Rollout alone"},
		"action":            {`{always: true, rolloutSelector: {}, action: Block}`, `supported values: "Allow", "Deny"`},
		"local time":        {`{always: true, rolloutSelector: {}, timezone: Local}`, "write an IANA time zone such as Europe/Berlin"},
		"no zone":           {`{always: true, rolloutSelector: {}, timezone: ""}`, "write an IANA time zone such as Europe/Berlin"},
		"start":             {`{rolloutSelector: {}, rules: [{timeRange: {start: "9:00", end: "17:00"}}]}`, "write the start as hours and minutes"},
		"start at the end":  {`{rolloutSelector: {}, rules: [{timeRange: {start: "24:00", end: "17:00"}}]}`, "write the start as hours and minutes"},
		"end":               {`{rolloutSelector: {}, rules: [{timeRange: {start: "09:00", end: "5pm"}}]}`, "24:00 is the end of the day"},
		"no end":            {`{rolloutSelector: {}, rules: [{timeRange: {start: "09:00"}}]}`, "timeRange.end: Required"},
		"day":               {`{rolloutSelector: {}, rules: [{daysOfWeek: [Mon]}]}`, `supported values: "Monday"`},
		"date":              {`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-13-45", end: "2026-13-46"}}]}`, "write a date that exists"},
		"30 February":       {`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-02-01", end: "2026-02-30"}}]}`, "write a date that exists"},
		"leap day":          {`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-02-01", end: "2100-02-29"}}]}`, "February has no 29th in that year"},
		"dates":             {`{rolloutSelector: {}, rules: [{dateRange: {start: "2026-12-26", end: "2026-12-24"}}]}`, "the dateRange ends before it starts"},
		"names":             {`{rolloutSelector: {}, rules: [{name: a}, {name: b}, {name: a}]}`, "two rules have the same name"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, meta := range []string{"kind: ClusterRolloutSchedule\nmetadata: {name: wrong}", "kind: RolloutSchedule\nmetadata: {name: wrong, namespace: default}"} {
				err := plane.Apply(t.Context(), []byte("apiVersion: kuberik.com/v1alpha1\n"+meta+"\nspec: "+tc.spec+"\n"))
				if err == nil || !strings.Contains(err.Error(), tc.message) {
					t.Errorf("got %v, want …%s…", err, tc.message)
				}
			}
		})
	}
	fine := map[string]string{
		"unnamed rules": `{rolloutSelector: {}, rules: [{}, {}, {name: ""}, {name: a}]}`,
		"24:00":         `{rolloutSelector: {}, rules: [{timeRange: {start: "00:00", end: "24:00"}}]}`,
		"leap day":      `{rolloutSelector: {}, rules: [{dateRange: {start: "2028-02-29", end: "2028-02-29"}}]}`,
		"not always":    `{rolloutSelector: {}, rules: [{}], always: false}`,
		"as published": `{rolloutSelector: {matchLabels: {a: b}}, timezone: America/New_York, action: Allow, rules: [{name: business-hours,
			timeRange: {start: "09:00", end: "17:00"}, daysOfWeek: [Monday, Tuesday, Monday], dateRange: {start: "2026-01-01", end: "2026-01-01"}}]}`,
	}
	for name, spec := range fine {
		t.Run(name, func(t *testing.T) {
			manifest := "apiVersion: kuberik.com/v1alpha1\nkind: RolloutSchedule\nmetadata: {name: right, namespace: " + w.home + "}\nspec: " + spec + "\n"
			if err := plane.Apply(t.Context(), []byte(manifest)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGuide applies the manifests of the guide as they are written.
func TestGuide(t *testing.T) {
	w := begin(t, "2026-11-27T11:00:00Z")
	text, err := os.ReadFile("../../../docs/guides/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	production := w.namespace(map[string]string{"stage": "production", "example.com/freeze": "exempt"})
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
		t.Fatalf("the guide has %d manifests, %d are looked at", len(blocks), len(want))
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
		if m := w.condition(s, "Ready", metav1.ConditionTrue, want[head.Metadata.Name].reason); m != want[head.Metadata.Name].message {
			t.Errorf("%s says %q, want %q", head.Metadata.Name, m, want[head.Metadata.Name].message)
		}
	}
}
