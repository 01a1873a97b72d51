package release

import (
	"strings"
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// selects makes the ImagePolicy select a tag, in the order of semantic versions.
func selects(tag string) edit {
	return func(o *Observation) {
		o.Policy = Policy{Found: true, Tag: tag, Order: version.NewOrder(version.OrderSemver, false, version.Filter{})}
	}
}

func follows(o *Observation) { o.Spec.OnDowngrade = v1alpha1.OnDowngradeFollow }

// TestWithdrawn: the ImagePolicy does not select any more what waits.
func TestWithdrawn(t *testing.T) {
	waits := "waits for ImagePolicy images: Withdrawn"
	recorded := func(o *Observation) {
		deploying()(o)
		notAsked("1.1.0")(o)
	}
	check(t, map[string]decision{
		"the tag is gone":      {"what runs is selected", given(selects("1.1.0")), []string{"rest"}},
		"recorded":             {"it is not handed over", given(recorded, selects("1.1.0")), []string{"holdUnreleasable", "amend 2 Deploying", waits}},
		"recorded, selected":   {"it goes out", given(recorded, selects("1.2.0")), []string{"pinTargets", "pin 1.2.0 u/2/0 first", "waits for Kustomization app: NotApplied"}},
		"held, selected again": {"it goes on", given(recorded, selects("1.2.0"), func(o *Observation) { o.Status.History[0].InterruptedTime = ceil(now) }), []string{"holdHandover", "amend 2 Deploying"}},
		"handed over":          {"half a release is worse than a whole one", given(deploying(), selects("1.1.0")), []string{"startBake", "amend 2 Succeeded", "lift 1.2.0"}},
		"paused, its targets are gone": {"what Flux was handed goes to a target that comes late", given(deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = ceil(now) }), notAsked(""), selects("1.1.0")),
			[]string{"pinTargets", "pin 1.2.0 u/2/0 first", "waits for Rollout app: Paused"}},
		"a range was narrowed": {"a lower release that was found later bounds what was found before", given(known("1.1.0", "1.3.0", "1.2.0"), selects("1.2.0"), gates(allowing("1.3.0"))),
			[]string{"holdOnGates", "waits for RolloutGate : NotAllowed"}},
		"a rollback":          {"goes back to what is not selected", given(failing(), selects("1.2.0"), spec(func(s *v1alpha1.RolloutSpec) { s.OnFailure = "Rollback" })), []string{"rollBack", "record 3 1.1.0 Rollback"}},
		"nothing is selected": {"nothing goes out", given(func(o *Observation) { o.Policy.Tag = "" }), []string{"rest", "waits for ImagePolicy images: NoReleases"}},
		"no ImagePolicy":      {"nothing goes out", given(func(o *Observation) { o.Policy = Policy{} }), []string{"rest", "waits for ImagePolicy images: ImagePolicyNotFound"}},
		"not ready":           {"what it selected last says nothing", given(func(o *Observation) { o.Policy.Problem = "no tag matches" }), []string{"rest", "waits for ImagePolicy images: ImagePolicyNotReady"}},
	})
	o := given(selects("1.1.0"))
	st := StatusOf(&v1alpha1.Rollout{Status: Project(o, Decide(o), nil)}, &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: "1.2.0"}}})
	if st.Phase != v1alpha1.ReleasePending || st.Reason != v1alpha1.ReasonWithdrawn || !strings.Contains(st.Message, "selects 1.1.0") {
		t.Errorf("the Release is %s, %s: %s", st.Phase, st.Reason, st.Message)
	}
}

