package release

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// digests gives the known releases, in their order, and what the ImagePolicy selects their digests.
func digests(contents ...string) edit {
	return func(o *Observation) {
		for i, c := range contents {
			o.Status.AvailableReleases[i].Digest = digest(c)
		}
		o.Policy.Digest = digest(contents[len(contents)-1])
	}
}

// content gives deployments of the history, the newest first, their digests.
func content(contents ...string) edit {
	return func(o *Observation) {
		for i, c := range contents {
			o.Status.History[i].Version.Digest = digest(c)
		}
	}
}

func takes(f version.Form) edit { return target(func(t *Target) { t.Form = f }) }

func carries(value string) edit { return target(func(t *Target) { t.Value = value }) }

// notAsked is a target that nothing has handed the newest deployment to.
func notAsked(value string) edit {
	return target(func(t *Target) { t.Value, t.Asked, t.Reached, t.Applied = value, false, false, false })
}

// TestMovedTag: the tag that runs was pushed again.
func TestMovedTag(t *testing.T) {
	moved := func(edits ...edit) Observation {
		return given(append([]edit{known("1.1.0", "1.1.0"), digests("a", "b"), content("a")}, edits...)...)
	}
	byHand := func(o *Observation) {
		o.Status.History = append([]v1alpha1.DeploymentHistoryEntry{entry(2, "1.2.0", v1alpha1.BakeDeploying)}, o.Status.History...)
		o.Status.History[0].InterruptedTime = ceil(now)
		notAsked("1.1.0")(o)
	}
	held := func(o *Observation) {
		forced := entry(2, "1.1.0", v1alpha1.BakeDeploying)
		forced.Cause, forced.InterruptedTime = v1alpha1.CauseForceDeploy, ceil(now)
		o.Status.History = append([]v1alpha1.DeploymentHistoryEntry{forced}, o.Status.History...)
		content("b", "a")(o)
		notAsked("1.1.0@" + digest("a"))(o)
	}
	waits := "waits for ImagePolicy images: TagMoved"
	check(t, map[string]decision{
		"the tag alone":    {"Flux would change nothing", moved(), []string{"rest", waits}},
		"no target at all": {"nothing identifies the content", moved(func(o *Observation) { o.Targets = nil }), []string{"rest", waits}},
		"one of two": {"half of it would stay as it is", moved(carries("1.1.0@"+digest("a")), takes(version.FormTagDigest), func(o *Observation) {
			o.Targets = append(o.Targets, Target{Kind: "Kustomization", Name: "b", Value: "1.1.0", Asked: true, Applied: true})
		}), []string{"rest", waits}},
		"tag@digest":         {"Flux is handed the digest", moved(takes(version.FormTagDigest), carries("1.1.0@"+digest("a"))), []string{"deployNext", "record 2 1.1.0 Automatic"}},
		"the digest":         {"alone does as well", moved(takes(version.FormDigest), carries(digest("a"))), []string{"deployNext", "record 2 1.1.0 Automatic"}},
		"of the repository":  {"source-controller says which digest it fetched", moved(target(func(t *Target) { t.Verified = true })), []string{"deployNext", "record 2 1.1.0 Automatic"}},
		"by force":           {"a person cannot do it either", moved(annotation(v1alpha1.AnnotationForceDeploy, "1.1.0")), []string{"forceDeploy", "use force-deploy"}},
		"by force, held":     {"the target takes the tag", moved(held, takes(version.FormTag), carries("1.1.0")), []string{"holdUnreleasable", waits}},
		"by force, released": {"the target takes the digest again: nothing is put back first", moved(held, takes(version.FormTagDigest)), []string{"holdUnreleasable", "amend 2 Deploying"}},
		"by a pin": {"the tag is what runs", moved(known("1.1.0", "1.1.0", "1.2.0"), digests("a", "b", "c"), content("a"), byHand, pinned("1.1.0")),
			[]string{"followPin", "amend 2 Cancelled", "record 3 1.1.0 Pin"}},
	})
	pin := Decide(moved(known("1.1.0", "1.1.0", "1.2.0"), digests("a", "b", "c"), content("a"), byHand, pinned("1.1.0")))
	for _, a := range pin.Actions {
		if r, ok := a.(Record); ok && r.Entry.Version.Digest != digest("a") {
			t.Errorf("the pin is recorded as %v, and Flux goes on with what it has", r.Entry.Version)
		}
	}
	message := Decide(moved()).Blocked[0]
	for _, want := range []string{digest("a"), digest("b"), v1alpha1.AnnotationRef, v1alpha1.AnnotationSubstituteValueSuffix + ": tag@digest"} {
		if !strings.Contains(message.Message+message.ClearedBy, want) {
			t.Errorf("%+v does not name %s", message, want)
		}
	}
}

