package release

import (
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// TestRollbackTarget holds what everybody is told in advance against what the core then decides.
func TestRollbackTarget(t *testing.T) {
	t.Parallel()
	entry := func(tag string, status v1alpha1.BakeStatus, cause v1alpha1.Cause) v1alpha1.DeploymentHistoryEntry {
		return v1alpha1.DeploymentHistoryEntry{Version: v1alpha1.VersionInfo{Tag: tag}, BakeStatus: new(string(status)), Cause: cause}
	}
	const succeeded, failed, auto = v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.CauseAutomatic
	older := entry("1", "", "")
	older.BakeStatus = nil // as a controller without bakes wrote it
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.RolloutSpec, *v1alpha1.RolloutStatus)
		want   string
	}{
		"Failed": {"the newest that became Available", func(*v1alpha1.RolloutSpec, *v1alpha1.RolloutStatus) {}, "2"},
		"Halt":   {"only where the spec asks for it", func(s *v1alpha1.RolloutSpec, _ *v1alpha1.RolloutStatus) { s.OnFailure = v1alpha1.OnFailureHalt }, ""},
		"Pinned": {"a person decides", func(s *v1alpha1.RolloutSpec, _ *v1alpha1.RolloutStatus) { s.WantedVersion = new("3") }, ""},
		"ByHand": {"a person decided", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) { st.History[0].Cause = v1alpha1.CausePin }, ""},
		"Rollback": {"one rollback is enough", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) {
			st.History[0].Cause = v1alpha1.CauseRollback
		}, ""},
		"Available": {"nothing failed", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) { st.History[0] = entry("3", succeeded, auto) }, ""},
		"Same":      {"not what failed, at an earlier time", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) { st.History[1].Version.Tag = "3" }, "1"},
		"Nothing":   {"", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) { st.History = nil }, ""},
		"Only":      {"", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) { st.History = st.History[:1] }, ""},
		"Quarantined": {"", func(_ *v1alpha1.RolloutSpec, st *v1alpha1.RolloutStatus) {
			st.Quarantined = []v1alpha1.Quarantine{{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "2"}}}
		}, "1"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			spec := v1alpha1.RolloutSpec{OnFailure: v1alpha1.OnFailureRollback}
			status := v1alpha1.RolloutStatus{History: []v1alpha1.DeploymentHistoryEntry{entry("3", failed, auto), entry("2", succeeded, auto), older}}
			tc.edit(&spec, &status)
			tag := func(e *v1alpha1.DeploymentHistoryEntry) string {
				if e == nil {
					return ""
				}
				return e.Version.Tag
			}
			if got := tag(RollbackTarget(spec, &status)); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			if got := tag(Gated(&v1alpha1.Rollout{Spec: spec, Status: status})); got != tc.want {
				t.Errorf("%s: gates are asked about %q, want %q", tc.reason, got, tc.want)
			}
			core := newSituation(Observation{Spec: spec, Status: status})
			if got := tag(core.rollbackTarget()); got != tc.want {
				t.Errorf("%s: the core chooses %q, want %q", tc.reason, got, tc.want)
			}
			for i := range status.History[min(1, len(status.History)):] {
				e := &status.History[1+i]
				if want := quarantine(status.Quarantined, version.Identity(e.Version)) == nil; Restorable(&status, e) != want {
					t.Errorf("%v is restorable: %t", version.Identity(e.Version), !want)
				}
			}
		})
	}
}
