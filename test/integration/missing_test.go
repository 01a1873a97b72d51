package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// TestMissingOwnedGateHolds: while the controllers cannot create gates, those of a schedule and of an Environment are
// missing. No release passes before they exist.
func TestMissingOwnedGateHolds(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	m.Wire.SetFault(func(c env.Call) env.Fault {
		if c.Verb == "create" && c.Resource == "rolloutgates" {
			return env.Refuse
		}
		return env.Pass
	})
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	open := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: "always"}, Spec: v1alpha1.ScheduleSpec{
		RolloutSelector: v1alpha1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}, Action: v1alpha1.ScheduleAllow, Always: true,
	}}
	promotes := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "production"}, Spec: environments.EnvironmentSpec{
		Name: "shop", Environment: "production", DependsOn: []environments.Dependency{{Environment: "staging"}},
	}}
	promotes.Spec.RolloutRef.Name = "app"
	w.Create(open, promotes)
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Labels = map[string]string{"tier": "web"} })
	w.Await(ro, "misses both gates", func() error {
		missing := 0
		for _, b := range ro.Status.BlockedBy {
			if b.Reason == "NoGate" && strings.Contains(b.Message, "does not exist yet") && b.ClearedBy != "" {
				missing++
			}
		}
		if missing != 2 {
			return fmt.Errorf("it is blocked by %+v", ro.Status.BlockedBy)
		}
		return nil
	})
	stays(w, ro, 0)
	if err := untouched(k)(); err != nil {
		t.Error(err)
	}
	w.Delete(promotes) // what is to keep no gate any more holds nothing
	w.Await(ro, "misses one", func() error {
		if n := len(ro.Status.BlockedBy); n != 1 {
			return fmt.Errorf("it is blocked by %d", n)
		}
		return nil
	})
	m.Wire.SetFault(nil)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestNewRolloutWaitsForGatesThatAreCreatedAfterIt creates a gate only after the controller has seen its Rollout, as
// kubectl apply does over a slow link. The first release waits at that gate.
func TestNewRolloutWaitsForGatesThatAreCreatedAfterIt(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(func(s *controller.Settings) { s.Options.Rollout.SettleTime = 15 * time.Second })
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	if b := w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonSettling); b.Until == nil {
		t.Errorf("the blocker has no end: %+v", b)
	}
	g := w.Gate("approval", "app")
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	stays(w, ro, 0)
	if err := untouched(k)(); err != nil {
		t.Error(err)
	}
	w.Patch(g, `{"spec":{"allowedVersions":["1.0.0"]}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestRequiredGateThatDoesNotExistHolds: a release waits until the gate that spec.requiredGates names exists and is
// open.
func TestRequiredGateThatDoesNotExistHolds(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	open := func(s *v1alpha1.RolloutGateSpec) { s.Passing = ptr.To(true) }
	w.Gate("approval", "other", open) // a gate of another Rollout does not count
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Spec.RequiredGates = []string{"approval"} })
	if b := w.AwaitBlocked(ro, "RolloutGate", "NoGate"); b.Name != "approval" || !strings.Contains(b.Message, "requiredGates") {
		t.Errorf("it is blocked by %+v", b)
	}
	stays(w, ro, 0)
	if err := untouched(k)(); err != nil {
		t.Error(err)
	}
	w.Delete(&v1alpha1.RolloutGate{ObjectMeta: w.Meta("approval")})
	w.Gate("approval", "app", open)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}
