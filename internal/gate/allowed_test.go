package gate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

func listing(entries ...string) *v1alpha1.RolloutGate {
	return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RolloutGateSpec{AllowedVersions: &entries}}
}

func bound(g *v1alpha1.RolloutGate, pairs ...string) *v1alpha1.RolloutGate {
	for i := 0; i < len(pairs); i += 2 {
		g.Status.AllowedVersions = append(g.Status.AllowedVersions, v1alpha1.AllowedVersion{Tag: pairs[i], Digest: pairs[i+1]})
	}
	return g
}

func TestAllowedVersions(t *testing.T) {
	t.Parallel()
	message := "the gate lists 1.2.0 for sha256:aaaaaaaaaaaa, the first digest of the tag; this release has sha256:bbbbbbbbbbbb"
	for name, tc := range map[string]struct {
		reason    string
		gate      *v1alpha1.RolloutGate
		digest    string
		want, why string
		clearedBy string
	}{
		"tag with its digest":          {"this digest is listed", listing("1.2.0@" + digestB), digestB, "open Allowed", "the gate lists 1.2.0", ""},
		"tag with another digest":      {"the tag was pushed again", listing("1.2.0@" + digestA), digestB, "closed OtherDigestAllowed", "the gate lists 1.2.0 for sha256:aaaaaaaaaaaa; this release has sha256:bbbbbbbbbbbb", "whoever adds 1.2.0@" + digestB},
		"both digests":                 {"one of them is this one", listing("1.2.0@"+digestA, "1.2.0@"+digestB), digestB, "open Allowed", "", ""},
		"tag, on record":               {"it stands for this digest", bound(listing("1.2.0"), "1.2.0", digestA), digestA, "open Allowed", "", ""},
		"tag, pushed again":            {"it stands for another digest", bound(listing("1.2.0"), "1.2.0", digestA), digestB, "closed OtherDigestAllowed", message, "whoever adds 1.2.0@" + digestB},
		"tag pushed again, and listed": {"a person has seen the new digest", bound(listing("1.2.0", "1.2.0@"+digestB), "1.2.0", digestA), digestB, "open Allowed", "", ""},
		"tag, not yet on record":       {"its digest is not recorded yet", listing("1.2.0"), digestA, "pending DigestNotRecorded", "the digest that it stands for is not recorded yet", "the controller of Kuberik"},
		"another tag on record":        {"only this tag counts", bound(listing("1.2.0", "1.1.0"), "1.1.0", digestA), digestA, "pending DigestNotRecorded", "", "the controller of Kuberik"},
		"tag, no digests":              {"the ImagePolicy reflects none", listing("1.2.0"), "", "open Allowed", "", ""},
		"tag on record, no digest":     {"it may be another digest", bound(listing("1.2.0"), "1.2.0", digestA), "", "closed OtherDigestAllowed", "this release has no digest on record", "whoever may edit"},
		"on record, not listed":        {"it was removed from the list", bound(listing("1.1.0"), "1.2.0", digestA), digestA, "closed NotAllowed", "does not list 1.2.0", "whoever may edit"},
		"longer tag with a digest":     {"it is another tag", listing("1.2.0-rc@" + digestA), digestA, "closed NotAllowed", "", "whoever may edit"},
		"nothing after the @":          {"it is not a digest", listing("1.2.0@"), "", "closed OtherDigestAllowed", "", "whoever may edit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Evaluate(tc.gate, v1alpha1.ReleaseIdentity{Tag: "1.2.0", Digest: tc.digest}, Context{})
			if got := string(v.State) + " " + v.Reason; got != tc.want || !strings.Contains(v.Message, tc.why) {
				t.Errorf("%s: it is %s: %s, want %s: %s", tc.reason, got, v.Message, tc.want, tc.why)
			}
			if !strings.Contains(v.ClearedBy, tc.clearedBy) || v.Open() != (v.ClearedBy == "") {
				t.Errorf("cleared by %q, want %q", v.ClearedBy, tc.clearedBy)
			}
			tc.gate.Spec.Class = "x.example.com" // a gate of another class needs both
			if also := Evaluate(tc.gate, v1alpha1.ReleaseIdentity{Tag: "1.2.0", Digest: tc.digest}, Context{}); also.Open() || !v.Open() && also.Reason != v.Reason {
				t.Errorf("of another class it is %s %s", also.State, also.Reason)
			}
		})
	}
}

// TestAllowedBesideApprovals checks that a listed tag that was pushed again waits for Approvals, and that the message says why.
func TestAllowedBesideApprovals(t *testing.T) {
	t.Parallel()
	g := bound(listing("1.2.0"), "1.2.0", digestA)
	g.Spec.Approvals = &v1alpha1.ApprovalPolicy{}
	v := Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.2.0", Digest: digestB}, Context{Authors: readBy("")})
	if v.Reason != ReasonAwaitingApproval || !strings.Contains(v.Message, "the gate lists 1.2.0 for sha256:aaaaaaaaaaaa") {
		t.Errorf("%+v", v)
	}
	v = Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.2.0", Digest: digestA}, Context{UnverifiedReason: "gone"})
	if v.Reason != ReasonAllowed {
		t.Errorf("%+v", v)
	}
}

func TestBindDigests(t *testing.T) {
	t.Parallel()
	known := func(pairs ...string) (list []v1alpha1.VersionInfo) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, v1alpha1.VersionInfo{Tag: pairs[i], Digest: pairs[i+1]})
		}
		return list
	}
	for name, tc := range map[string]struct {
		reason string
		gate   *v1alpha1.RolloutGate
		known  []v1alpha1.VersionInfo
		want   []string
	}{
		"no list":               {"there is nothing to record", &v1alpha1.RolloutGate{}, known("1.2.0", digestA), nil},
		"known":                 {"the known digest is recorded", listing("1.2.0"), known("1.1.0", digestB, "1.2.0", digestA), []string{"1.2.0", digestA}},
		"not known":             {"it was listed before it was pushed", listing("1.2.0"), known("1.1.0", digestB), nil},
		"known twice":           {"it may have been listed before the second push", listing("1.2.0"), known("1.2.0", digestA, "1.2.0", digestB), []string{"1.2.0", digestA}},
		"known without, then":   {"the first digest that is known", listing("1.2.0"), known("1.2.0", "", "1.2.0", digestB), []string{"1.2.0", digestB}},
		"no digest":             {"the ImagePolicy reflects none", listing("1.2.0"), known("1.2.0", ""), nil},
		"on record":             {"it stays, although the release was trimmed", bound(listing("1.2.0"), "1.2.0", digestA), known("1.2.0", digestB), []string{"1.2.0", digestA}},
		"listed twice":          {"it is recorded once", listing("1.2.0", "1.2.0"), known("1.2.0", digestA), []string{"1.2.0", digestA}},
		"with a digest":         {"nothing needs to be recorded", listing("1.2.0@" + digestA), known("1.2.0", digestB), nil},
		"removed from the list": {"its digest is removed", bound(listing("1.1.0"), "1.2.0", digestA), known("1.2.0", digestA), nil},
		"the list was removed":  {"its digest is removed", bound(&v1alpha1.RolloutGate{}, "1.2.0", digestA), known("1.2.0", digestA), nil},
		"in the order of list":  {"the status must not change needlessly", listing("b", "a"), known("a", digestA, "b", digestB), []string{"b", digestB, "a", digestA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := bound(&v1alpha1.RolloutGate{}, tc.want...).Status.AllowedVersions
			if diff := cmp.Diff(want, BindDigests(tc.gate, tc.known)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
