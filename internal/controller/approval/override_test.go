package approval

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// breaks creates an Override that ends two hours after the Release was created.
func (w *world) breaks() *v1alpha1.Override {
	o := &v1alpha1.Override{ObjectMeta: meta("o", made.Add(time.Minute)), Spec: v1alpha1.OverrideSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassHealth},
		ExpiresAt: metav1.NewTime(made.Add(2 * time.Hour)),
	}}
	w.overrides = append(w.overrides, o)
	return o
}

// ofOverride returns what the Override says after a reconcile, and when it is reconciled again.
func (w *world) ofOverride() (metav1.Condition, time.Duration) {
	w.Helper()
	o := w.overrides[0]
	result, err := New(w.client, w.clock, w).Reconcile(w.Context(), request("ns", o.Spec.ReleaseRef.Name))
	if err != nil {
		w.Fatal(err)
	}
	var stored v1alpha1.Override
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(o), &stored); err != nil {
		w.Fatal(err)
	}
	c := apimeta.FindStatusCondition(stored.Status.Conditions, v1alpha1.ConditionCounted)
	if c == nil {
		w.Fatal("the Override has no condition")
	}
	return *c, result.RequeueAfter
}

// TestCountedOfAnOverride checks the condition of every kind of Override that is in force, or is not.
func TestCountedOfAnOverride(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit         func(*world, *v1alpha1.Override)
		reason, says string
		// again is when the condition changes by itself.
		again time.Duration
	}{
		"in force":               {func(*world, *v1alpha1.Override) {}, "Counted", "Release app-1.1.0 skips Gates, Health until 2030-03-01T11:00:00Z", time.Hour},
		"no Release":             {func(_ *world, o *v1alpha1.Override) { o.Spec.ReleaseRef.Name = "app-9" }, "ReleaseNotFound", "no Release app-9 exists in namespace ns: kubectl get rel -n ns lists those that exist; delete this Override and create another", 0},
		"the tag":                {func(_ *world, o *v1alpha1.Override) { o.Spec.ReleaseRef.Name = "1.1.0" }, "ReleaseNotFound", "the tag 1.1.0 belongs to Release app-1.1.0", 0},
		"of another Rollout":     {func(_ *world, o *v1alpha1.Override) { o.Spec.RolloutRef.Name = "ap" }, "OtherRollout", "spec.rolloutRef.name is ap, and Release app-1.1.0 belongs to Rollout app; delete this Override and create another", 0},
		"a Rollout that is gone": {func(w *world, _ *v1alpha1.Override) { w.ro = nil }, "RolloutNotFound", "Rollout app of Release app-1.1.0 does not exist any more", 0},
		"older than the Release": {func(_ *world, o *v1alpha1.Override) { o.CreationTimestamp = metav1.NewTime(made.Add(-time.Second)) }, "OtherRelease", "the Override is older than Release app-1.1.0: look at the Release, and create another Override", 0},
		"of another uid":         {func(_ *world, o *v1alpha1.Override) { o.Spec.ReleaseRef.UID = "x" }, "OtherRelease", "spec.releaseRef.uid is x", 0},
		"ended":                  {func(_ *world, o *v1alpha1.Override) { o.Spec.ExpiresAt = metav1.NewTime(made.Add(time.Hour)) }, "Expired", "the Override ended at 2030-03-01T10:00:00Z", 0},
		"no policy":              {func(w *world, _ *v1alpha1.Override) { w.unproven = "the policy is not in force" }, "OverridesUnproven", "Overrides are not counted: the policy is not in force", 0},
		"doubtful":               {func(w *world, _ *v1alpha1.Override) { w.doubt = "it is for longer than a day" }, "NotCounted", "the Override does not count: it is for longer than a day", 0},
		"superseded": {func(w *world, _ *v1alpha1.Override) {
			w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseSuperseded
			w.doubt = "it is for longer than a day"
		}, "TooLate", "Release app-1.1.0 is Superseded", 0},
		"deployed before": {func(w *world, _ *v1alpha1.Override) {
			w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseAvailable
			w.rel.Status.DeployedAt = &metav1.Time{Time: made.Add(30 * time.Second)}
		}, "TooLate", "Release app-1.1.0 is Available", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.about.Spec.ReleaseRef.Name = "app-0" // the Approval of another Release
			tc.edit(w, w.breaks())
			w.start()
			c, again := w.ofOverride()
			if c.Reason != tc.reason || !strings.Contains(c.Message, tc.says) || (c.Status == metav1.ConditionTrue) != (tc.reason == "Counted") {
				t.Errorf("it is %s %s: %s", c.Status, c.Reason, c.Message)
			}
			if again != tc.again {
				t.Errorf("it is reconciled again after %s, want %s", again, tc.again)
			}
			writes := w.writes
			if w.ofOverride(); w.writes != writes || writes != 1 {
				t.Errorf("%d writes, then %d", writes, w.writes)
			}
		})
	}
}

// TestAUsedOverrideStaysCounted changes the world: an Override ends while its release waits, and stays counted if the release went out.
func TestAUsedOverrideStaysCounted(t *testing.T) {
	t.Parallel()
	for _, deployed := range []bool{true, false} {
		w := newWorld(t)
		w.breaks()
		w.start()
		if c, _ := w.ofOverride(); c.Reason != "Counted" {
			t.Errorf("it is %s: %s", c.Reason, c.Message)
		}
		want := "Expired"
		if deployed {
			want = "Counted"
			w.ro.Status.ReleaseCandidates = nil
			w.updateRollout()
		}
		w.clock.SetTime(made.Add(3 * time.Hour))
		if c, _ := w.ofOverride(); c.Reason != want {
			t.Errorf("deployed %t: it is %s: %s", deployed, c.Reason, c.Message)
		}
	}
}

// updateRollout stores the Rollout.
func (w *world) updateRollout() {
	w.Helper()
	var stored v1alpha1.Rollout
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(w.ro), &stored); err != nil {
		w.Fatal(err)
	}
	w.ro.SetResourceVersion(stored.GetResourceVersion())
	if err := w.client.Update(w.Context(), w.ro); err != nil {
		w.Fatal(err)
	}
}
