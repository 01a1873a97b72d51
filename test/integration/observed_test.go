package integration

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/test/env"
)

const timeoutOfOutage = 8 * time.Second

// deploying returns a Rollout whose first release was handed to Flux, which does not apply it before Release is called.
func deploying(w *env.World) (*v1alpha1.Rollout, *kustomizev1.Kustomization, *env.Flux) {
	w.T.Helper()
	flux := w.SimulateFlux()
	flux.Hold()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.Bake("1s", v1alpha1.Duration(timeoutOfOutage.String())))
	w.Await(k, "gets 1.0.0", carries(k, "VERSION", "1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	return ro, k, flux
}

// outlast waits until deployTimeout has passed on the wall clock.
func outlast(w *env.World, ro *v1alpha1.Rollout) {
	w.T.Helper()
	over := release.Cutoff(&ro.Status.History[0]).Add(timeoutOfOutage + time.Second)
	w.Eventually("deployTimeout is over by the wall clock", func() error {
		if time.Now().Before(over) {
			return errors.New("it is not")
		}
		return nil
	})
}

// wantUnharmed checks that the release becomes Available in its first run, and was never quarantined.
func wantUnharmed(w *env.World, ro *v1alpha1.Rollout) {
	w.T.Helper()
	w.Await(ro, "is Available or Failed", func() error {
		if p := ro.Status.Phase; p != v1alpha1.PhaseAvailable && p != v1alpha1.PhaseFailed {
			return errors.New(string(p))
		}
		return nil
	})
	if e := ro.Status.History[0]; ro.Status.Phase != v1alpha1.PhaseAvailable || len(ro.Status.Quarantined) > 0 {
		w.T.Errorf("%s is %s: %s; quarantined: %v", e.Version.Tag, *e.BakeStatus, *e.BakeStatusMessage, ro.Status.Quarantined)
	}
}

// TestAControllerThatStoodStillFailsNothing: it is stopped for longer than deployTimeout, while Flux applies the
// release.
func TestAControllerThatStoodStillFailsNothing(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	p := w.RunProcess()
	ro, k, flux := deploying(w)
	p.Pause()
	flux.Release()
	w.Await(k, "is applied", applied(k))
	outlast(w, ro)
	p.Continue()
	wantUnharmed(w, ro)
}

// TestAFreshControllerFailsNothing: the release was applied while no controller ran.
func TestAFreshControllerFailsNothing(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	p := w.RunProcess()
	ro, _, flux := deploying(w)
	p.Kill()
	outlast(w, ro)
	w.RunProcess()
	w.Consistently(2*time.Second, ro, "is not failed by a process that has seen nothing", func() error {
		if len(ro.Status.Quarantined) > 0 {
			return errors.New(*ro.Status.History[0].BakeStatusMessage)
		}
		return nil
	})
	flux.Release()
	wantUnharmed(w, ro)
}

// TestAnAPIServerThatWasAwayFailsNothing: Flux could not work either.
//
//nolint:paralleltest // it kills the API server
func TestAnAPIServerThatWasAwayFailsNothing(t *testing.T) {
	w := env.New(t)
	w.RunProcess()
	ro, _, flux := deploying(w)
	if err := w.Plane.Kill(component.APIServer); err != nil {
		t.Fatal(err)
	}
	outlast(w, ro)
	if err := w.Plane.Restart(w.Ctx(), component.APIServer); err != nil {
		t.Fatal(err)
	}
	flux.Release()
	wantUnharmed(w, ro)
}

// TestDeployTimeoutOfObservedTimeFails: the controller has run for the whole time.
func TestDeployTimeoutOfObservedTimeFails(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.RunProcess()
	ro, _, _ := deploying(w)
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.0.0")
	if took := ro.Status.History[0].BakeEndTime.Sub(release.Cutoff(&ro.Status.History[0])); took < timeoutOfOutage-time.Second || took > 2*timeoutOfOutage {
		t.Errorf("it took %s", took)
	}
}

func applied(k *kustomizev1.Kustomization) func() error {
	return func() error {
		if k.Status.ObservedGeneration != k.Generation {
			return errors.New("it is not")
		}
		return nil
	}
}

// TestAMistakeInTheSetUpFailsNoRelease: without a Flux object, or while it is suspended, deployTimeout does not
// advance, and the release continues once that is corrected.
func TestAMistakeInTheSetUpFailsNoRelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.Bake("1s", "2s"))
	holds := func(reason string) {
		t.Helper()
		w.Await(ro, "is blocked by "+reason, func() error {
			if !slices.ContainsFunc(ro.Status.BlockedBy, func(b v1alpha1.Blocker) bool { return b.Reason == reason }) {
				return errors.New("it is not")
			}
			return nil
		})
		w.Consistently(4*time.Second, ro, "waits and reports it", func() error {
			stalled := apimeta.FindStatusCondition(ro.Status.Conditions, v1alpha1.ConditionStalled)
			if ro.Status.Phase != v1alpha1.PhaseDeploying || stalled.Status != metav1.ConditionTrue || stalled.Reason != reason {
				return fmt.Errorf("it is %s, and Stalled is %+v", ro.Status.Phase, stalled)
			}
			return nil
		})
	}
	holds(v1alpha1.ReasonNoTargets)
	k := &kustomizev1.Kustomization{ObjectMeta: w.Meta("app"), Spec: kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: time.Hour}, Suspend: true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "app"},
	}}
	k.Annotations = map[string]string{v1alpha1.AnnotationSubstitutePrefix + "VERSION" + v1alpha1.AnnotationSubstituteSuffix: "app"}
	w.Create(k)
	holds(v1alpha1.ReasonTargetSuspended)
	w.Patch(k, `{"spec":{"suspend":false}}`)
	wantUnharmed(w, ro)
}
