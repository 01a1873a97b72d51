package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// TestQuarantineByHand is about what a person who quarantines a release is told, and what is put on record.
func TestQuarantineByHand(t *testing.T) {
	cases := map[string]struct {
		value  string
		edit   edit
		notice Notice
		listed []string
	}{
		"with a reason":   {"1.2.0  it empties\tcarts", func(*Observation) {}, Notice{"Quarantined", "1.2.0 is not deployed automatically any more: it empties carts"}, []string{"1.2.0 it empties carts"}},
		"of what runs":    {"1.1.0 it leaks", known("1.1.0"), Notice{"Quarantined", "1.1.0 is not deployed automatically any more: it leaks"}, []string{"1.1.0 it leaks"}},
		"while suspended": {"1.2.0 it leaks", func(o *Observation) { o.Spec.Suspend = true }, Notice{"Quarantined", "1.2.0 is not deployed automatically any more: it leaks"}, []string{"1.2.0 it leaks"}},
		"without reason":  {"1.2.0", known("1.1.0"), Notice{"QuarantineIgnored", `quarantine is ignored because it gives no reason: write "1.2.0 <reason>"`}, nil},
		"of nothing":      {"9.9.9 it leaks", known("1.1.0"), Notice{"QuarantineIgnored", "quarantine is ignored because 9.9.9 is no known release"}, nil},
		"again":           {"1.2.0 it leaks", quarantined("1.2.0"), Notice{"QuarantineIgnored", "quarantine is ignored because 1.2.0 is quarantined already"}, []string{"1.2.0 "}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := given(tc.edit, annotation(v1alpha1.AnnotationQuarantine, tc.value))
			d := Decide(o)
			st := Project(o, d, nil)
			if diff := cmp.Diff([]Notice{tc.notice}, d.Notices); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
			var listed []string
			for _, q := range st.Quarantined {
				listed = append(listed, q.Tag+" "+q.Reason)
			}
			if diff := cmp.Diff(tc.listed, listed); diff != "" {
				t.Errorf("the record (-want +got):\n%s", diff)
			}
			if st.HandledAnnotations[v1alpha1.AnnotationQuarantine] != tc.value {
				t.Error("the annotation is not used up")
			}
		})
	}
}

// TestSuccessEndsOnlyAnEarlierQuarantine finishes the bake of a release that was quarantined before or after it was deployed.
func TestSuccessEndsOnlyAnEarlierQuarantine(t *testing.T) {
	for name, tc := range map[string]struct {
		by    string
		since time.Duration
		stays bool
	}{
		"by a person, before": {"", -time.Hour, false}, "by a person, since": {"", 0, true}, "by the controller": {system, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := given(baking(time.Hour))
			h := o.Status.History[0]
			o.Status.Quarantined = []v1alpha1.Quarantine{{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: h.Version.Tag, Digest: h.Version.Digest}, By: tc.by, Since: metav1.Time{Time: now.Add(tc.since)}}}
			d := Decide(o)
			if st := Project(o, d, nil); st.Phase != v1alpha1.PhaseAvailable || len(st.Quarantined) > 0 != tc.stays {
				t.Errorf("it is %s, and quarantined: %+v", st.Phase, st.Quarantined)
			}
		})
	}
}

