package gate

import (
	"strings"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

func named(name string) func(*Approval) { return func(a *Approval) { a.Name = name } }

func TestCountApproval(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	managers := &v1alpha1.ApprovalPolicy{From: &v1alpha1.Approvers{Groups: []string{"managers"}}, AllowAuthor: true}
	for name, tc := range map[string]struct {
		spec     v1alpha1.RolloutGateSpec
		approval Approval
		others   []Approval
		c        Context
		// The expected result. until is zero unless the Approval expires.
		reason, message string
		until           time.Time
	}{
		"an empty gate counts an approval": {approval: approvedBy("ann"), reason: ReasonCounted},
		"an approval that expires": {
			spec:     v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			approval: approvedBy("ann"), reason: ReasonCounted, until: morning.Add(59 * time.Minute),
		},
		"a rejection does not expire": {
			spec:     v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			approval: approvedBy("ann", rejects), reason: ReasonCounted,
		},
		"expired": {
			spec:     v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			approval: approvedBy("ann", ago(2*time.Hour)), reason: ReasonNotCounted, message: "ann's Approval has expired after 1h; approve again",
		},
		"without the group": {
			spec: v1alpha1.RolloutGateSpec{Approvals: managers}, approval: approvedBy("ann"),
			reason: ReasonNotCounted, message: "ann's Approval names no group; add groups: [managers]",
		},
		"another person": {
			spec:     v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{From: &v1alpha1.Approvers{Users: []string{"bob"}}, AllowAuthor: true}},
			approval: approvedBy("ann"), reason: ReasonNotCounted, message: "the gate does not ask for ann",
		},
		"the author": {
			spec: v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}}, approval: approvedBy("ann"), c: Context{Authors: readBy("Ann")},
			reason: ReasonNotCounted, message: "ann made the release and may not approve it",
		},
		"before the image is read": {
			spec: v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}}, approval: approvedBy("ann"),
			reason: ReasonAuthorUnknown, message: "approvals are not counted: the image was not read yet",
		},
		"users are not verified": {
			approval: approvedBy("ann"), c: Context{UnverifiedReason: "the policy is not in force"},
			reason: ReasonUnverified, message: "approvals are not counted: the policy is not in force",
		},
		"older than the policy": {approval: approvedBy("ann", untrusted), reason: ReasonNotCounted, message: "ann's Approval does not count: it is too old"},
		"a later rejection": {
			approval: approvedBy("ann"), others: []Approval{approvedBy("ann", rejects, named("later"), ago(time.Second))},
			reason: ReasonReplaced, message: "ann has created another Approval of 1.1.0, and only the last one counts",
		},
		"an earlier rejection": {approval: approvedBy("ann"), others: []Approval{approvedBy("ann", rejects, named("before"), ago(time.Hour))}, reason: ReasonCounted},
		"a later one for another gate": {
			approval: approvedBy("ann"), others: []Approval{approvedBy("ann", rejects, named("later"), ago(time.Second), atGate("other"))}, reason: ReasonCounted,
		},
		"a later one that does not count": {
			spec: v1alpha1.RolloutGateSpec{Approvals: managers}, approval: approvedBy("ann", inGroup("managers")),
			others: []Approval{approvedBy("ann", named("later"), ago(time.Second))}, reason: ReasonCounted,
		},
		"a closed gate": {
			spec: v1alpha1.RolloutGateSpec{Passing: &no, Approvals: managers}, approval: approvedBy("ann"),
			reason: ReasonCountsNone, message: "closed for every release (spec.passing is false)",
		},
		"an open gate": {spec: v1alpha1.RolloutGateSpec{Passing: &yes}, approval: approvedBy("ann"), reason: ReasonCountsNone, message: "open for every release"},
		"a list alone": {
			spec: v1alpha1.RolloutGateSpec{AllowedVersions: &[]string{"1.0.0"}}, approval: approvedBy("ann"),
			reason: ReasonCountsNone, message: "opens for the listed versions only",
		},
		"a list beside approvals": {
			spec:     v1alpha1.RolloutGateSpec{AllowedVersions: &[]string{"1.0.0"}, Approvals: &v1alpha1.ApprovalPolicy{AllowAuthor: true}},
			approval: approvedBy("ann"), reason: ReasonCounted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &v1alpha1.RolloutGate{Spec: tc.spec}
			g.Name = "g"
			tc.approval.Name, tc.c.Now, tc.c.Approvals = "this", morning, append(tc.others, tc.approval)
			tc.c.Approvals[len(tc.others)].Name = "this"
			got := CountApproval(g, tc.approval, tc.c)
			if got.Reason != tc.reason || got.Counted != (tc.reason == ReasonCounted) || !strings.Contains(got.Message, tc.message) || !got.Until.Equal(tc.until) {
				t.Errorf("it is %+v", got)
			}
			if got.Counted != (got.Message == "") {
				t.Errorf("counted: %v, and it says %q", got.Counted, got.Message)
			}
		})
	}
}

// TestCountApprovalAgreesWithEvaluate checks that a single Approval opens or rejects exactly where it is counted.
func TestCountApprovalAgreesWithEvaluate(t *testing.T) {
	t.Parallel()
	g := &v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{
		From: &v1alpha1.Approvers{Groups: []string{"managers"}}, ExpireAfter: hour(),
	}}}
	edits := []func(*Approval){
		func(*Approval) {}, rejects, untrusted, inGroup("managers"), inGroup("others"), ago(2 * time.Hour), ago(time.Second), atGate("other"),
	}
	for i, first := range edits {
		for j, second := range edits {
			for k, third := range edits {
				a := approvedBy("ann", inGroup("managers"), first, second, third, named("a"))
				c := Context{Now: morning, Approvals: []Approval{a}, Authors: readBy("bob")}
				if a.Gate != "" {
					continue
				}
				v, n := Evaluate(g, candidate, c), CountApproval(g, a, c)
				if decided := v.Open() || v.Reason == ReasonRejected; decided != n.Counted {
					t.Errorf("edits %d, %d, %d: the gate is %s (%s), and the Approval is counted: %v (%s)", i, j, k, v.State, v.Reason, n.Counted, n.Message)
				}
			}
		}
	}
}
