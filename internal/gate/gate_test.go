package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// TestEvaluate covers every class: a gate is open only if a field or a verdict says so.
func TestEvaluate(t *testing.T) {
	yes, no := true, false
	tags := func(list ...string) *[]string { return &list }
	release := v1alpha1.ReleaseIdentity{Tag: "1.1.0", Digest: "sha256:a"}
	verdictStatus := func(v v1alpha1.GateVerdict, observed int64) v1alpha1.RolloutGateStatus {
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
		"empty spec":                    {"it waits for a person", v1alpha1.RolloutGateSpec{}, v1alpha1.RolloutGateStatus{}, v1alpha1.GatePending, ReasonAwaitingApproval},
		"empty list":                    {"no version is allowed", v1alpha1.RolloutGateSpec{AllowedVersions: tags()}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"passing":                       {"it is open for every release", v1alpha1.RolloutGateSpec{Passing: &yes}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateOpen, ReasonPassing},
		"not passing":                   {"it is closed for every release", v1alpha1.RolloutGateSpec{Passing: &no, AllowedVersions: tags("1.1.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotPassing},
		"listed":                        {"a person allowed the tag", v1alpha1.RolloutGateSpec{AllowedVersions: tags("1.0.0", "1.1.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateOpen, ReasonAllowed},
		"not listed":                    {"a person allowed others", v1alpha1.RolloutGateSpec{AllowedVersions: tags("1.0.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"passing but not listed":        {"both have to agree", v1alpha1.RolloutGateSpec{Passing: &yes, AllowedVersions: tags("1.0.0")}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNotAllowed},
		"unknown class":                 {"no controller evaluates it", v1alpha1.RolloutGateSpec{Class: "x"}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNoVerdict},
		"unknown class, passing":        {"spec.passing opens only manual gates", v1alpha1.RolloutGateSpec{Class: "x", Passing: &yes}, v1alpha1.RolloutGateStatus{}, v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict":                       {"the controller of the class says open", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(open, 2), v1alpha1.GateOpen, "Green"},
		"verdict, but not passing":      {"a person closes a gate of any class", v1alpha1.RolloutGateSpec{Class: "x", Passing: &no}, verdictStatus(open, 2), v1alpha1.GateClosed, ReasonNotPassing},
		"verdict for an older spec":     {"the spec has changed since", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(open, 1), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict for another digest":    {"the tag was moved", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.Digest = "sha256:b" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict without a digest":      {"the verdict may be for another digest", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.Digest = "" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict for another tag":       {"the verdict is for another release", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.Release = "1" }), 2), v1alpha1.GateClosed, ReasonNoVerdict},
		"verdict in an unknown state":   {"only the state open opens the gate", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.State = "Open" }), 2), v1alpha1.GateClosed, "Green"},
		"verdict without a state":       {"only the state open opens the gate", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.State = "" }), 2), v1alpha1.GateClosed, "Green"},
		"verdict pending":               {"the controller has not finished", v1alpha1.RolloutGateSpec{Class: "x"}, verdictStatus(with(func(v *v1alpha1.GateVerdict) { v.State = v1alpha1.GatePending }), 2), v1alpha1.GatePending, "Green"},
		"manual class ignores verdicts": {"only a person opens it", v1alpha1.RolloutGateSpec{Class: v1alpha1.GateClassManual}, verdictStatus(open, 2), v1alpha1.GatePending, ReasonAwaitingApproval},
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
				t.Error("Open, Admits and Closed disagree")
			}
			if !v.Open() && (v.ClearedBy == "" || v.Message == "" && v.Reason != "Green") {
				t.Errorf("no message or nobody to clear it: %+v", v)
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

// TestScheduleClearedByTimeOrPerson checks that a person clears a schedule that is invalid or closed forever.
func TestScheduleClearedByTimeOrPerson(t *testing.T) {
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
