package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// forgery is a status that a tenant writes to gain something.
type forgery struct {
	object client.Object
	status string
}

// forgeries report that 1.1.0 passed everywhere and that no schedule holds it, and claim gates of others.
func forgeries(s map[string]*stage, freeze *v1alpha1.RolloutSchedule) map[string]forgery {
	infos := fmt.Sprintf(`[{"environment":"staging","environmentUrl":"https://evil.example.com/","history":[{"id":9,"timestamp":"2026-01-01T00:00:00Z",
		"version":{"tag":"1.1.0","digest":%q},"bakeStatus":"Succeeded"}]}]`, env.Digest("1.1.0"))
	status := fmt.Sprintf(`{"status":{"currentTag":"1.1.0","currentState":"Succeeded","environmentInfos":%s,"rolloutGateRef":{"name":"manual"}}}`, infos)
	return map[string]forgery{
		"the Environment of staging":    {s["staging"].self, status},
		"the Environment of production": {s["production"].self, status},
		"the schedule": {freeze, fmt.Sprintf(`{"status":{"active":false,"matchingRollouts":0,"activeRules":[],"managedGates":["manual","%s/manual"]}}`,
			s["staging"].Namespace)},
	}
}

// TestForgedStatusesGainNothing: tenants cannot write the statuses of Environments and schedules, whatever roles they
// have. On a cluster without the policies, which accepts them, they have no effect in any namespace.
func TestForgedStatusesGainNothing(t *testing.T) {
	t.Parallel()
	s := stages(t, "staging", "production")
	staging, production := s["staging"], s["production"]
	staging.start()
	production.start(after("staging"))
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	opened := func(spec *v1alpha1.RolloutGateSpec) { spec.Passing = new(true) }
	manual := staging.Gate("manual", "app", opened)
	production.Gate("manual", "app", opened)
	freeze := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: "freeze"}, Spec: v1alpha1.ScheduleSpec{Always: true}}
	production.Create(freeze)
	production.Await(freeze, "holds production", func() error {
		if len(freeze.Status.ManagedGates) != 1 {
			return fmt.Errorf("it has the gates %v", freeze.Status.ManagedGates)
		}
		return nil
	})
	forged := forgeries(s, freeze)

	t.Run("are refused", func(t *testing.T) {
		for what, f := range forged {
			w := s["production"].World
			if f.object.GetNamespace() == staging.Namespace {
				w = staging.World
			}
			refusesStatus(t, w, what, f)
		}
	})

	staging.flux.Hold()
	for what, f := range forged {
		// The controller is the only one whom the policies let write it.
		if err := patchStatus(production.World, stolen(production.World), f.object, f.status); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for _, w := range []*stage{staging, production} {
		w.Select("app", "1.1.0", env.Digest("1.1.0"))
	}
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseDeploying, "1.1.0")
	blockedWith(production.World, production.rollout, "1.1.0 is being deployed in staging")
	blockedWith(production.World, production.rollout, "freeze")
	stays(production.World, production.rollout, 1)
	staging.flux.Release()
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.1.0")
	for _, e := range []*stage{staging, production} {
		e.Await(e.self, "shows what is true", func() error {
			if text := fmt.Sprintf("%+v", e.self.Status); strings.Contains(text, "evil") || e.self.Status.CurrentTag != e.rollout.Status.CurrentVersion {
				return fmt.Errorf("it shows %s", text)
			}
			return nil
		})
	}
	stays(production.World, production.rollout, 1)
	for _, w := range []*env.World{staging.World, production.World} {
		gate := &v1alpha1.RolloutGate{ObjectMeta: w.Meta("manual")}
		w.Get(gate)
		if len(gate.OwnerReferences) > 0 || gate.Spec.Class != manual.Spec.Class || !*gate.Spec.Passing || !gate.DeletionTimestamp.IsZero() {
			t.Errorf("the gate of others became %+v", gate)
		}
	}
	production.Delete(freeze)
	for _, name := range freeze.Status.ManagedGates { // which a garbage collector would do
		production.Delete(&v1alpha1.RolloutGate{ObjectMeta: production.Meta(name)})
	}
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.1.0")
}

// refusesStatus fails the test unless every editor of the namespace is denied writing the status of an object.
func refusesStatus(t *testing.T, w *env.World, what string, f forgery) {
	t.Helper()
	if err := patchStatus(w, w.As("developer", "edit", "kuberik-view", "kuberik-edit"), f.object, f.status); !apierrors.IsForbidden(err) {
		t.Errorf("a developer writes the status of %s: %v", what, err)
	}
	owner := fmt.Sprintf("owner-%d", len(what))
	grant(w, owner, rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupVersion.Group, environments.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"*"},
	})
	err := patchStatus(w, w.As(owner), f.object, f.status)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "written by its controller alone") {
		t.Errorf("a tenant with every right to the kind writes the status of %s: %v", what, err)
	}
	c := w.As("gatekeeper", "edit", "kuberik-gatekeeper")
	if err := patchStatus(w, c, f.object, f.status); !apierrors.IsForbidden(err) {
		t.Errorf("a gatekeeper writes the status of %s: %v", what, err)
	}
	// What they may write does not contain their status.
	made := copyOf(f.object)
	made.SetResourceVersion("")
	made.SetUID("")
	made.SetName("made-by-hand")
	if err := c.Create(w.Ctx(), made, client.DryRunAll); err != nil {
		t.Errorf("a gatekeeper creates %s: %v", what, err)
	}
	switch made := made.(type) {
	case *environments.Environment:
		if made.Status.CurrentTag != "" || made.Status.EnvironmentInfos != nil {
			t.Errorf("a gatekeeper creates one with the status %+v", made.Status)
		}
	case *v1alpha1.RolloutSchedule:
		if made.Status.ManagedGates != nil {
			t.Errorf("a gatekeeper creates one with the status %+v", made.Status)
		}
	}
	if err := w.As("neighbour", "edit").Get(w.Ctx(), client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: "x"}, made); !apierrors.IsForbidden(err) {
		t.Errorf("somebody reads %s of another namespace: %v", what, err)
	}
}
