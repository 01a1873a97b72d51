package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// settled returns a namespace in which 1.0.0 and then 1.1.0 have become Available.
func settled(t *testing.T, edit ...func(*v1alpha1.Rollout)) (*env.World, *v1alpha1.Rollout, *env.Flux) {
	t.Helper()
	w := env.New(t)
	w.Run()
	f := w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", edit...)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	return w, ro, f
}

func TestPinAndUnpin(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t)
	closed := false
	gate := w.Gate("freeze", "app", func(s *v1alpha1.RolloutGateSpec) { s.Passing = &closed })
	w.Patch(ro, `{"spec":{"wantedVersion":"1.0.0"}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	if e := ro.Status.History[0]; e.Cause != v1alpha1.CausePin || *e.Message != "Manual deployment" {
		t.Errorf("the deployment is %s: %q", e.Cause, *e.Message)
	}
	w.Delete(gate)
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonPinned)

	w.Patch(ro, `{"spec":{"wantedVersion":"custom-tag"}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "custom-tag")

	t.Run("releases that were newer at the time of the pin are not deployed", func(t *testing.T) {
		w.Patch(ro, `{"spec":{"wantedVersion":null}}`)
		w.Await(ro, "is not pinned", func() error {
			if ro.Status.ObservedGeneration != ro.Generation {
				return errors.New("it was not looked at yet")
			}
			return nil
		})
		w.Consistently(300*time.Millisecond, ro, "stays at what was chosen", func() error { return onHead(ro, "custom-tag") })
	})
	t.Run("a later release is deployed", func(t *testing.T) {
		w.Select("app", "1.3.0", env.Digest("1.3.0"))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.3.0")
		wantTags(t, ro, "1.3.0", "custom-tag", "1.0.0", "1.1.0", "1.0.0")
	})
}

func onHead(ro *v1alpha1.Rollout, tag string) error {
	if got := ro.Status.History[0].Version.Tag; got != tag {
		return fmt.Errorf("it is at %s", got)
	}
	return nil
}

func TestForceDeployIsUsedOnceAndNamesThePerson(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t)
	closed := false
	gate := w.Gate("freeze", "app", func(s *v1alpha1.RolloutGateSpec) { s.Passing = &closed })
	w.Annotate(ro, v1alpha1.AnnotationForceDeploy, "1.0.0", v1alpha1.AnnotationDeployMessage, "1.1.0 is too slow", v1alpha1.AnnotationDeployUser, "maria")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	e := ro.Status.History[0]
	if *e.Message != "1.1.0 is too slow" || *e.TriggeredBy != (v1alpha1.TriggeredBy{Kind: "User", Name: "maria"}) || e.Cause != v1alpha1.CauseForceDeploy {
		t.Errorf("the history says %q by %+v because of %s", *e.Message, *e.TriggeredBy, e.Cause)
	}
	w.Delete(gate)
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	if e := ro.Status.History[0]; *e.Message != "Automatic deployment" || e.TriggeredBy.Kind != "System" {
		t.Errorf("the next deployment says %q by %+v", *e.Message, *e.TriggeredBy)
	}
	wantTags(t, ro, "1.2.0", "1.0.0", "1.1.0", "1.0.0")
}

func TestForceDeployNeverStaysArmed(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t)
	for _, tag := range []string{"1.1.0", "9.9.9", "1.0 0"} { // what runs, what nobody knows, and no legal tag
		w.Annotate(ro, v1alpha1.AnnotationForceDeploy, tag)
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
		wantTags(t, ro, "1.1.0", "1.0.0")
	}
	awaitEvent(w, "app", "ForceDeployIgnored")
	w.Patch(ro, `{"spec":{"wantedVersion":"1.1.0"}}`)
	w.Annotate(ro, v1alpha1.AnnotationForceDeploy, "1.0.0")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	w.Patch(ro, `{"spec":{"wantedVersion":null}}`)
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	wantTags(t, ro, "1.2.0", "1.1.0", "1.0.0")
}

func TestBypassGatesIsForOneReleaseOnce(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t)
	w.Gate("approval", "app")
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	w.Annotate(ro, v1alpha1.AnnotationBypassGates, "1.2.0")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	if e := ro.Status.History[0]; len(e.BypassedGates) != 1 || e.BypassedGates[0] != "approval" || *e.Message != "Automatic deployment, with gate bypass" {
		t.Errorf("the history says %q past %v", *e.Message, e.BypassedGates)
	}
	w.Select("app", "1.3.0", env.Digest("1.3.0"))
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	wantTags(t, ro, "1.2.0", "1.1.0", "1.0.0")
}

func TestUnblockFailedIsUsedOnce(t *testing.T) {
	t.Parallel()
	w, ro, f := settled(t, env.Bake("", "1s"))
	f.Hold()
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.2.0")
	f.Release()
	w.Select("app", "1.3.0", env.Digest("1.3.0"))
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonPreviousFailed)
	w.Annotate(ro, v1alpha1.AnnotationUnblockFailed, "true")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.3.0")
	if m := *ro.Status.History[0].Message; m != "Automatic deployment, with failed bake unblock" {
		t.Errorf("the history says %q", m)
	}
	f.Hold()
	w.Select("app", "1.4.0", env.Digest("1.4.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.4.0")
	w.Select("app", "1.5.0", env.Digest("1.5.0"))
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonPreviousFailed)
	wantTags(t, ro, "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0")
}

