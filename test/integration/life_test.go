package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestLifeOfARelease follows one release from its discovery to Available, with each step done by the test, and checks
// everything that users can see.
func TestLifeOfARelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}})
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Apply("app", env.Inventory("v1", w.Namespace+"_settings__ConfigMap"))
	check := w.Check("app", v1alpha1.HealthClassKustomization, "app")
	w.Await(check, "is healthy, before anything was released", func() error { return reports(check, v1alpha1.HealthHealthy) })
	gate := w.Gate("approval", "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.WithHealthChecks, env.Bake("1s", ""))

	// An empty gate is closed.
	blocker := w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	if blocker.Name != "approval" || !strings.Contains(blocker.ClearedBy, "allowedVersions") {
		t.Errorf("the blocker does not say who can clear it: %+v", blocker)
	}
	if ro.Status.PendingVersion != "1.0.0" || ro.Status.Phase != v1alpha1.PhaseWaiting || len(ro.Status.History) != 0 {
		t.Errorf("waiting, it is %s for %q with %d deployments", ro.Status.Phase, ro.Status.PendingVersion, len(ro.Status.History))
	}
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
	w.Await(rel, "names the gate", func() error {
		if len(rel.Status.Gates) != 1 || rel.Status.Gates[0].State == v1alpha1.GateOpen {
			return fmt.Errorf("it has %+v", rel.Status.Gates)
		}
		return nil
	})
	w.Await(gate, "reports that it waits", func() error {
		if len(gate.Status.Verdicts) != 1 || gate.Status.Verdicts[0].State != v1alpha1.GatePending || gate.Status.Verdicts[0].Release != "1.0.0" {
			return fmt.Errorf("its message is %+v", gate.Status.Verdicts)
		}
		return nil
	})
	w.Consistently(300*time.Millisecond, k, "is left alone", untouched(k))

	w.Patch(gate, `{"spec":{"allowedVersions":["1.0.0"]}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	w.Await(k, "gets the version", carries(k, "VERSION", "1.0.0"))
	if k.Annotations[meta.ReconcileRequestAnnotation] == "" {
		t.Error("no reconcile was requested from Flux")
	}
	w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseDeploying)

	// Earlier reports of Flux and the check do not count.
	w.Consistently(700*time.Millisecond, ro, "waits for Flux", func() error { return inPhase(ro, v1alpha1.PhaseDeploying) })

	w.Apply("app")
	w.AwaitPhase(ro, v1alpha1.PhaseBaking, "1.0.0")
	w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseBaking)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	if e := ro.Status.History[0]; e.BakeEndTime.Sub(e.BakeStartTime.Time) < time.Second || *e.BakeStatus != string(v1alpha1.BakeSucceeded) {
		t.Errorf("it baked from %s to %s and is %s", e.BakeStartTime, e.BakeEndTime, *e.BakeStatus)
	}
	looksLikeARelease(t, w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable), ro)
	intentFirst(t, m.Wire.Writes())
}

// intentFirst fails the test unless the deployment was stored before anything was handed to Flux.
func intentFirst(t *testing.T, writes []env.Call) {
	t.Helper()
	intent := slices.IndexFunc(writes, func(c env.Call) bool {
		return env.To("rollouts/status")(c) && env.BodyContains(`"history"`)(c) && c.Code == 200
	})
	handed := slices.IndexFunc(writes, env.To("kustomizations", "ocirepositories"))
	if intent < 0 || handed < 0 || intent > handed {
		t.Errorf("the intent is write %d, the handover write %d of %v", intent, handed, writes)
	}
}

func looksLikeARelease(t *testing.T, rel *v1alpha1.Release, ro *v1alpha1.Rollout) {
	t.Helper()
	owner := metav1.GetControllerOf(rel)
	switch {
	case owner == nil || owner.UID != ro.UID:
		t.Errorf("it is owned by %+v", owner)
	case rel.Labels[v1alpha1.LabelRollout] != ro.Name || rel.Spec.RolloutRef.Name != ro.Name:
		t.Errorf("it has labels %v and is of Rollout %q", rel.Labels, rel.Spec.RolloutRef.Name)
	case rel.Spec.Version.Tag != "1.0.0" || rel.Spec.Version.Digest != env.Digest("1.0.0"):
		t.Errorf("it is of %+v", rel.Spec.Version)
	case rel.Status.DeployedAt == nil || rel.Status.BakeStartTime == nil || rel.Status.BakeEndTime == nil || rel.Status.ObservedGeneration != 1:
		t.Errorf("its times are missing: %+v", rel.Status)
	case len(rel.Status.Checks) != 1 || !rel.Status.Checks[0].Current || rel.Status.Checks[0].State != "Healthy" || rel.Status.Checks[0].Revision == "":
		t.Errorf("the evidence is %+v", rel.Status.Checks)
	}
}

func inPhase(ro *v1alpha1.Rollout, want v1alpha1.Phase) error {
	if ro.Status.Phase != want {
		return fmt.Errorf("it is %s", ro.Status.Phase)
	}
	return nil
}

func reports(c *v1alpha1.HealthCheck, want v1alpha1.HealthState) error {
	if c.Status.Status != want {
		return fmt.Errorf("its message is %q", c.Status.Status)
	}
	return nil
}

func TestReleasesFollowEachOther(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	closed := false
	gate := w.Gate("freeze", "app", func(s *v1alpha1.RolloutGateSpec) { s.Passing = &closed })
	for _, tag := range []string{"1.1.0", "1.2.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.Await(ro, "has discovered "+tag, func() error {
			if ro.Status.PendingVersion != tag {
				return fmt.Errorf("%q waits", ro.Status.PendingVersion)
			}
			return nil
		})
	}
	w.AwaitRelease(ro, "1.2.0", v1alpha1.ReleasePending)
	wantTags(t, ro, "1.0.0")

	t.Run("deleting the gate unblocks the release", func(t *testing.T) {
		w.Delete(gate)
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
		wantTags(t, ro, "1.2.0", "1.0.0")
	})
	t.Run("skipped releases are Superseded, Available ones stay Available", func(t *testing.T) {
		w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseSuperseded)
		w.AwaitRelease(ro, "1.2.0", v1alpha1.ReleaseAvailable)
		w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable)
	})
}

// TestEveryReleaseIsDeployedInTurn covers spec.selection: Every.
func TestEveryReleaseIsDeployedInTurn(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	f := w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Spec.Selection = v1alpha1.SelectEvery })
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	f.Hold()
	for i, tag := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.Await(ro, "has discovered "+tag, func() error {
			if len(ro.Status.AvailableReleases) != i+2 {
				return errors.New("it has not")
			}
			return nil
		})
	}
	f.Release()
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.3.0")
	wantTags(t, ro, "1.3.0", "1.2.0", "1.1.0", "1.0.0")
}

func TestMovedTagIsANewRelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.ByDigest(w.Kustomization("app", map[string]string{"VERSION": "app"}))
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Select("app", "1.0.0", env.Digest("1.0.0, pushed again"))
	w.Await(ro, "has deployed the tag again", func() error {
		if n := len(ro.Status.History); n != 2 || ro.Status.Phase != v1alpha1.PhaseAvailable {
			return fmt.Errorf("it has %d deployments and is %s", n, ro.Status.Phase)
		}
		return nil
	})
	if got := ro.Status.History[0].Version.Digest; got != env.Digest("1.0.0, pushed again") {
		t.Errorf("it has deployed %s", got)
	}
	var list v1alpha1.ReleaseList
	w.Eventually("there is a Release for each digest", func() error {
		list = v1alpha1.ReleaseList{}
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil {
			return err
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
}

func TestSuspendFreezesAndReports(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Spec.Suspend = true })
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonSuspended)
	if ro.Status.Phase != v1alpha1.PhaseSuspended || len(ro.Status.AvailableReleases) != 1 {
		t.Errorf("suspended, it is %s and knows %d releases", ro.Status.Phase, len(ro.Status.AvailableReleases))
	}
	w.Consistently(300*time.Millisecond, k, "is left alone", untouched(k))
	w.Patch(ro, `{"spec":{"suspend":false}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestMissingImagePolicySaysSoAndRecovers(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	ro := w.Rollout("app")
	b := w.AwaitBlocked(ro, "ImagePolicy", v1alpha1.ReasonImagePolicyNotFound)
	if !strings.Contains(b.Message, "ImagePolicy app does not exist in the namespace") {
		t.Errorf("its message is %q", b.Message)
	}
	for kind, status := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionReleasesUpdated: metav1.ConditionFalse, v1alpha1.ConditionReady: metav1.ConditionFalse, v1alpha1.ConditionStalled: metav1.ConditionTrue,
	} {
		if c := condition(ro, kind); c.Status != status || c.Reason != v1alpha1.ReasonImagePolicyNotFound {
			t.Errorf("%s is %s: %s", kind, c.Status, c.Reason)
		}
	}
	w.Policy("app", "")
	w.AwaitBlocked(ro, "ImagePolicy", v1alpha1.ReasonNoReleases)
	w.Select("app", "1.0.0", "")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestIllegalTagNeverReachesFlux uses text that would add a key to a manifest.
func TestIllegalTagNeverReachesFlux(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "")
	w.Select("app", "1.0\r        securityContext: {privileged: true}", "")
	ro := w.Rollout("app")
	w.AwaitBlocked(ro, "ImagePolicy", v1alpha1.ReasonIllegalTag)
	if len(ro.Status.AvailableReleases) != 0 {
		t.Errorf("it became a release: %+v", ro.Status.AvailableReleases)
	}
	w.Select("app", "1.0.0", "sha256:not-a-digest")
	w.Consistently(300*time.Millisecond, k, "is left alone", untouched(k))
	w.AwaitBlocked(ro, "ImagePolicy", v1alpha1.ReasonIllegalTag)
	w.Select("app", "1.0.0", env.Digest("1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
}

// TestAnUpToDateRolloutIsReady covers the conditions of a Rollout at rest.
func TestAnUpToDateRolloutIsReady(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	f := w.SimulateFlux()
	f.Hold()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	for kind, status := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionReady: metav1.ConditionTrue, v1alpha1.ConditionAvailable: metav1.ConditionFalse,
	} {
		if c := condition(ro, kind); c.Status != status || c.Reason != v1alpha1.ReasonDeploying {
			t.Errorf("while it deploys, %s is %s: %s", kind, c.Status, c.Reason)
		}
	}
	f.Release()
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	for kind, status := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionReady: metav1.ConditionTrue, v1alpha1.ConditionReconciling: metav1.ConditionFalse,
		v1alpha1.ConditionAvailable: metav1.ConditionTrue, v1alpha1.ConditionHalted: metav1.ConditionFalse,
		v1alpha1.ConditionStalled: metav1.ConditionFalse, v1alpha1.ConditionGatesPassing: metav1.ConditionTrue,
		v1alpha1.ConditionReleasesUpdated: metav1.ConditionTrue, v1alpha1.ConditionTargetsReady: metav1.ConditionTrue,
		v1alpha1.ConditionDeploymentBlocked: metav1.ConditionFalse, v1alpha1.ConditionBakeFailureDisabled: metav1.ConditionFalse,
	} {
		if c := condition(ro, kind); c.Status != status || c.ObservedGeneration != ro.Generation {
			t.Errorf("%s is %q (%s) at generation %d", kind, c.Status, c.Message, c.ObservedGeneration)
		}
	}
	if len(ro.Status.BlockedBy)+len(ro.Status.GatedReleaseCandidates)+len(ro.Status.ReleaseCandidates) != 0 {
		t.Errorf("at rest something waits: %+v", ro.Status)
	}
}
