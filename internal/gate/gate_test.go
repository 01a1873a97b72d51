package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// A gate says open only where somebody has said so in so many words: every other row is closed or pending.
func TestEvaluate(t *testing.T) {
	yes, no := true, false
	tags := func(list ...string) *[]string { return &list }
	release := v1alpha1.ReleaseIdentity{Tag: "1.1.0", Digest: "sha256:a"}
	answered := func(v v1alpha1.GateVerdict, observed int64) v1alpha1.RolloutGateStatus {
		return v1alpha1.RolloutGateStatus{ObservedGeneration: observed, Verdicts: []v1alpha1.GateVerdict{v}}
	}
	open := v1alpha1.GateVerdict{Release: "1.1.0", Digest: "sha256:a", State: v1alpha1.GateOpen, Reason: "Green"}
	with := func(f func(*v1alpha1.GateVerdict)) v1alpha1.GateVerdict {
		v := open
		f(&v)
		return v
	}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.RolloutGateSpec
		status v1alpha1.RolloutGateStatus
		state  v1alpha1.GateState
		why    string
	}{
		"D4 empty gate is closed":       {"a gate that says nothing waits for a person", v1alpha1.RolloutGateSpec{}, v1alpha1.RolloutGateStatus{}, v1alpha1.GatePending, ReasonAwaitingApproval},
		"D4 emptied list is closed":     {"when the last approval is taken away", v1alpha1.RolloutGateSpec{AllowedVersions: tags()}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"passing":                       {"open for all", v1alpha1.RolloutGateSpec{Passing: &yes}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateOpen, ReasonPassing},
		"not passing":                   {"closed for all", v1alpha1.RolloutGateSpec{Passing: &no, AllowedVersions: tags("1.1.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotPassing},
		"listed":                        {"a person allowed the tag", v1alpha1.RolloutGateSpec{AllowedVersions: tags("1.0.0", "1.1.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateOpen, ReasonAllowed},
		"not listed":                    {"a person allowed others", v1alpha1.RolloutGateSpec{AllowedVersions: tags("1.0.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"passing but not listed":        {"both have to agree", v1alpha1.RolloutGateSpec{Passing: &yes, AllowedVersions: tags("1.0.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"unknown class":                 {"nobody answers for it", v1alpha1.RolloutGateSpec{Class: "x"}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNoVerdict},
		"unknown class, passing":        {"a field of the manual class opens no other", v1alpha1.RolloutGateSpec{Class: "x", Passing: &yes}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict":                       {"the controller of the class says open", v1alpha1.RolloutGateSpec{Class: "x"}, answered(open, 2), v1alpha1.GateOpen, "Green"},
		"verdict, but not passing":      {"a person closes a gate of any class", v1alpha1.RolloutGateSpec{Class: "x", Passing: &no}, answered(open, 2), v1alpha1.GateClosed, ReasonNotPassing},
		"verdict for an older spec":     {"the question was another", v1alpha1.RolloutGateSpec{Class: "x"}, answered(open, 1), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict for another digest":    {"the tag was moved", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.Digest = "sha256:b" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict without a digest":      {"it is not known what was judged", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.Digest = "" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict for another tag":       {"another release was judged", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.Release = "1" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict in unknown words":      {"only the word open opens", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.State = "Open" }), 2), v1alpha1.GateClosed, "Green"},
		"verdict without a state":       {"nothing is not open", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.State = "" }), 2), v1alpha1.GateClosed, "Green"},
		"verdict pending":               {"the controller is still at it", v1alpha1.RolloutGateSpec{Class: "x"}, answered(with(func(v *v1alpha1.GateVerdict) { v.State = v1alpha1.GatePending }), 2), v1alpha1.GatePending, "Green"},
		"manual class ignores verdicts": {"nobody but a person opens it", v1alpha1.RolloutGateSpec{Class: v1alpha1.GateClassManual}, answered(open, 2), v1alpha1.GatePending, ReasonAwaitingApproval},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g", Generation: 2}, Spec: tc.spec, Status: tc.status}
			g.Status.AllowedVersions = BindDigests(g, []v1alpha1.VersionInfo{{Tag: release.Tag, Digest: release.Digest}})
			set := Set{Gates: []*v1alpha1.RolloutGate{g}}
			v := Evaluate(g, release, Context{})
			if diff := cmp.Diff([]string{"g", string(tc.state), tc.why}, []string{v.Gate, string(v.State), v.Reason}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if v.Open() != (tc.state == v1alpha1.GateOpen) || set.Admits(release) != v.Open() || (len(set.Closed(release)) == 0) != v.Open() {
				t.Error("Open, Admits and Shut disagree")
			}
			if !v.Open() && (v.ClearedBy == "" || v.Message == "" && v.Reason != "Green") {
				t.Errorf("a gate that holds says why and who can clear it: %+v", v)
			}
		})
	}
}

func TestVerdictKeepsItsTimes(t *testing.T) {
	since, until := metav1.NewTime(time.Unix(1, 0)), metav1.NewTime(time.Unix(2, 0))
	g := &v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{Class: "x"}, Status: v1alpha1.RolloutGateStatus{Verdicts: []v1alpha1.GateVerdict{
		{Release: "1", State: v1alpha1.GateClosed, Since: &since, Until: &until},
	}}}
	v := Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1"}, Context{})
	if !v.Since.Equal(since.Time) || !v.Until.Equal(until.Time) {
		t.Errorf("%+v", v)
	}
}

// TestTimeClearsWhatHasAnEnd: a schedule that is invalid, or that closes for ever, is cleared by a person.
func TestTimeClearsWhatHasAnEnd(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct{ passing, until, want string }{
		"closed until":  {"false", at.Add(time.Hour).Format(time.RFC3339), "time, or whoever may edit the schedule"},
		"closed":        {"false", "", "whoever may edit the schedule"},
		"open and over": {"true", at.Add(-time.Hour).Format(time.RFC3339), "the controller of Kuberik"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &v1alpha1.RolloutGate{}
			g.Annotations = map[string]string{v1alpha1.AnnotationGateReason: "schedule office says so", v1alpha1.AnnotationGateUntil: tc.until}
			g.Spec.Passing = new(tc.passing == "true")
			v := Evaluate(ExpireSchedule(g, at), v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, Context{Now: at})
			if v.Open() || v.ClearedBy != tc.want || (v.Until.IsZero()) != (tc.want != "time, or whoever may edit the schedule") {
				t.Errorf("got %+v", v)
			}
		})
	}
}
