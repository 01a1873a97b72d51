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
		spec   v1alpha1.RolloutGateSpec
		about  Approval
		others []Approval
		c      Context
		// reason and says are what is expected; until is zero unless the Approval ends.
		reason, says string
		until        time.Time
	}{
		"an empty gate counts it": {about: said("ann"), reason: ReasonCounted},
		"a gate that lasts": {
			spec:  v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			about: said("ann"), reason: ReasonCounted, until: morning.Add(59 * time.Minute),
		},
		"a rejection never ends": {
			spec:  v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			about: said("ann", rejects), reason: ReasonCounted,
		},
		"expired": {
			spec:  v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{ExpireAfter: hour(), AllowAuthor: true}},
			about: said("ann", ago(2*time.Hour)), reason: ReasonNotCounted, says: "ann's Approval has expired after 1h; approve again",
		},
		"without the group": {
			spec: v1alpha1.RolloutGateSpec{Approvals: managers}, about: said("ann"),
			reason: ReasonNotCounted, says: "ann's Approval names no group; add groups: [managers]",
		},
		"another person": {
			spec:  v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{From: &v1alpha1.Approvers{Users: []string{"bob"}}, AllowAuthor: true}},
			about: said("ann"), reason: ReasonNotCounted, says: "the gate does not ask for ann",
		},
		"the author": {
			spec: v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}}, about: said("ann"), c: Context{Authors: readBy("Ann")},
			reason: ReasonNotCounted, says: "ann made the release and may not approve it",
		},
		"before the image is read": {
			spec: v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}}, about: said("ann"),
			reason: ReasonAuthorUnknown, says: "approvals are not counted: the image was not read yet",
		},
		"nothing proves it": {
			about: said("ann"), c: Context{UnverifiedReason: "the policy is not in force"},
			reason: ReasonUnverified, says: "approvals are not counted: the policy is not in force",
		},
		"older than the policy": {about: said("ann", doubtful), reason: ReasonNotCounted, says: "ann's Approval does not count: it is too old"},
		"said otherwise later": {
			about: said("ann"), others: []Approval{said("ann", rejects, named("later"), ago(time.Second))},
			reason: ReasonReplaced, says: "ann has created another Approval of 1.1.0, and only the last one counts",
		},
		"said before": {about: said("ann"), others: []Approval{said("ann", rejects, named("before"), ago(time.Hour))}, reason: ReasonCounted},
		"a later one for another gate": {
			about: said("ann"), others: []Approval{said("ann", rejects, named("later"), ago(time.Second), atGate("other"))}, reason: ReasonCounted,
		},
		"a later one that does not count": {
			spec: v1alpha1.RolloutGateSpec{Approvals: managers}, about: said("ann", inGroup("managers")),
			others: []Approval{said("ann", named("later"), ago(time.Second))}, reason: ReasonCounted,
		},
		"a closed gate": {
			spec: v1alpha1.RolloutGateSpec{Passing: &no, Approvals: managers}, about: said("ann"),
			reason: ReasonCountsNone, says: "closed for every release (spec.passing is false)",
		},
		"an open gate": {spec: v1alpha1.RolloutGateSpec{Passing: &yes}, about: said("ann"), reason: ReasonCountsNone, says: "open for every release"},
		"a list alone": {
			spec: v1alpha1.RolloutGateSpec{AllowedVersions: &[]string{"1.0.0"}}, about: said("ann"),
			reason: ReasonCountsNone, says: "opens for the listed versions only",
		},
		"a list beside approvals": {
			spec:  v1alpha1.RolloutGateSpec{AllowedVersions: &[]string{"1.0.0"}, Approvals: &v1alpha1.ApprovalPolicy{AllowAuthor: true}},
			about: said("ann"), reason: ReasonCounted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &v1alpha1.RolloutGate{Spec: tc.spec}
			g.Name = "g"
			tc.about.Name, tc.c.Now, tc.c.Approvals = "this", morning, append(tc.others, tc.about)
			tc.c.Approvals[len(tc.others)].Name = "this"
			got := CountApproval(g, tc.about, tc.c)
			if got.Reason != tc.reason || got.Counted != (tc.reason == ReasonCounted) || !strings.Contains(got.Message, tc.says) || !got.Until.Equal(tc.until) {
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
		func(*Approval) {}, rejects, doubtful, inGroup("managers"), inGroup("others"), ago(2 * time.Hour), ago(time.Second), atGate("other"),
	}
	for i, first := range edits {
		for j, second := range edits {
			for k, third := range edits {
				a := said("ann", inGroup("managers"), first, second, third, named("a"))
				c := Context{Now: morning, Approvals: []Approval{a}, Authors: readBy("bob")}
				if a.Gate != "" {
					continue
				}
				v, n := Evaluate(g, asks, c), CountApproval(g, a, c)
				if decided := v.Open() || v.Reason == ReasonRejected; decided != n.Counted {
					t.Errorf("edits %d, %d, %d: the gate is %s (%s), and the Approval is counted: %v (%s)", i, j, k, v.State, v.Reason, n.Counted, n.Message)
				}
			}
		}
	}
}
