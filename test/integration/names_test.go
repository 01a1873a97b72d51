package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestAvailableOutlivesTheHistory: a release stays Available after its entry was removed from the history.
func TestAvailableOutlivesTheHistory(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t, func(ro *v1alpha1.Rollout) { ro.Spec.VersionHistoryLimit = ptr.To[int32](2) })
	for _, tag := range []string{"1.2.0", "1.3.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
	}
	w.AwaitRelease(ro, "1.3.0", v1alpha1.ReleaseAvailable)
	wantTags(t, ro, "1.3.0", "1.2.0")
	for _, tag := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		rel := w.AwaitRelease(ro, tag, v1alpha1.ReleaseAvailable)
		w.Consistently(200*time.Millisecond, rel, "stays Available", func() error {
			if rel.Status.Phase != v1alpha1.ReleaseAvailable {
				return fmt.Errorf("it is %s", rel.Status.Phase)
			}
			return nil
		})
	}
}

// TestLongNamesAndUnusualTags uses tags and names that are not valid labels.
func TestLongNamesAndUnusualTags(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	long := strings.Repeat("checkout-", 24) + "prod"
	w.Kustomization("app", map[string]string{"VERSION": long})
	w.Policy(long, "")
	ro := w.Rollout(long)
	for _, tag := range []string{"V1.2_RC", strings.Repeat("x", 128), "1..2", "_"} {
		w.Select(long, tag, env.Digest(tag))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
	}
	var list v1alpha1.ReleaseList
	w.Eventually("there is a Release for each", func() error {
		list = v1alpha1.ReleaseList{}
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil {
			return err
		}
		if len(list.Items) != 4 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
	for _, rel := range list.Items {
		if e := validation.IsValidLabelValue(rel.Labels[v1alpha1.LabelRollout]); len(e) > 0 || rel.Spec.RolloutRef.Name != long {
			t.Errorf("%s has label %q: %v", rel.Name, rel.Labels[v1alpha1.LabelRollout], e)
		}
	}
}

// TestGateOfAForeignClassOpensForTheDigestItsControllerNames: its verdict counts for one digest and the current spec.
func TestGateOfAForeignClassOpensForTheDigestItsControllerNames(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	gate := w.Gate("change", "app", func(s *v1alpha1.RolloutGateSpec) { s.Class = "change.example.com" })
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	if b := w.AwaitBlocked(ro, "RolloutGate", "NoVerdict"); !strings.Contains(b.Message, "change.example.com") {
		t.Errorf("its message is %q", b.Message)
	}
	verdict := func(digest string, generation int64) {
		w.Get(gate)
		gate.Status = v1alpha1.RolloutGateStatus{ObservedGeneration: generation, Verdicts: []v1alpha1.GateVerdict{{
			Release: "1.0.0", Digest: digest, State: v1alpha1.GateOpen, Reason: "Approved", Since: &metav1.Time{Time: time.Now()},
		}}}
		if err := w.Admin.Status().Update(w.Ctx(), gate); err != nil {
			t.Fatal(err)
		}
	}
	for name, wrong := range map[string]func(){
		"another digest": func() { verdict(env.Digest("moved"), gate.Generation) },
		"no digest":      func() { verdict("", gate.Generation) },
		"an older spec":  func() { verdict(env.Digest("1.0.0"), gate.Generation-1) },
		"a spec to come": func() { verdict(env.Digest("1.0.0"), gate.Generation+1) },
	} {
		wrong()
		w.Consistently(200*time.Millisecond, k, "is left alone by a verdict for "+name, untouched(k))
	}
	verdict(env.Digest("1.0.0"), gate.Generation)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestOnlyTheSpecLetsTheFirstDeploymentPastGates(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Gate("approval", "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Spec.InitialDeployment = v1alpha1.InitialDeploymentSkipGates })
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	if e := ro.Status.History[0]; len(e.BypassedGates) != 1 {
		t.Errorf("the history names %v", e.BypassedGates)
	}
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	wantTags(t, ro, "1.0.0")
}