// TestLiftQuarantine is about what a person who lifts a quarantine is told, and what is put on record.
func TestLiftQuarantine(t *testing.T) {
	cases := map[string]struct {
		value  string
		notice Notice
		lifted []v1alpha1.LiftedQuarantine
	}{
		"with a reason": {
			"1.2.0  the database was down",
			Notice{"QuarantineLifted", "1.2.0 may be deployed automatically again: the database was down"},
			[]v1alpha1.LiftedQuarantine{{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, Reason: "the database was down", Since: metav1.Time{Time: now}}},
		},
		"without a reason":   {"1.2.0", Notice{"LiftQuarantineIgnored", `lift-quarantine is ignored because it gives no reason: write "1.2.0 <reason>"`}, nil},
		"of another version": {"1.1.0 sure", Notice{"LiftQuarantineIgnored", "lift-quarantine is ignored: 1.1.0 is not quarantined"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := given(failing(), quarantined("1.2.0"), annotation(v1alpha1.AnnotationLiftQuarantine, tc.value))
			d := Decide(o)
			st := Project(o, d, nil)
			if diff := cmp.Diff([]Notice{tc.notice}, d.Notices); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.lifted, st.QuarantineLifted, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the record (-want +got):\n%s", diff)
			}
			if isolated := len(st.Quarantined) > 0; isolated != (tc.lifted == nil) {
				t.Errorf("it is quarantined: %v", isolated)
			}
			if st.HandledAnnotations[v1alpha1.AnnotationLiftQuarantine] != tc.value {
				t.Error("the annotation is not used up")
			}
			rel := StatusOf(&v1alpha1.Rollout{Status: st}, &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: "1.2.0"}}})
			if told := rel.QuarantineLifted != nil; told != (tc.lifted != nil) {
				t.Errorf("the Release says %+v", rel.QuarantineLifted)
			}
		})
	}
}

// TestClearedByNamesWhatWorks does what clearedBy of a halted Rollout names, and expects automation to go on. It also does what clearedBy
// does not name, and expects that to be ignored, so that nothing useful is left out.
func TestClearedByNamesWhatWorks(t *testing.T) {
	paused := func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = &metav1.Time{Time: now.Add(-time.Minute)} }
	back := history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed))
	newer := known("1.1.0", "1.2.0", "1.3.0")
	states := map[string]Observation{
		"failed":      given(failing(), quarantined("1.2.0"), newer),
		"rolled back": given(back, quarantined("1.2.0"), newer),
		"paused":      given(deploying(paused), newer),
	}
	actions := map[string]edit{
		"retry":          annotation(v1alpha1.AnnotationRetry, "now"),
		"unblock-failed": annotation(v1alpha1.AnnotationUnblockFailed, "true"),
		"force-deploy":   annotation(v1alpha1.AnnotationForceDeploy, "1.3.0"),
		"wantedVersion":  pinned("1.3.0"),
	}
	for name, state := range states {
		blocked := Decide(state).Blocked
		if len(blocked) == 0 {
			t.Errorf("%s: nothing says what to do", name)
			continue
		}
		clearedBy := blocked[len(blocked)-1].ClearedBy
		for action, do := range actions {
			o := state
			o.Status = *state.Status.DeepCopy()
			do(&o)
			names, works := strings.Contains(clearedBy, action), moves(Decide(o))
			if names != works {
				t.Errorf("%s: clearedBy is %q; %s works: %v", name, clearedBy, action, works)
			}
		}
	}
}

// moves reports whether a decision brings the record forward, and does not just use up an annotation.
func moves(d Decision) bool {
	return slices.ContainsFunc(d.Actions, func(a Action) bool {
		switch a.(type) {
		case Record, Amend:
			return true
		}
		return false
	})
}

// TestEveryHaltHasABlocker: a Rollout whose automation waits for a person says so, whether or not something newer is known.
func TestEveryHaltHasABlocker(t *testing.T) {
	for name, o := range map[string]Observation{
		"failed":                 given(failing(), quarantined("1.2.0"), known("1.1.0", "1.2.0")),
		"rolled back":            given(history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), known("1.1.0", "1.2.0")),
		"pinned, newer is known": given(pinned("1.1.0"), known("1.1.0", "1.2.0")),
	} {
		if d := Decide(o); len(d.Blocked) == 0 || d.Blocked[0].ClearedBy == "" || d.Blocked[0].Message == "" {
			t.Errorf("%s: %s blocks with %+v", name, d.Rule, d.Blocked)
		}
	}
}

// TestCheckBlockerNamesTheCheck checks that clearedBy says which HealthCheck has to report.
func TestCheckBlockerNamesTheCheck(t *testing.T) {
	for _, state := range []v1alpha1.HealthState{v1alpha1.HealthPending, v1alpha1.HealthUnhealthy, v1alpha1.HealthHealthy} {
		if b := checkBlocker(health.Report{Name: "smoke", State: state}); b.ClearedBy != "HealthCheck smoke reporting healthy" {
			t.Errorf("%s: cleared by %s", state, b.ClearedBy)
		}
	}
}
