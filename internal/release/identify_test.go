package release

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

// reflected has the ImagePolicy report the digest of what it selects.
func reflected(c string) edit { return func(o *Observation) { o.Policy.Digest = digest(c) } }

// read is what the registry answered about a tag.
func read(tag, c string) edit {
	return func(o *Observation) {
		d := Details{Release: v1alpha1.ReleaseIdentity{Tag: tag}}
		d.Digest = digest(c)
		o.Details = append(o.Details, d)
	}
}

// byForce is a deployment that a person asked for and that no target carries.
func byForce(e *v1alpha1.DeploymentHistoryEntry) { e.Cause = v1alpha1.CauseForceDeploy }

// TestLateDigest: the ImagePolicy reports a digest later than the tag.
func TestLateDigest(t *testing.T) {
	exact := takes(version.FormTagDigest)
	force := annotation(v1alpha1.AnnotationForceDeploy, "1.2.0")
	check(t, map[string]decision{
		"a candidate":            {"it may go out now", given(exact, reflected("b")), []string{"deployNext", "identify 1.2.0", "record 2 1.2.0 Automatic"}},
		"not yet":                {"it has to wait", given(exact), []string{"rest", "waits for Kustomization app: NoDigest"}},
		"known by it already":    {"that is another push", given(exact, digests("a", "b"), reflected("c")), []string{"deployNext", "discover 1.2.0", "record 2 1.2.0 Automatic"}},
		"decided":                {"the record comes before Flux", given(deploying(), notAsked("1.1.0"), reflected("b")), []string{"identifyHead", "identify 1.2.0", "identify 1.2.0 head"}},
		"decided, then learned":  {"the deployment did not know it", given(deploying(), notAsked("1.1.0"), reflected("b"), digests("", "b")), []string{"identifyHead", "identify 1.2.0 head"}},
		"decided and kept":       {"its gate is asked about the content", given(deploying(withheldNow), notAsked("1.1.0"), reflected("b"), gates(shut("g"))), []string{"identifyHead", "identify 1.2.0", "identify 1.2.0 head"}},
		"handed over":            {"nobody knows what Flux pulled", given(deploying(), reflected("b"), reports(pending)), []string{"awaitChecks", "identify 1.2.0", "waits for HealthCheck check-0: CheckPending"}},
		"over":                   {"the record stays as it is", given(failing(), reflected("b")), []string{"blockAfterFailure", "identify 1.2.0", "waits for Rollout app: PreviousFailed"}},
		"an illegal digest":      {"it is no digest", given(func(o *Observation) { o.Policy.Digest = "md5:1" }), []string{"rest", "waits for ImagePolicy images: IllegalTag"}},
		"of the registry":        {"no person asks for it", given(exact, read("1.2.0", "b")), []string{"rest", "waits for Kustomization app: NoDigest"}},
		"of the registry, force": {"a person asks, and the target needs it", given(exact, read("1.2.0", "b"), force), []string{"forceDeploy", "identify 1.2.0", "use force-deploy", "record 2 1.2.0 ForceDeploy"}},
		"of the registry, tags":  {"nothing needs it", given(read("1.2.0", "b"), force), []string{"forceDeploy", "use force-deploy", "record 2 1.2.0 ForceDeploy"}},
		"of the registry, after": {"it answers when the deployment waits", given(exact, read("1.2.0", "b"), deploying(byForce), notAsked("1.1.0")), []string{"identifyHead", "identify 1.2.0 head"}},
	})
	pin := Decide(given(exact, pinned("9.9.9"), read("9.9.9", "c")))
	for _, a := range pin.Actions {
		if r, ok := a.(Record); ok && r.Entry.Version.Digest != digest("c") {
			t.Errorf("the pin is recorded as %v, and the registry knows the digest", r.Entry.Version)
		}
	}
}

func withheldNow(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }

// TestIdentify: the release keeps its place, and what was read of other content is forgotten.
func TestIdentify(t *testing.T) {
	revision := "abc"
	o := given(reflected("b"), read("1.2.0", "b"), history(entry(2, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CausePin), knowing("1.2.0"))))
	o.Status.AvailableReleases[1].Revision = &revision
	st := Project(o, Decide(o), nil)
	want := []v1alpha1.VersionInfo{{Tag: "1.1.0"}, {Tag: "1.2.0", Digest: digest("b"), Revision: &revision}}
	if diff := cmp.Diff(want, st.AvailableReleases); diff != "" {
		t.Errorf("the known releases (-want +got):\n%s", diff)
	}
	if got := st.History[0].NewestKnown; *got != version.Identity(want[1]) {
		t.Errorf("the person knew %v", *got)
	}
	o.Details = nil
	read("1.2.0", "e")(&o)
	if st := Project(o, Decide(o), nil); st.AvailableReleases[1].Revision != nil {
		t.Error("the revision of other content is kept")
	}
}

// TestApprovalOfATagSaysNothingOfItsDigest: what was approved had no digest, and its object goes.
func TestApprovalOfATagSaysNothingOfItsDigest(t *testing.T) {
	g := shut("g")
	o := given(gates(g), reflected("b"))
	o.Approvals = []gate.Approval{{Release: v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, User: "ann", Decision: v1alpha1.Approve, At: now}}
	if d := Decide(o); d.Rule != "holdOnGates" {
		t.Errorf("it goes on: %v", says(d))
	}
	if d := Decide(given(gates(g), func(p *Observation) { p.Approvals = o.Approvals })); d.Rule != "deployNext" {
		t.Errorf("the tag was approved, and does not go out: %v", says(d))
	}
	byTag, byDigest := v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, v1alpha1.ReleaseIdentity{Tag: "1.2.0", Digest: digest("b")}
	before := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Status: given(deploying()).Status}
	after := &v1alpha1.Rollout{ObjectMeta: before.ObjectMeta, Status: Project(o, Decide(o), nil)}
	deployed := &v1alpha1.Rollout{Status: given(deploying(), known("1.1.0"), content("b")).Status}
	for name, c := range map[string]struct {
		ro   *v1alpha1.Rollout
		id   v1alpha1.ReleaseIdentity
		want bool
	}{
		"the tag, before":      {before, byTag, true},
		"the tag, after":       {after, byTag, false},
		"the digest, after":    {after, byDigest, true},
		"another tag, after":   {after, v1alpha1.ReleaseIdentity{Tag: "1.1.0"}, true},
		"the tag, deployed":    {deployed, byTag, false},
		"the digest, deployed": {deployed, byDigest, true},
	} {
		if got := Retained(c.ro, c.id); got != c.want {
			t.Errorf("%s: retained is %t", name, got)
		}
	}
}
