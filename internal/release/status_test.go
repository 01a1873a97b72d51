package release

import (
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// standing is the status of the Release of a version after one decision.
func standing(o Observation, v v1alpha1.VersionInfo) v1alpha1.ReleaseStatus {
	ro := &v1alpha1.Rollout{Spec: o.Spec, Status: Project(o, Decide(o), nil)}
	return StatusOf(ro, &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v}})
}

// TestReleaseShowsWhatHoldsIt: what a Release waits for is about that release, whatever else the Rollout waits for.
func TestReleaseShowsWhatHoldsIt(t *testing.T) {
	failed := func(edits ...edit) Observation {
		return given(append([]edit{
			known("1.1.0", "1.2.0", "1.3.0"), history(entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), rollsBack, gates(shut("g")),
		}, edits...)...)
	}
	unknown := func(o *Observation) { o.PinnedTag.State = TagNotFound }
	for name, c := range map[string]struct {
		reason          string
		in              Observation
		tag             string
		wants, mentions string
	}{
		"a rollback at a gate":    {"the gate is asked about the rollback", failed(), "1.3.0", v1alpha1.ReasonPreviousFailed, "1.2.0 failed"},
		"newer than a failure":    {"the gate is asked about it", failed(spec(allowNewer)), "1.3.0", "AwaitingApproval", "1.3.0"},
		"at a gate":               {"the gate is asked about it", given(gates(shut("g"))), "1.2.0", "AwaitingApproval", "1.2.0"},
		"behind one in flight":    {"Flux is at work on the other", given(known("1.1.0", "1.2.0", "1.3.0"), deploying(), reports(pending)), "1.3.0", v1alpha1.ReasonCheckPending, "waits for 1.2.0, which is in flight: "},
		"behind one that bakes":   {"its time has to pass first", given(known("1.1.0", "1.2.0", "1.3.0"), bakes("1h"), baking(1), reports(healthy)), "1.3.0", v1alpha1.ReasonBaking, "waits for 1.2.0, which is in flight: 1.2.0 bakes"},
		"kept from Flux":          {"the gate is asked about it", given(deploying(), notAsked("1.1.0"), gates(shut("g"))), "1.2.0", "AwaitingApproval", "1.2.0"},
		"pinned, and not found":   {"nobody has such a tag", given(pinned("9.9.9"), unknown), "9.9.9", v1alpha1.ReasonUnknownVersion, "9.9.9"},
		"pinned, another is busy": {"the check is about the other", given(pinned("9.9.9"), unknown, deploying(), reports(pending)), "9.9.9", v1alpha1.ReasonPending, "waits to be deployed"},
	} {
		t.Run(name, func(t *testing.T) {
			st := standing(c.in, v1alpha1.VersionInfo{Tag: c.tag})
			if st.Phase != v1alpha1.ReleasePending || st.Reason != c.wants || !strings.Contains(st.Message, c.mentions) {
				t.Errorf("%s: %s %s %q, want %s %q", c.reason, st.Phase, st.Reason, st.Message, c.wants, c.mentions)
			}
		})
	}
	// Two digests of one tag: the gate is asked about the newer one, which was decided.
	o := given(known("1.1.0", "1.2.0", "1.2.0"), digests("a", "b", "c"), takes(version.FormDigest), deploying(), content("c", "a"), notAsked(digest("a")), gates(shut("g")))
	if st := standing(o, v1alpha1.VersionInfo{Tag: "1.2.0", Digest: digest("b")}); st.Reason == "AwaitingApproval" {
		t.Errorf("the Release of the older digest says what the newer one waits for: %s", st.Message)
	}
}

func rollsBack(o *Observation) { o.Spec.OnFailure = v1alpha1.OnFailureRollback }

func allowNewer(s *v1alpha1.RolloutSpec) { s.AfterFailure = v1alpha1.AfterFailureAllowNewer }

