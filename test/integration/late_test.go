package integration

import (
	"fmt"
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestDigestThatIsReportedLater: the ImagePolicy selects a tag before it reports the digest. The release keeps its
// place and gets the digest. Earlier Approvals do not count for it.
func TestDigestThatIsReportedLater(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.ByDigest(k)
	w.Gate("approval", "app")
	w.Policy("app", "")
	w.Select("app", "1.0.0", "")
	ro := w.Rollout("app")
	w.AwaitBlocked(ro, "Kustomization", v1alpha1.ReasonNoDigest)
	if c := condition(ro, v1alpha1.ConditionHalted); c.Status != "True" || c.Reason != v1alpha1.ReasonNoDigest {
		t.Errorf("Halted is %s: %s: %s", c.Status, c.Reason, c.Message)
	}
	byTag := &v1alpha1.Release{ObjectMeta: w.Meta("app-1.0.0")}
	w.Await(byTag, "is Pending", func() error {
		if byTag.Status.Phase != v1alpha1.ReleasePending {
			return fmt.Errorf("it is %q", byTag.Status.Phase)
		}
		return nil
	})
	alice := someone(w, "alice", nil, "kuberik-approver")
	alice.approves(w, byTag)

	w.Select("app", "1.0.0", env.Digest("1.0.0"))
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
	w.AwaitGone(byTag)
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	if list := ro.Status.AvailableReleases; len(list) != 1 || list[0].Digest != env.Digest("1.0.0") {
		t.Errorf("the known releases are %v", list)
	}
	stays(w, ro, 0)

	alice.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Get(k)
	if err := carries(k, "VERSION", "1.0.0@"+env.Digest("1.0.0"))(); err != nil {
		t.Error(err)
	}
	wantTags(t, ro, "1.0.0")
}

// TestPinGetsTheDigestThatIsReportedLater: a pinned version waits for its digest and is deployed with it.
func TestPinGetsTheDigestThatIsReportedLater(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.ByDigest(k)
	w.Policy("app", "")
	w.Select("app", "1.0.0", "")
	tag := "1.0.0"
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) { ro.Spec.WantedVersion = &tag })
	w.Await(ro, "waits for the digest", func() error {
		c := condition(ro, v1alpha1.ConditionHalted)
		if len(ro.Status.History) != 1 || c.Reason != v1alpha1.ReasonNoDigest {
			return fmt.Errorf("it has %d deployments, and Halted is %s: %s", len(ro.Status.History), c.Reason, c.Message)
		}
		return nil
	})
	w.Select("app", "1.0.0", env.Digest("1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Get(k)
	if err := carries(k, "VERSION", "1.0.0@"+env.Digest("1.0.0"))(); err != nil {
		t.Error(err)
	}
	if h := ro.Status.History; len(h) != 1 || h[0].Version.Digest != env.Digest("1.0.0") {
		t.Errorf("the history is %+v", h)
	}
}
