package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// probed returns a namespace in which 1.0.0 is Available, with a check of a class that the test evaluates.
func probed(t *testing.T, edit ...func(*v1alpha1.Rollout)) (*env.World, *v1alpha1.Rollout, *v1alpha1.HealthCheck) {
	t.Helper()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	check := w.Check("probe", "test", "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", append(edit, env.WithHealthChecks)...)
	deploy(w, ro, "1.0.0")
	return w, ro, check
}

// deploy waits until a release is Available.
func deploy(w *env.World, ro *v1alpha1.Rollout, tag string) {
	w.T.Helper()
	w.Select("app", tag, env.Digest(tag))
	w.Await(ro, "waits for the check of "+tag, func() error { return waitsForCheck(ro, tag) })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
}

func waitsForCheck(ro *v1alpha1.Rollout, tag string) error {
	if ro.Status.CurrentVersion != tag || ro.Status.Phase != v1alpha1.PhaseDeploying || len(ro.Status.BlockedBy) == 0 || ro.Status.BlockedBy[0].Kind != "HealthCheck" {
		return errors.New("it does not")
	}
	return nil
}

func TestFailingCheckHaltsAndQuarantines(t *testing.T) {
	t.Parallel()
	w, ro, _ := probed(t)
	w.Patch(ro, `{"spec":{"bakeTime":"1h"}}`)
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseBaking, "1.1.0")
	w.Report("probe", v1alpha1.HealthUnhealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.1.0")
	e := ro.Status.History[0]
	if len(e.FailedHealthChecks) != 1 || e.FailedHealthChecks[0].Name != "probe" || !strings.Contains(*e.BakeStatusMessage, "A HealthCheck reported an error after bake started") {
		t.Errorf("it failed because of %+v: %q", e.FailedHealthChecks, *e.BakeStatusMessage)
	}
	rel := w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseFailed)
	if rel.Status.Quarantine == nil || !quarantined(ro, "1.1.0") {
		t.Error("it is not quarantined")
	}
	awaitEvent(w, "app", "RolloutFailed")

	t.Run("a later recovery changes nothing", func(t *testing.T) {
		w.Report("probe", v1alpha1.HealthHealthy)
		w.Select("app", "1.2.0", env.Digest("1.2.0"))
		w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonPreviousFailed)
		wantTags(t, ro, "1.1.0", "1.0.0")
	})
	t.Run("a newer release is deployed if afterFailure allows it", func(t *testing.T) {
		w.Patch(ro, `{"spec":{"afterFailure":"AllowNewer","bakeTime":null}}`)
		w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.2.0") })
		w.Report("probe", v1alpha1.HealthHealthy)
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	})
}

// TestPendingAtTheEndOfTheBakeIsNoSuccess: a check without a result in the middle of the bake interrupts it.
func TestPendingAtTheEndOfTheBakeIsNoSuccess(t *testing.T) {
	t.Parallel()
	w, ro, _ := probed(t)
	w.Patch(ro, `{"spec":{"bakeTime":"2s"}}`)
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseBaking, "1.1.0")
	w.Report("probe", v1alpha1.HealthPending)
	w.Await(ro, "is interrupted", func() error {
		if ro.Status.History[0].InterruptedTime == nil {
			return errors.New("it is not")
		}
		return nil
	})
	w.Consistently(3*time.Second, ro, "is not Available", func() error { return inPhase(ro, v1alpha1.PhaseBaking) })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	if e := ro.Status.History[0]; e.BakeEndTime.Sub(e.BakeStartTime.Time) < 2*time.Second {
		t.Errorf("it baked from %s to %s", e.BakeStartTime, e.BakeEndTime)
	}
}

func TestDeployTimeoutFailsWhatFluxNeverApplies(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.Bake("1s", "1s"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.0.0")
	if m := *ro.Status.History[0].BakeStatusMessage; !strings.Contains(m, "Deploy timeout reached before bake could start") {
		t.Errorf("it failed because of %q", m)
	}
}

func TestRollbackGoesBackOnce(t *testing.T) {
	t.Parallel()
	w, ro, _ := probed(t, func(ro *v1alpha1.Rollout) { ro.Spec.OnFailure = v1alpha1.OnFailureRollback })
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthUnhealthy)
	w.Await(ro, "goes back to 1.0.0", func() error { return onHead(ro, "1.0.0") })
	w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseFailed)
	if e := ro.Status.History[0]; e.Cause != v1alpha1.CauseRollback || e.RollbackOf == nil || *e.RollbackOf != *ro.Status.History[1].ID {
		t.Errorf("the rollback is %+v", e)
	}
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	wantTags(t, ro, "1.0.0", "1.1.0", "1.0.0")
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonRolledBack)
}