// TestDowngrade: the ImagePolicy selects something lower than what runs.
func TestDowngrade(t *testing.T) {
	runs := func(tags ...string) edit {
		return func(o *Observation) {
			known(tags...)(o)
			o.Status.History = []v1alpha1.DeploymentHistoryEntry{entry(1, "1.2.0", v1alpha1.BakeSucceeded)}
			carries("1.2.0")(o)
		}
	}
	byHand := func(o *Observation) {
		o.Status.History[0].Cause, o.Status.History[0].NewestKnown = v1alpha1.CauseForceDeploy, &v1alpha1.ReleaseIdentity{Tag: "1.3.0"}
	}
	waits := "waits for ImagePolicy images: Downgrade"
	every := spec(func(s *v1alpha1.RolloutSpec) { s.Selection = v1alpha1.SelectEvery })
	check(t, map[string]decision{
		"never seen before":          {"a page of the registry may be missing", given(runs("1.2.0", "1.1.5"), selects("1.1.5")), []string{"rest", waits}},
		"known before":               {"the same", given(runs("1.1.5", "1.2.0"), selects("1.1.5")), []string{"rest", waits}},
		"the dip is over":            {"nothing has happened", given(runs("1.2.0", "1.1.5"), selects("1.2.0")), []string{"rest"}},
		"followed":                   {"the spec says so", given(runs("1.2.0", "1.1.5"), selects("1.1.5"), follows), []string{"deployNext", "record 2 1.1.5 Automatic"}},
		"followed, known before":     {"the same", given(runs("1.1.5", "1.2.0"), selects("1.1.5"), follows), []string{"deployNext", "record 2 1.1.5 Automatic"}},
		"followed at a gate":         {"gates hold it like any other", given(runs("1.1.5", "1.2.0"), selects("1.1.5"), follows, gates(shut("g"))), []string{"holdOnGates", "waits for RolloutGate g: AwaitingApproval"}},
		"followed, quarantined":      {"what has failed stays out", given(runs("1.1.5", "1.2.0"), selects("1.1.5"), follows, quarantined("1.1.5")), []string{"rest", "waits for ImagePolicy images: Quarantined"}},
		"followed against a hand":    {"what a person deployed is not undone", given(runs("1.1.5", "1.2.0", "1.3.0"), selects("1.1.5"), follows, byHand), []string{"rest", "waits for ImagePolicy images: DeployedByHand"}},
		"after a dip":                {"what was skipped in it stays skipped", given(runs("1.2.0", "1.1.5", "1.3.0"), selects("1.3.0"), every), []string{"deployNext", "record 2 1.3.0 Automatic"}},
		"selected again":             {"it is higher than what runs, whenever it was found", given(runs("1.3.0", "1.2.0"), selects("1.3.0")), []string{"deployNext", "record 2 1.3.0 Automatic"}},
		"by hand, known before":      {"the person saw it", given(runs("1.3.0", "1.2.0"), selects("1.3.0"), byHand), []string{"rest", "waits for ImagePolicy images: DeployedByHand"}},
		"order unknown":              {"it is not lower, but no newer either", given(runs("x", "1.2.0"), selects("x")), []string{"rest", "waits for ImagePolicy images: NotNewer"}},
		"order unknown, found later": {"it is not lower", given(runs("1.2.0", "x"), selects("x")), []string{"deployNext", "record 2 x Automatic"}},
		"pinned":                     {"the pin holds", given(runs("1.1.5", "1.2.0"), selects("1.1.5"), pinned("1.2.0")), []string{"stayPinned", "amend 1 Succeeded", "waits for Rollout app: Pinned"}},
		"by force":                   {"a person may", given(runs("1.1.5", "1.2.0"), selects("1.1.5"), annotation(v1alpha1.AnnotationForceDeploy, "1.1.5")), []string{"forceDeploy", "use force-deploy", "record 2 1.1.5 ForceDeploy"}},
	})
	b := Decide(given(runs("1.2.0", "1.1.5"), selects("1.1.5"))).Blocked[0]
	for _, want := range []string{"1.1.5", "1.2.0", `rollout.kuberik.com/force-deploy: "1.1.5"`, "spec.onDowngrade: Follow"} {
		if !strings.Contains(b.Message+b.ClearedBy, want) {
			t.Errorf("%q is not named by %+v", want, b)
		}
	}
}

// TestEverySkipsWhatIsTurnedDown: what a gate has turned down does not hold what comes after it.
func TestEverySkipsWhatIsTurnedDown(t *testing.T) {
	every := spec(func(s *v1alpha1.RolloutSpec) { s.Selection = v1alpha1.SelectEvery })
	more := known("1.1.0", "1.2.0", "1.3.0")
	check(t, map[string]decision{
		"not listed":       {"the owner of the gate lists the next", given(more, every, gates(allowing("1.3.0"))), []string{"deployNext", "record 2 1.3.0 Automatic"}},
		"none is listed":   {"it waits at the oldest", given(more, every, gates(allowing("1.1.0"))), []string{"holdOnGates", "waits for RolloutGate : NotAllowed"}},
		"not approved yet": {"it still may be", given(more, every, gates(shut("g"))), []string{"holdOnGates", "waits for RolloutGate g: AwaitingApproval"}},
	})
}

// TestDriftUnderMixedForms: a person pinned a tag without a digest, so only the target that takes tags alone carries it. That one is put back
// when somebody changes it, while a newer deployment never reached Flux.
func TestDriftUnderMixedForms(t *testing.T) {
	o := given(func(o *Observation) {
		o.Status.History = []v1alpha1.DeploymentHistoryEntry{
			entry(2, "1.2.0", v1alpha1.BakeFailed, func(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }),
			entry(1, "custom", v1alpha1.BakeFailed, because(v1alpha1.CausePin)),
		}
		o.Targets = []Target{
			{Kind: "Kustomization", Name: "by-digest", Variable: "VERSION", Form: version.FormTagDigest},
			{Kind: "Kustomization", Name: "by-tag", Variable: "VERSION", Value: "1.2.0"},
		}
	})
	d := Decide(o)
	if d.Rule != "restoreTargets" {
		t.Errorf("%s decides: %v", d.Rule, says(d))
	}
}