// TestOutdatedRelease: the tag of a release stands for something else by now.
func TestOutdatedRelease(t *testing.T) {
	waiting := func(edits ...edit) Observation {
		return given(append([]edit{known("1.1.0", "1.2.0", "1.2.0"), digests("a", "b", "c"), content("a")}, edits...)...)
	}
	every := spec(func(s *v1alpha1.RolloutSpec) { s.Selection = v1alpha1.SelectEvery })
	recorded := func(o *Observation) {
		history(entry(2, "1.2.0", v1alpha1.BakeDeploying))(o)
		content("b", "a")(o)
		notAsked("1.1.0")(o)
	}
	back := func(o *Observation) {
		known("1.1.0", "1.1.0", "1.2.0")(o)
		digests("a", "b", "c")(o)
		history(entry(2, "1.2.0", v1alpha1.BakeFailed))(o)
		content("c", "a")(o)
		o.Spec.OnFailure = v1alpha1.OnFailureRollback
		quarantined("1.2.0")(o)
	}
	for name, tc := range map[string]struct {
		reason string
		in     Observation
		want   []string // what is recorded, by digest
	}{
		"waiting":                      {"the tag would hand over the other", waiting(every), []string{"1.2.0 c"}},
		"waiting, by digest":           {"it can still be deployed", waiting(every, takes(version.FormTagDigest), carries("1.1.0@"+digest("a"))), []string{"1.2.0 b"}},
		"of the repository":            {"the registry serves it no more", waiting(every, target(func(t *Target) { t.Verified = true })), []string{"1.2.0 c"}},
		"recorded":                     {"it is replaced before it is handed over", waiting(recorded), []string{"1.2.0 c"}},
		"recorded, nothing else":       {"it is held", waiting(recorded, gates(shut("g"))), nil},
		"pushed back":                  {"the ImagePolicy says what the tag is now", waiting(every, func(o *Observation) { o.Policy.Digest = digest("b") }), []string{"1.2.0 b"}},
		"to be rolled back to":         {"the tag would hand over what never ran", given(back), nil},
		"to be rolled back to, digest": {"by its digest it can", given(back, takes(version.FormDigest), carries(digest("c"))), []string{"1.1.0 a"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(tc.in)
			var got []string
			for _, a := range d.Actions {
				switch a := a.(type) {
				case Record:
					for _, c := range []string{"a", "b", "c"} {
						if a.Entry.Version.Digest == digest(c) {
							got = append(got, a.Entry.Version.Tag+" "+c)
						}
					}
				case Pin:
					t.Errorf("%s, and it is handed over", tc.reason)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got), by %s:\n%s", tc.reason, d.Rule, diff)
			}
			if tc.want == nil && len(d.Blocked) == 0 {
				t.Error("nothing says why")
			}
		})
	}
	ro := &v1alpha1.Rollout{Status: Project(waiting(gates(shut("g"))), Decide(waiting(gates(shut("g")))), nil)}
	for content, want := range map[string]v1alpha1.ReleasePhase{"b": v1alpha1.ReleaseSuperseded, "c": v1alpha1.ReleasePending} {
		rel := &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: "1.2.0", Digest: digest(content)}}}
		st := StatusOf(ro, rel)
		if st.Phase != want || want == v1alpha1.ReleaseSuperseded && (!strings.Contains(st.Message, digest("b")) || !strings.Contains(st.Message, digest("c"))) {
			t.Errorf("1.2.0 %s is %s: %s", content, st.Phase, st.Message)
		}
	}
}

// TestDigestIsHandedOver in the form that each target takes.
func TestDigestIsHandedOver(t *testing.T) {
	check(t, map[string]decision{
		"the annotation came later": {"the same deployment is handed over anew", given(known("1.1.0"), digests("a"), content("a"), takes(version.FormTagDigest)),
			[]string{"pinTargets", "pin 1.1.0 u/1/0"}},
		"changed by hand": {"that is drift", given(known("1.1.0"), digests("a"), content("a"), takes(version.FormTagDigest), carries("1.1.0@"+digest("b"))),
			[]string{"pinTargets", "pin 1.1.0 u/1/0 drift"}},
		"no digest is known":    {"it waits for one", given(takes(version.FormDigest), carries("x")), []string{"rest", "waits for Kustomization app: NoDigest"}},
		"nor of what is forced": {"the person is told", given(takes(version.FormDigest), carries("x"), deploying(because(v1alpha1.CauseForceDeploy)), notAsked("x")), []string{"awaitTargets", "waits for Kustomization app: NoDigest"}},
	})
}