func TestPauseLeavesTheVerdictToAPerson(t *testing.T) {
	t.Parallel()
	w, ro, _ := probed(t, func(ro *v1alpha1.Rollout) { ro.Spec.OnFailure = v1alpha1.OnFailurePause })
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthUnhealthy)
	w.AwaitPhase(ro, v1alpha1.PhasePaused, "1.1.0")
	w.Report("probe", v1alpha1.HealthHealthy)
	w.Consistently(300*time.Millisecond, ro, "stays paused", func() error { return inPhase(ro, v1alpha1.PhasePaused) })
	w.Annotate(ro, v1alpha1.AnnotationRetry, "1")
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	wantTags(t, ro, "1.1.0", "1.0.0")
}

func TestRecoveringCheckUnblocksReleases(t *testing.T) {
	t.Parallel()
	w, ro, check := probed(t)
	w.Report("probe", v1alpha1.HealthUnhealthy)
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	if b := w.AwaitBlocked(ro, "HealthCheck", v1alpha1.ReasonCheckUnhealthy); b.Name != check.Name {
		t.Errorf("it is blocked by %+v", b)
	}
	wantTags(t, ro, "1.0.0")
	w.Report("probe", v1alpha1.HealthHealthy)
	w.Await(ro, "deploys", func() error { return onHead(ro, "1.1.0") })
}

// TestResetOfASharedCheckKeepsItsLastError: another Rollout may not have seen it yet.
func TestResetOfASharedCheckKeepsItsLastError(t *testing.T) {
	t.Parallel()
	w, ro, check := probed(t)
	w.Report("probe", v1alpha1.HealthUnhealthy)
	w.Report("probe", v1alpha1.HealthHealthy)
	w.Get(check)
	last := check.Status.LastErrorTime
	unrelated := w.Check("unrelated", "test", "other")
	w.Report("unrelated", v1alpha1.HealthHealthy)

	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Await(check, "is reset", func() error {
		if !strings.Contains(ptrText(check.Status.Message), "reset due to new deployment") {
			return errors.New("it is not")
		}
		return reports(check, v1alpha1.HealthPending)
	})
	if check.Status.LastErrorTime == nil || !check.Status.LastErrorTime.Equal(last) {
		t.Errorf("the last error was at %v, now it says %v", last, check.Status.LastErrorTime)
	}
	w.Get(unrelated)
	if err := reports(unrelated, v1alpha1.HealthHealthy); err != nil {
		t.Errorf("a check that nobody selects was reset: %v", err)
	}
}

func ptrText(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestSelectorThatSelectsNothingHolds: no check is no evidence.
func TestSelectorThatSelectsNothingHolds(t *testing.T) {
	t.Parallel()
	w, ro, check := probed(t)
	w.Patch(ro, `{"spec":{"bakeTime":"2s"}}`)
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.Await(ro, "waits for the check", func() error { return waitsForCheck(ro, "1.1.0") })
	w.Report("probe", v1alpha1.HealthHealthy)
	w.AwaitPhase(ro, v1alpha1.PhaseBaking, "1.1.0")
	w.Delete(check)
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonNoChecks)
	w.Consistently(3*time.Second, ro, "is not Available", func() error { return inPhase(ro, v1alpha1.PhaseBaking) })
}

