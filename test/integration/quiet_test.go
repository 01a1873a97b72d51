package integration

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestNothingIsWrittenAtRest: at rest, and after everything is reconciled again, nothing is written.
func TestNothingIsWrittenAtRest(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	const many = 50
	ros := make([]*v1alpha1.Rollout, many)
	for i := range ros {
		name := fmt.Sprintf("app%d", i)
		w.Kustomization(name, map[string]string{"VERSION": name})
		w.Policy(name, "1.0.0")
		ros[i] = w.Rollout(name)
	}
	w.Gate("closed", "app0")
	w.Check("check", v1alpha1.HealthClassKustomization, "app1")
	for _, ro := range ros[1:] {
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	}
	if err := m.AwaitIdle(w.Ctx(), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	before := len(m.Wire.Writes())
	for _, ro := range ros {
		w.Annotate(ro, "example.com/look", "again")
	}
	if err := m.AwaitIdle(w.Ctx(), 3*time.Second); err != nil {
		t.Fatal(err)
	}
	if more := m.Wire.Writes()[before:]; len(more) > 0 {
		t.Errorf("%d writes at rest: %v", len(more), more)
	}
	t.Run("nothing is written after a restart", func(t *testing.T) {
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		again := w.Run()
		if err := again.AwaitIdle(w.Ctx(), 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if more := again.Wire.Writes(); len(more) > 0 {
			t.Errorf("%d writes at rest: %v", len(more), more)
		}
	})
}

// TestWritesOfOneRelease counts the writes of one release.
func TestWritesOfOneRelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	if err := m.AwaitIdle(w.Ctx(), time.Second); err != nil {
		t.Fatal(err)
	}
	before := len(m.Wire.Writes())
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseAvailable)
	if err := m.AwaitIdle(w.Ctx(), time.Second); err != nil {
		t.Fatal(err)
	}
	// Rollout: the decision, Available, and that it is handed over if Flux takes a while. Release: created, details,
	// Available, and Deploying if Flux takes a while. The previous Release: not running any more. One event and the
	// hand-over itself. Conflicts and repeated writes do not count, because they change nothing.
	writes := effective(m.Wire.Writes()[before:])
	if len(writes) > 10 {
		t.Errorf("%d writes: %v", len(writes), writes)
	}
	// Two writes come before the hand-over: the decision and the hand-over itself. Writes of Release objects delay
	// neither.
	var path []string
	for _, c := range writes {
		if env.To("rollouts", "rollouts/status", "kustomizations")(c) {
			path = append(path, c.Resource)
		}
	}
	if len(path) > 4 || path[0] != "rollouts/status" || path[1] != "kustomizations" {
		t.Errorf("the way of the release is %v", path)
	}
}

// TestOneApprovalCostsOneWrite counts the writes to an Approval and to an Override from their creation until the
// release is Available.
func TestOneApprovalCostsOneWrite(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Gate("approval", "app")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	alice := someone(w, "alice", nil, "kuberik-approver", "kuberik-break-glass")
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
	past, err := alice.override(w, rel, func(o *v1alpha1.OverrideSpec) { o.Bypass = []v1alpha1.Bypass{v1alpha1.BypassSchedules} })
	if err != nil {
		t.Fatal(err)
	}
	w.Await(past, "is in force", func() error {
		if !apimeta.IsStatusConditionTrue(past.Status.Conditions, v1alpha1.ConditionCounted) {
			return fmt.Errorf("its message is %+v", past.Status.Conditions)
		}
		return nil
	})
	a := alice.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Await(a, "is counted", func() error {
		if !apimeta.IsStatusConditionTrue(a.Status.Conditions, v1alpha1.ConditionCounted) {
			return fmt.Errorf("its message is %+v", a.Status.Conditions)
		}
		return nil
	})
	if err := m.AwaitIdle(w.Ctx(), time.Second); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"approvals", "overrides"} {
		if writes := effective(m.Wire.Writes(env.To(kind + "/status"))); len(writes) != 1 {
			t.Errorf("%d writes to %s: %v", len(writes), kind, writes)
		}
	}
}

// effective removes conflicts and repeated writes.
func effective(calls []env.Call) []env.Call {
	var list []env.Call
	for _, c := range calls {
		same := func(o env.Call) bool { return o.Resource == c.Resource && o.Name == c.Name && o.Body == c.Body }
		if c.Code != http.StatusConflict && !slices.ContainsFunc(list, same) {
			list = append(list, c)
		}
	}
	return list
}

// TestRetentionDropsOldReleases: trimmed releases have no object left; running and quarantined ones have.
func TestRetentionDropsOldReleases(t *testing.T) {
	t.Parallel()
	w, ro, f := settled(t, func(ro *v1alpha1.Rollout) {
		ro.Spec.VersionHistoryLimit, ro.Spec.AvailableReleasesMinCount = ptr.To[int32](2), ptr.To[int32](1)
		ro.Spec.AfterFailure = v1alpha1.AfterFailureAllowNewer
	})
	f.Hold()
	w.Patch(ro, `{"spec":{"deployTimeout":"1s"}}`)
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.2.0")
	w.Patch(ro, `{"spec":{"deployTimeout":null}}`)
	f.Release()
	for _, tag := range []string{"1.3.0", "1.4.0", "1.5.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
	}
	for _, tag := range []string{"1.0.0", "1.1.0"} {
		w.AwaitGone(&v1alpha1.Release{ObjectMeta: w.Meta(env.ReleaseName("app", tag))})
	}
	w.AwaitRelease(ro, "1.5.0", v1alpha1.ReleaseAvailable)
	w.AwaitRelease(ro, "1.4.0", v1alpha1.ReleaseAvailable)
	kept := &v1alpha1.Release{ObjectMeta: w.Meta(env.ReleaseName("app", "1.2.0"))}
	w.Await(kept, "is kept in quarantine", func() error {
		if kept.Status.Quarantine == nil {
			return errors.New("it is not quarantined")
		}
		return nil
	})
	if kept.Status.Phase != v1alpha1.ReleaseFailed {
		t.Errorf("the release that failed is %s", kept.Status.Phase)
	}
}
