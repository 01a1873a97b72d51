package gate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
)

func TestReleasesToEvaluate(t *testing.T) {
	many := make([]v1alpha1.VersionInfo, 30)
	for i := range many {
		many[i] = v(fmt.Sprint(30-i), "x")
	}
	entry := func(tag string, status v1alpha1.BakeStatus, cause v1alpha1.Cause) v1alpha1.DeploymentHistoryEntry {
		return v1alpha1.DeploymentHistoryEntry{Version: v(tag, "x"), BakeStatus: new(string(status)), Cause: cause}
	}
	auto := v1alpha1.CauseAutomatic
	failed := []v1alpha1.DeploymentHistoryEntry{entry("3", v1alpha1.BakeFailed, auto), entry("3", v1alpha1.BakeSucceeded, auto), entry("2", v1alpha1.BakeSucceeded, auto), entry("1", v1alpha1.BakeSucceeded, auto)}
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.Rollout)
		want   []string
	}{
		"Few":   {"the candidates, newest first", func(ro *v1alpha1.Rollout) { ro.Status.ReleaseCandidates = many[:2] }, []string{"30", "29"}},
		"Twice": {"each once", func(ro *v1alpha1.Rollout) { ro.Status.ReleaseCandidates = append(many[:1:1], many[0]) }, []string{"30"}},
		"Deploying": {"what is on its way", func(ro *v1alpha1.Rollout) {
			ro.Status.History = failed[:0:0]
			ro.Status.History = append(ro.Status.History, entry("3", v1alpha1.BakeDeploying, auto))
		}, []string{"3"}},
		"ByHand": {"unless a person sent it", func(ro *v1alpha1.Rollout) {
			ro.Status.History = []v1alpha1.DeploymentHistoryEntry{entry("3", v1alpha1.BakeDeploying, v1alpha1.CausePin)}
		}, nil},
		"Available": {"not what has arrived", func(ro *v1alpha1.Rollout) { ro.Status.History = failed[1:] }, nil},
		"Failed":    {"nor what failed", func(ro *v1alpha1.Rollout) { ro.Status.History = failed }, nil},
		"Rollback": {"but what is rolled back to", func(ro *v1alpha1.Rollout) {
			ro.Spec.OnFailure, ro.Status.History = v1alpha1.OnFailureRollback, failed
		}, []string{"2"}},
		"Quarantined": {"which is in no quarantine", func(ro *v1alpha1.Rollout) {
			ro.Spec.OnFailure, ro.Status.History = v1alpha1.OnFailureRollback, failed
			ro.Status.Quarantined = []v1alpha1.Quarantine{{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "2", Digest: "x"}}}
		}, []string{"1"}},
		"Pinned": {"a pinned Rollout rolls nothing back", func(ro *v1alpha1.Rollout) {
			ro.Spec.OnFailure, ro.Spec.WantedVersion, ro.Status.History = v1alpha1.OnFailureRollback, new("3"), failed
		}, nil},
		"NotStarted": {"a bake that has not started is on its way", func(ro *v1alpha1.Rollout) {
			ro.Status.History = []v1alpha1.DeploymentHistoryEntry{entry("3", v1alpha1.BakeInProgress, auto)}
		}, []string{"3"}},
		"Nowhere": {"if there is one", func(ro *v1alpha1.Rollout) {
			ro.Spec.OnFailure, ro.Status.History = v1alpha1.OnFailureRollback, failed[:2]
		}, nil},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			var ro v1alpha1.Rollout
			tc.edit(&ro)
			var got []string
			for _, v := range releasesToEvaluate(&ro) {
				got = append(got, v.Tag)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	var ro v1alpha1.Rollout
	ro.Status.ReleaseCandidates = many
	if got := releasesToEvaluate(&ro); len(got) != gate.MaxCandidates || got[0].Tag != "30" || ro.Status.ReleaseCandidates[0].Tag != "30" {
		t.Errorf("of many, %d from %s on", len(got), got[0].Tag)
	}
	ro.Spec.Selection = v1alpha1.SelectEvery
	if got := releasesToEvaluate(&ro); len(got) != gate.MaxCandidates || got[0].Tag != "1" || ro.Status.ReleaseCandidates[0].Tag != "30" {
		t.Errorf("one after the other, %d from %s on", len(got), got[0].Tag)
	}
}