// TestHalted: wherever automation rests until a person acts, the condition says so, and what to do.
func TestHalted(t *testing.T) {
	moved := []edit{known("1.1.0", "1.1.0"), digests("a", "b"), content("a")}
	semver := func(o *Observation) { o.Policy.Order = version.NewOrder(version.OrderSemver, false, version.Filter{}) }
	typo := []edit{pinned("9.9.9"), func(o *Observation) { o.PinnedTag.State = TagNotFound }}
	byHand := func(e *v1alpha1.DeploymentHistoryEntry) { e.Cause = v1alpha1.CausePin }
	for name, c := range map[string]struct {
		reason          string
		in              Observation
		wants, mentions string
	}{
		"failed":                {"", given(failing()), v1alpha1.ReasonPreviousFailed, "retry"},
		"a moved tag":           {"Flux would change nothing", given(moved...), v1alpha1.ReasonTagMoved, v1alpha1.AnnotationSubstitutePrefix},
		"no digest":             {"the targets take digests", given(takes(version.FormDigest)), v1alpha1.ReasonNoDigest, "digestReflectionPolicy: Always"},
		"no digest, pinned":     {"the same by a pin", given(takes(version.FormDigest), deploying(byHand), pinned("1.2.0"), notAsked("")), v1alpha1.ReasonNoDigest, "digestReflectionPolicy: Always"},
		"lower":                 {"going down needs a person", given(semver, known("1.0.0", "1.1.0", "0.9.0")), v1alpha1.ReasonDowngrade, v1alpha1.AnnotationForceDeploy},
		"not newer":             {"the order is not known", given(known("1.0.0", "1.1.0"), func(o *Observation) { o.Policy.Tag = "1.0.0" }), v1alpha1.ReasonNotNewer, v1alpha1.AnnotationForceDeploy},
		"quarantined":           {"nothing else is selected", given(quarantined("1.2.0")), v1alpha1.ReasonQuarantined, v1alpha1.AnnotationLiftQuarantine},
		"illegal":               {"the tag cannot be released", given(func(o *Observation) { o.Policy.Tag = "../evil" }), v1alpha1.ReasonIllegalTag, "edit the ImagePolicy"},
		"an invalid spec":       {"it cannot be followed", given(bakes("soon")), v1alpha1.ReasonInvalidSpec, "spec"},
		"no target":             {"nobody takes the version", given(deploying(), func(o *Observation) { o.Targets = nil }), v1alpha1.ReasonNoTargets, "annotate"},
		"Flux is suspended":     {"it applies nothing", given(deploying(), target(func(t *Target) { t.Suspended, t.Applied = true, false })), v1alpha1.ReasonTargetSuspended, "flux resume"},
		"a tag that is not":     {"a typing error", given(typo...), v1alpha1.ReasonUnknownVersion, "correcting spec.wantedVersion"},
		"at rest":               {"", given(known("1.1.0")), "", ""},
		"at a gate":             {"the gate says whom it asks", given(gates(shut("g"))), "", ""},
		"by hand":               {"a person asked for it", given(history(entry(2, "1.1.0", v1alpha1.BakeSucceeded, byHand, knowing("1.2.0")))), "", ""},
		"pinned":                {"a person asked for it", given(pinned("1.1.0")), "", ""},
		"suspended":             {"a person asked for it", given(spec(func(s *v1alpha1.RolloutSpec) { s.Suspend = true })), "", ""},
		"baking":                {"time ends it", given(bakes("1h"), baking(1), reports(healthy)), "", ""},
		"not selected any more": {"the ImagePolicy ends it", given(semver, deploying(), notAsked("1.1.0"), func(o *Observation) { o.Policy.Tag = "1.1.0" }), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := apimeta.FindStatusCondition(Project(c.in, Decide(c.in), nil).Conditions, v1alpha1.ConditionHalted)
			if (got.Status == metav1.ConditionTrue) != (c.wants != "") {
				t.Fatalf("%s: Halted is %s: %s: %s", c.reason, got.Status, got.Reason, got.Message)
			}
			if c.wants != "" && (got.Reason != c.wants || !strings.Contains(got.Message, c.mentions)) {
				t.Errorf("%s: %s: %q, want %s that mentions %q", c.reason, got.Reason, got.Message, c.wants, c.mentions)
			}
		})
	}
}