// TestRetryRunsTheReleaseAgain requests another reconcile from Flux, under the same entry of the history.
func TestRetryRunsTheReleaseAgain(t *testing.T) {
	t.Parallel()
	w, ro, f := settled(t, env.Bake("", "1s"))
	k := &kustomizev1.Kustomization{ObjectMeta: w.Meta("app")}
	f.Hold()
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.2.0")
	if !quarantined(ro, "1.2.0") {
		t.Error("what failed is not quarantined")
	}
	w.Get(k)
	asked := k.Annotations[meta.ReconcileRequestAnnotation]
	f.Release()
	w.Annotate(ro, v1alpha1.AnnotationRetry, "again")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	w.Get(k)
	if k.Annotations[meta.ReconcileRequestAnnotation] == asked {
		t.Error("no new reconcile was requested from Flux")
	}
	if ro.Status.History[0].LastRetryTimestamp == nil || quarantined(ro, "1.2.0") {
		t.Errorf("the retry is not recorded: %+v", ro.Status.History[0])
	}
	wantTags(t, ro, "1.2.0", "1.1.0", "1.0.0")

	t.Run("without anything to retry it is removed", func(t *testing.T) {
		w.Annotate(ro, v1alpha1.AnnotationRetry, "again")
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
		awaitEvent(w, "app", "RetryIgnored")
	})
}

// TestAnnotationOverridesCanBeTurnedOff covers the flag of the controller.
func TestAnnotationOverridesCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(func(s *controller.Settings) { s.Options.Rollout.IgnoreAnnotations = true })
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	w.Gate("approval", "app")
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) {
		ro.Annotations = map[string]string{v1alpha1.AnnotationBypassGates: "1.0.0", v1alpha1.AnnotationForceDeploy: "1.0.0"}
	})
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	w.Consistently(300*time.Millisecond, k, "is left alone", untouched(k))
}

func TestForceDeployReplacesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	w, ro, f := settled(t)
	f.Hold()
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.2.0")
	w.Annotate(ro, v1alpha1.AnnotationForceDeploy, "1.1.0")
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.1.0")
	f.Release()
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	w.AwaitRelease(ro, "1.2.0", v1alpha1.ReleaseCancelled)
	if e := ro.Status.History[1]; *e.BakeStatus != string(v1alpha1.BakeCancelled) || e.BakeEndTime == nil {
		t.Errorf("what was in flight is %+v", e)
	}
	w.Patch(ro, `{"spec":{"wantedVersion":null}}`)
	wantTags(t, ro, "1.1.0", "1.2.0", "1.1.0", "1.0.0")
}

// TestIDsOnlyGrow covers the IDs of deployments.
func TestIDsOnlyGrow(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t, func(ro *v1alpha1.Rollout) { ro.Spec.VersionHistoryLimit = ptr.To[int32](2) })
	for i, tag := range []string{"1.2.0", "1.3.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
		if id := *ro.Status.History[0].ID; id != int64(i+3) {
			t.Errorf("%s has id %d", tag, id)
		}
	}
	wantTags(t, ro, "1.3.0", "1.2.0")
}

// TestPinToATagThatTheRegistryDoesNotHaveIsHeld: a typing error in spec.wantedVersion is not deployed until a person
// corrects or confirms it.
func TestPinToATagThatTheRegistryDoesNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	host := serve(t)
	digest := push(t, host+"/app:1.0.0", nil)
	push(t, host+"/app:2.0.0", nil)
	repository(w, "app", host+"/app", "pull")
	w.Create(pullSecret(host, password))
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "")
	w.Select("app", "1.0.0", digest)
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")

	w.Patch(ro, `{"spec":{"wantedVersion":"9.9.9"}}`)
	w.Await(ro, "is held", func() error {
		if b := ro.Status.BlockedBy; len(b) != 1 || b[0].Reason != v1alpha1.ReasonUnknownVersion || !strings.Contains(b[0].Message, "the registry has no such tag") {
			return fmt.Errorf("it is blocked by %+v", b)
		}
		return nil
	})
	stays(w, ro, 1)
	rel := &v1alpha1.Release{ObjectMeta: w.Meta("app-9.9.9")}
	w.Await(rel, "reports why it waits", func() error {
		if rel.Status.Phase != v1alpha1.ReleasePending || rel.Status.Reason != v1alpha1.ReasonUnknownVersion {
			return fmt.Errorf("it is %s: %s", rel.Status.Phase, rel.Status.Reason)
		}
		return nil
	})

	w.Patch(ro, `{"spec":{"wantedVersion":"2.0.0"}}`) // the registry has it, and no release of it is known
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "2.0.0")

	w.Patch(ro, `{"spec":{"wantedVersion":"9.9.9"}}`)
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonUnknownVersion)
	w.Annotate(ro, v1alpha1.AnnotationForceDeploy, "9.9.9")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "9.9.9")
}