// TestKustomizationCheckFailsAReleaseWhoseDeploymentFails covers the class kustomization.
func TestKustomizationCheckFailsAReleaseWhoseDeploymentFails(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	d := deployment("web")
	w.Own("app", d)
	w.Create(d)
	f := w.SimulateFlux()
	f.Do(env.Inventory("v1", w.Namespace+"_web_apps_Deployment"))
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	check := w.Check("app", v1alpha1.HealthClassKustomization, "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.WithHealthChecks)
	progress(w, d, true)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	f.Hold()
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.1.0")
	progress(w, d, false)
	f.Release()
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.1.0")
	w.Get(check)
	if err := reports(check, v1alpha1.HealthUnhealthy); err != nil || !strings.Contains(ptrText(check.Status.Message), "Deployment "+w.Namespace+"/web") {
		t.Errorf("the check: %v: %q", err, ptrText(check.Status.Message))
	}
	if check.Status.LastErrorTime == nil || check.Status.LastChangeTime == nil || check.Status.ObservedRevision == "" {
		t.Errorf("the check lacks times or revision: %+v", check.Status)
	}
}

// TestReleaseWithoutChecksWaitsForItsWorkloads: without spec.wait, Flux is ready before a pod of the version has
// started.
func TestReleaseWithoutChecksWaitsForItsWorkloads(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	d := deployment("web")
	w.Own("app", d)
	w.Create(d)
	f := w.SimulateFlux()
	f.Do(env.Inventory("v1", w.Namespace+"_web_apps_Deployment"))
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	b := w.AwaitBlocked(ro, "Kustomization", v1alpha1.ReasonWorkloadsNotReady)
	if !strings.Contains(b.Message, "Deployment "+w.Namespace+"/web") {
		t.Errorf("its message is %q", b.Message)
	}
	progress(w, d, false)
	w.Consistently(2*time.Second, ro, "is held", func() error { return inPhase(ro, v1alpha1.PhaseDeploying) })
	progress(w, d, true)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestCheckReadsNothingOfAnotherNamespace: a user who may write the status of a Kustomization can list any object in
// its inventory.
func TestCheckReadsNothingOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	victim, w := env.New(t), env.New(t)
	w.Run()
	victim.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Data: map[string]string{"password": "hunter2"}})
	for app, objects := range map[string]struct{ entry, current string }{
		"value":  {victim.Namespace + "_db__ConfigMap", "{'x': true}[data.password]"},
		"guess":  {victim.Namespace + "_db__ConfigMap", "data.password.startsWith('h')"},
		"exists": {victim.Namespace + "_db__ConfigMap", "true"},
		"lacks":  {victim.Namespace + "_no__ConfigMap", "true"},
	} {
		k := w.Kustomization(app, nil)
		w.Patch(k, fmt.Sprintf(`{"spec":{"healthCheckExprs":[{"apiVersion":"v1","kind":"ConfigMap","current":%q}]}}`, objects.current))
		w.Apply(app, env.Inventory("v1", objects.entry))
		check := w.Check(app, v1alpha1.HealthClassKustomization, app)
		name := victim.Namespace + "/" + strings.Split(objects.entry, "_")[1]
		want := "ConfigMap " + name + " does not exist, or lacks the labels by which Flux marks the objects of Kustomization " + app
		w.Await(check, "is Pending without details of the object", func() error {
			if got := ptrText(check.Status.Message); got != want {
				return fmt.Errorf("its message is %q", got)
			}
			return reports(check, v1alpha1.HealthPending)
		})
	}
}

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: env.Image}}},
		},
	}}
}

// progress simulates the controller of Deployments.
func progress(w *env.World, d *appsv1.Deployment, well bool) {
	w.T.Helper()
	w.Get(d)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	c := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"}
	available := appsv1.DeploymentCondition{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"}
	if !well {
		d.Status.ReadyReplicas, d.Status.AvailableReplicas, d.Status.UnavailableReplicas = 0, 0, 1
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "ProgressDeadlineExceeded", "it does not start"
		available.Status = corev1.ConditionFalse
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{c, available}
	if err := w.Admin.Status().Update(w.Ctx(), d); err != nil {
		w.T.Fatal(err)
	}
}

// TestFailedHealthChecksOfFluxFailTheRelease covers a Kustomization whose own health checks fail.
func TestFailedHealthChecksOfFluxFailTheRelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	f := w.SimulateFlux()
	f.Do(func(k *kustomizev1.Kustomization) {
		env.FailedWith(meta.HealthCheckFailedReason)(k)
		k.Status.LastAttemptedRevision = "main@sha1:0000"
	})
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Check("app", v1alpha1.HealthClassKustomization, "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.WithHealthChecks)
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.0.0")
}
