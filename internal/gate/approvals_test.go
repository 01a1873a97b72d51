package gate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

var (
	morning   = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)
	candidate = v1alpha1.ReleaseIdentity{Tag: "1.1.0", Digest: "sha256:a"}
)

// approvedBy returns an Approval of the candidate that is a minute old.
func approvedBy(user string, edits ...func(*Approval)) Approval {
	a := Approval{Release: candidate, Decision: v1alpha1.Approve, User: user, At: morning.Add(-time.Minute)}
	for _, edit := range edits {
		edit(&a)
	}
	return a
}

func rejects(a *Approval) { a.Decision = v1alpha1.Reject }

func untrusted(a *Approval) { a.UntrustedReason = "it is too old" }

func inGroup(groups ...string) func(*Approval) { return func(a *Approval) { a.Groups = groups } }

func ago(d time.Duration) func(*Approval) { return func(a *Approval) { a.At = morning.Add(-d) } }

func atGate(name string) func(*Approval) { return func(a *Approval) { a.Gate = name } }

// readBy returns the authors of an image that was read.
func readBy(authors string) func(v1alpha1.ReleaseIdentity) (string, bool) {
	return func(v1alpha1.ReleaseIdentity) (string, bool) { return authors, true }
}

func hour() *v1alpha1.Duration {
	d := v1alpha1.Duration("1h")
	return &d
}

// approvalCase is a gate with Approvals and its expected verdict.
type approvalCase struct {
	reason string
	spec   v1alpha1.RolloutGateSpec
	c      Context
	state  v1alpha1.GateState
	why    string
	// message is a part of the message.
	message string
}

func (tc approvalCase) evaluate(t *testing.T) Verdict {
	t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: tc.spec}
	g.Status.AllowedVersions = BindDigests(g, []v1alpha1.VersionInfo{{Tag: candidate.Tag, Digest: candidate.Digest}})
	tc.c.Now = morning
	v := Evaluate(g, candidate, tc.c)
	if diff := gocmp.Diff([]string{string(tc.state), tc.why}, []string{string(v.State), v.Reason}); diff != "" {
		t.Errorf("%s (-want +got):\n%s%s", tc.reason, diff, v.Message)
	}
	if !strings.Contains(v.Message, tc.message) || v.Message == "" {
		t.Errorf("%s: the message is %q, without %q", tc.reason, v.Message, tc.message)
	}
	if v.Open() != (v.ClearedBy == "") {
		t.Errorf("a gate that is %s is cleared by %q", v.State, v.ClearedBy)
	}
	return v
}

func runCases(t *testing.T, cases map[string]approvalCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.evaluate(t)
		})
	}
}

const (
	open    = v1alpha1.GateOpen
	closed  = v1alpha1.GateClosed
	pending = v1alpha1.GatePending
)

func given(list ...Approval) Context { return Context{Approvals: list, Authors: readBy("")} }

func policy(edits ...func(*v1alpha1.ApprovalPolicy)) v1alpha1.RolloutGateSpec {
	p := &v1alpha1.ApprovalPolicy{Required: 1}
	for _, edit := range edits {
		edit(p)
	}
	return v1alpha1.RolloutGateSpec{Approvals: p}
}

func requires(n int32) func(*v1alpha1.ApprovalPolicy) {
	return func(p *v1alpha1.ApprovalPolicy) { p.Required = n }
}

func fromUsers(users ...string) func(*v1alpha1.ApprovalPolicy) {
	return func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{Users: users} }
}

func fromGroups(groups ...string) func(*v1alpha1.ApprovalPolicy) {
	return func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{Groups: groups} }
}

func expires(p *v1alpha1.ApprovalPolicy) { p.ExpireAfter = hour() }

func TestApprovalsOpenGateAtQuorum(t *testing.T) {
	t.Parallel()
	other := func(edit func(*v1alpha1.ReleaseIdentity)) func(*Approval) {
		return func(a *Approval) { edit(&a.Release) }
	}
	runCases(t, map[string]approvalCase{
		"nobody":              {"an empty spec waits for a person", v1alpha1.RolloutGateSpec{}, given(), pending, ReasonAwaitingApproval, "waits for approval of 1.1.0"},
		"one":                 {"anybody who may create Approvals may approve", v1alpha1.RolloutGateSpec{}, given(approvedBy("ann")), open, ReasonApproved, "1.1.0 is approved by ann"},
		"one, image unread":   {"an empty spec ignores authors", v1alpha1.RolloutGateSpec{}, Context{Approvals: []Approval{approvedBy("ann")}}, open, ReasonApproved, "by ann"},
		"required unset":      {"the default is 1", policy(requires(0)), given(approvedBy("ann")), open, ReasonApproved, "by ann"},
		"none of required 0":  {"0 means the default", policy(requires(0)), given(), pending, ReasonAwaitingApproval, ""},
		"required below 0":    {"the gate needs an Approval", policy(requires(-1)), given(), pending, ReasonAwaitingApproval, ""},
		"one of two":          {"a second Approval is missing", policy(requires(2)), given(approvedBy("ann")), pending, ReasonAwaitingApproval, "1 of 2 given (ann)"},
		"two of two":          {"the quorum is reached", policy(requires(2)), given(approvedBy("bob"), approvedBy("ann")), open, ReasonApproved, "by ann, bob"},
		"one, twice":          {"each person counts once", policy(requires(2)), given(approvedBy("ann"), approvedBy("ann", ago(time.Hour)), approvedBy("ann", atGate("g"))), pending, ReasonAwaitingApproval, "1 of 2"},
		"case of a name":      {"user names are case-sensitive", policy(fromUsers("ann")), given(approvedBy("Ann")), pending, ReasonAwaitingApproval, "the gate does not ask for Ann"},
		"listed by name":      {"", policy(fromUsers("bob", "ann")), given(approvedBy("ann")), open, ReasonApproved, "by ann"},
		"not listed":          {"another user is listed", policy(fromUsers("bob")), given(approvedBy("ann")), pending, ReasonAwaitingApproval, "the gate does not ask for ann"},
		"group named":         {"the admission policy verifies the group", policy(fromGroups("ops")), given(approvedBy("ann", inGroup("dev", "ops"))), open, ReasonApproved, "by ann"},
		"group not named":     {"the Approval has to name the group", policy(fromGroups("ops")), given(approvedBy("ann")), pending, ReasonAwaitingApproval, "ann's Approval names no group; add groups: [ops]"},
		"another group":       {"", policy(fromGroups("ops")), given(approvedBy("ann", inGroup("dev"))), pending, ReasonAwaitingApproval, "ann's Approval names groups: [dev], and the gate asks for members of ops"},
		"user named as group": {"a user is not a group", policy(fromGroups("ops")), given(approvedBy("ops")), pending, ReasonAwaitingApproval, "ops's Approval names no group; add groups: [ops]"},
		"group named as user": {"a group is not a user", policy(fromUsers("ann")), given(approvedBy("eve", inGroup("ann"))), pending, ReasonAwaitingApproval, "the gate does not ask for eve"},
		"user or group": {"either counts", policy(func(p *v1alpha1.ApprovalPolicy) {
			p.From = &v1alpha1.Approvers{Users: []string{"ann"}, Groups: []string{"ops"}}
		}, requires(2)), given(approvedBy("ann"), approvedBy("bob", inGroup("ops"))), open, ReasonApproved, "by ann, bob"},
		"empty list":              {"an empty list selects nobody", policy(func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{} }), given(approvedBy("ann")), pending, ReasonAwaitingApproval, "the gate does not ask for ann"},
		"for this gate":           {"", policy(), given(approvedBy("ann", atGate("g"))), open, ReasonApproved, "by ann"},
		"for another gate":        {"the Approval is for another gate", policy(), given(approvedBy("ann", atGate("h"))), pending, ReasonAwaitingApproval, ""},
		"for another digest":      {"the tag was moved", policy(), given(approvedBy("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Digest = "sha256:b" }))), pending, ReasonAwaitingApproval, ""},
		"for no digest":           {"the Approval does not identify the release", policy(), given(approvedBy("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Digest = "" }))), pending, ReasonAwaitingApproval, ""},
		"for another tag":         {"", policy(), given(approvedBy("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Tag = "1.1" }))), pending, ReasonAwaitingApproval, ""},
		"untrusted":               {"the user is not verified", policy(), given(approvedBy("ann", untrusted)), pending, ReasonAwaitingApproval, "ann's Approval does not count: it is too old"},
		"untrusted and trusted":   {"the newer Approval counts", policy(), given(approvedBy("ann", untrusted, ago(time.Hour)), approvedBy("ann")), open, ReasonApproved, "by ann"},
		"unverified":              {"no user is verified", policy(), Context{Approvals: []Approval{approvedBy("ann")}, Authors: readBy(""), UnverifiedReason: "the policy is gone"}, pending, ReasonUnverified, "approvals are not counted: the policy is gone"},
		"unverified, empty spec":  {"no user is verified", v1alpha1.RolloutGateSpec{}, Context{Approvals: []Approval{approvedBy("ann")}, UnverifiedReason: "the policy is gone"}, pending, ReasonUnverified, "the policy is gone"},
		"listed version":          {"spec.allowedVersions is an alternative", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{Required: 9}, AllowedVersions: &[]string{"1.1.0"}}, given(), open, ReasonAllowed, ""},
		"listed, unverified":      {"the list needs no verified users", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{"1.1.0"}}, Context{UnverifiedReason: "gone"}, open, ReasonAllowed, ""},
		"other version listed":    {"Approvals still count", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{"1.0.0"}}, given(approvedBy("ann")), open, ReasonApproved, "by ann"},
		"neither":                 {"", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{}}, given(), pending, ReasonAwaitingApproval, ""},
		"passing false":           {"it closes the gate in any case", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: new(bool)}, given(approvedBy("ann")), closed, ReasonNotPassing, "spec.passing is false"},
		"passing false, listed":   {"it closes the gate in any case", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: new(bool), AllowedVersions: &[]string{"1.1.0"}}, given(), closed, ReasonNotPassing, ""},
		"passing true":            {"the schema rejects it; Approvals are still needed", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: yes()}, given(), pending, ReasonAwaitingApproval, ""},
		"unknown decision":        {"only Approve approves", policy(), given(approvedBy("ann", func(a *Approval) { a.Decision = "approve" })), closed, ReasonRejected, "rejected by ann"},
		"no decision":             {"only Approve approves", policy(), given(approvedBy("ann", func(a *Approval) { a.Decision = "" })), closed, ReasonRejected, "rejected by ann"},
		"no decision, not listed": {"a user who is not listed cannot reject", policy(fromUsers("bob")), given(approvedBy("ann", func(a *Approval) { a.Decision = "" }), approvedBy("bob")), open, ReasonApproved, "by bob"},
		"three of two":            {"more than enough", policy(requires(2)), given(approvedBy("ann"), approvedBy("bob"), approvedBy("cem")), open, ReasonApproved, "by ann, bob, cem"},
	})
}

func yes() *bool {
	y := true
	return &y
}

func TestAuthorsMayNotApprove(t *testing.T) {
	t.Parallel()
	by := func(authors, user string) Context {
		return Context{Approvals: []Approval{approvedBy(user)}, Authors: readBy(authors)}
	}
	allow := func(p *v1alpha1.ApprovalPolicy) { p.AllowAuthor = true }
	runCases(t, map[string]approvalCase{
		"by name":              {"", policy(), by("ann", "ann"), pending, ReasonAwaitingApproval, "ann made the release and may not approve it"},
		"by address":           {"", policy(), by("Ann Lee <ann@example.com>", "ann@example.com"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"by full name":         {"", policy(), by("Ann Lee <ann@example.com>", "Ann Lee"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"by all of it":         {"", policy(), by("Ann Lee <ann@example.com>", "Ann Lee <ann@example.com>"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"in another case":      {"addresses are not case-sensitive", policy(), by("Ann <Ann@Example.com>", "ann@example.com"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"in a list":            {"", policy(), by("Bob <bob@example.com>,Ann <ann@example.com>", "ann@example.com"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"with spaces":          {"", policy(), by("  ann  , bob", "ann"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"address alone":        {"", policy(), by("<ann@example.com>", "ann@example.com"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"part of a name":       {"only whole names count", policy(), by("annabel", "ann"), open, ReasonApproved, ""},
		"nobody":               {"the image lists no authors", policy(), by("", "ann"), open, ReasonApproved, ""},
		"empty parts":          {"empty names match nobody", policy(), by(" , <>,", "ann"), open, ReasonApproved, ""},
		"allowed":              {"spec.approvals.allowAuthor is true", policy(allow), by("ann", "ann"), open, ReasonApproved, ""},
		"another":              {"somebody else made it", policy(), by("bob", "ann"), open, ReasonApproved, ""},
		"not read":             {"the user may be an author", policy(), Context{Approvals: []Approval{approvedBy("ann")}}, pending, ReasonAuthorUnknown, "the image was not read yet"},
		"of it unread":         {"", policy(), Context{Approvals: []Approval{approvedBy("ann")}, Authors: func(v1alpha1.ReleaseIdentity) (string, bool) { return "bob", false }}, pending, ReasonAuthorUnknown, ""},
		"not read, allowed":    {"authors may approve", policy(allow), Context{Approvals: []Approval{approvedBy("ann")}}, open, ReasonApproved, ""},
		"not read, unverified": {"this reason comes first", policy(), Context{UnverifiedReason: "gone"}, pending, ReasonUnverified, ""},
		"of an empty gate":     {"known authors may not approve there either", v1alpha1.RolloutGateSpec{}, by("ann", "ann"), pending, ReasonAwaitingApproval, "made the release and may not approve it"},
		"rejects":              {"authors may reject", policy(), Context{Approvals: []Approval{approvedBy("ann", rejects)}, Authors: readBy("ann")}, closed, ReasonRejected, "by ann"},
		"of two":               {"another Approval is missing", policy(requires(2)), Context{Approvals: []Approval{approvedBy("ann"), approvedBy("bob")}, Authors: readBy("ann")}, pending, ReasonAwaitingApproval, "1 of 2 given (bob)"},
	})
}

func TestRejectionClosesGate(t *testing.T) {
	t.Parallel()
	ops, eve := policy(fromGroups("ops"), requires(1)), inGroup("ops")
	runCases(t, map[string]approvalCase{
		"one":                          {"one is enough", policy(), given(approvedBy("ann"), approvedBy("bob"), approvedBy("cem", rejects)), closed, ReasonRejected, "1.1.0 is rejected by cem"},
		"then approved":                {"the newest decision counts", policy(), given(approvedBy("ann", rejects, ago(2*time.Minute)), approvedBy("ann")), open, ReasonApproved, ""},
		"after approving":              {"the newest decision counts", policy(), given(approvedBy("ann", ago(2*time.Minute)), approvedBy("ann", rejects)), closed, ReasonRejected, ""},
		"in the same second":           {"Reject counts", policy(), given(approvedBy("ann", rejects), approvedBy("ann")), closed, ReasonRejected, ""},
		"in the same second, swapped":  {"the order of the list does not matter", policy(), given(approvedBy("ann"), approvedBy("ann", rejects)), closed, ReasonRejected, ""},
		"not listed":                   {"only listed users may reject", policy(fromUsers("ann")), given(approvedBy("ann"), approvedBy("eve", rejects)), open, ReasonApproved, "the gate does not ask for eve"},
		"untrusted":                    {"it holds until it is deleted or created again", policy(), given(approvedBy("ann"), approvedBy("eve", rejects, untrusted)), pending, ReasonUnverified, "rejected in the name of eve"},
		"untrusted, not listed":        {"only listed users may reject", policy(fromUsers("ann")), given(approvedBy("ann"), approvedBy("eve", rejects, untrusted)), open, ReasonApproved, "eve's Approval does not count"},
		"untrusted, then approved":     {"the newest decision counts", policy(), given(approvedBy("eve", rejects, untrusted, ago(time.Hour)), approvedBy("eve")), open, ReasonApproved, "by eve"},
		"for another gate":             {"", policy(), given(approvedBy("ann"), approvedBy("bob", rejects, atGate("h"))), open, ReasonApproved, ""},
		"for all gates":                {"", policy(), given(approvedBy("ann", atGate("g")), approvedBy("bob", rejects)), closed, ReasonRejected, ""},
		"of another digest":            {"", policy(), given(approvedBy("ann"), approvedBy("bob", rejects, func(a *Approval) { a.Release.Digest = "sha256:b" })), open, ReasonApproved, ""},
		"older than an expiry":         {"rejections do not expire", policy(expires), given(approvedBy("ann"), approvedBy("bob", rejects, ago(48*time.Hour))), closed, ReasonRejected, ""},
		"unverified":                   {"the gate stays pending", policy(), Context{Approvals: []Approval{approvedBy("bob", rejects)}, UnverifiedReason: "gone"}, pending, ReasonUnverified, ""},
		"group forgotten in approving": {"an Approval that does not count does not replace a rejection", ops, given(approvedBy("ann", eve), approvedBy("bob", rejects, eve, ago(time.Hour)), approvedBy("bob")), closed, ReasonRejected, "by bob"},
		"group forgotten in rejecting": {"neither does a second rejection", ops, given(approvedBy("ann", eve), approvedBy("bob", rejects, eve, ago(time.Hour)), approvedBy("bob", rejects)), closed, ReasonRejected, "by bob"},
		"without the group":            {"a rejection withdraws the approval", ops, given(approvedBy("ann", eve, ago(time.Hour)), approvedBy("ann", rejects)), pending, ReasonAwaitingApproval, "ann's Approval names no group"},
		"approved again without it":    {"an Approval that does not count withdraws nothing", ops, given(approvedBy("ann", eve, ago(time.Hour)), approvedBy("ann")), open, ReasonApproved, ""},
		"group forgotten at first":     {"the newer Approval counts", ops, given(approvedBy("ann", ago(time.Hour)), approvedBy("ann", eve)), open, ReasonApproved, ""},
	})
}

func TestApprovalsExpire(t *testing.T) {
	t.Parallel()
	broken := v1alpha1.Duration("soon")
	at := func(d time.Duration) time.Time { return morning.Add(d) }
	for name, tc := range map[string]struct {
		approvalCase
		since, until time.Time
	}{
		"never":                 {approvalCase: approvalCase{"", policy(), given(approvedBy("ann", ago(time.Hour*9999))), open, ReasonApproved, ""}, since: at(-time.Hour * 9999)},
		"a second before":       {approvalCase: approvalCase{"", policy(expires), given(approvedBy("ann", ago(time.Hour-time.Second))), open, ReasonApproved, ""}, since: at(time.Second - time.Hour), until: at(time.Second)},
		"at the second":         {approvalCase: approvalCase{"an Approval counts for less than an hour", policy(expires), given(approvedBy("ann", ago(time.Hour))), pending, ReasonAwaitingApproval, "has expired after 1h; approve again"}},
		"afterwards":            {approvalCase: approvalCase{"", policy(expires), given(approvedBy("ann", ago(2*time.Hour))), pending, ReasonAwaitingApproval, "has expired after 1h; approve again"}},
		"renewed":               {approvalCase: approvalCase{"", policy(expires), given(approvedBy("ann", ago(2*time.Hour)), approvedBy("ann")), open, ReasonApproved, ""}, since: at(-time.Minute), until: at(59 * time.Minute)},
		"invalid":               {approvalCase: approvalCase{"an invalid duration expires immediately", policy(func(p *v1alpha1.ApprovalPolicy) { p.ExpireAfter = &broken }), given(approvedBy("ann", ago(0))), pending, ReasonAwaitingApproval, "has expired after soon; approve again"}},
		"of two, enough":        {approvalCase: approvalCase{"from the second Approval until the first expires", policy(expires, requires(2)), given(approvedBy("ann", ago(30*time.Minute)), approvedBy("bob", ago(10*time.Minute))), open, ReasonApproved, ""}, since: at(-10 * time.Minute), until: at(30 * time.Minute)},
		"of three, one to lose": {approvalCase: approvalCase{"until fewer than two count", policy(expires, requires(2)), given(approvedBy("cem", ago(5*time.Minute)), approvedBy("ann", ago(30*time.Minute)), approvedBy("bob", ago(10*time.Minute))), open, ReasonApproved, ""}, since: at(-10 * time.Minute), until: at(50 * time.Minute)},
		"of three, one lost":    {approvalCase: approvalCase{"", policy(expires, requires(2)), given(approvedBy("cem", ago(5*time.Minute)), approvedBy("ann", ago(time.Hour)), approvedBy("bob", ago(10*time.Minute))), open, ReasonApproved, "ann's Approval has expired after 1h; approve again"}, since: at(-5 * time.Minute), until: at(50 * time.Minute)},
		"rejected":              {approvalCase: approvalCase{"since the rejection", policy(expires), given(approvedBy("bob", rejects, ago(7*time.Minute))), closed, ReasonRejected, ""}, since: at(-7 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := tc.evaluate(t)
			if diff := gocmp.Diff([]time.Time{tc.since, tc.until}, []time.Time{v.Since, v.Until}); diff != "" {
				t.Errorf("since and until (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClearedByNamesApprovers(t *testing.T) {
	t.Parallel()
	or := ", or whoever may list the tag in spec.allowedVersions of the gate"
	for want, p := range map[string]v1alpha1.ApprovalPolicy{
		"whoever may create approvals" + or: {},
		"ann, bob" + or:                     {From: &v1alpha1.Approvers{Users: []string{"ann", "bob"}}},
		"members of ops, dev" + or:          {From: &v1alpha1.Approvers{Groups: []string{"ops", "dev"}}},
		"ann or members of ops" + or:        {From: &v1alpha1.Approvers{Users: []string{"ann"}, Groups: []string{"ops"}}},
	} {
		v := Evaluate(&v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{Approvals: &p}}, candidate, Context{Authors: readBy("")})
		if v.ClearedBy != want {
			t.Errorf("cleared by %q, not %q", v.ClearedBy, want)
		}
	}
}

// TestUncountedApprovalsOpenNoGate also checks that the order of Approvals does not matter.
func TestUncountedApprovalsOpenNoGate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := v1alpha1.ApprovalPolicy{Required: int32(r.IntN(4)), From: &v1alpha1.Approvers{Users: []string{"u0"}, Groups: []string{"ops"}}, AllowAuthor: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			p.ExpireAfter = hour()
		}
		g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RolloutGateSpec{Approvals: &p}}
		list := make([]Approval, r.IntN(9))
		for i := range list {
			list[i] = randomApproval(r)
		}
		evaluate := func(list []Approval) Verdict {
			return Evaluate(g, candidate, Context{Now: morning, Approvals: list, Authors: readBy("u1")})
		}
		before := evaluate(list)

		shuffled := slices.Clone(list)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := gocmp.Diff(before, evaluate(shuffled)); diff != "" {
			t.Fatalf("seed %d: the order matters (-before +after):\n%s%+v", seed, diff, list)
		}
		extra := randomApproval(r)
		if extra.User == "u0" || slices.Contains(extra.Groups, "ops") {
			extra.UntrustedReason = "it is not verified"
		}
		if after := evaluate(append(slices.Clone(list), extra)); after.Open() && !before.Open() {
			t.Fatalf("seed %d: %+v opened the gate: %+v\nafter %+v", seed, extra, after, list)
		}
		if !before.Open() && (before.Message == "" || before.ClearedBy == "") {
			t.Fatalf("seed %d: no message or nobody to clear it: %+v", seed, before)
		}
	}
}

// randomApproval returns an Approval with random fields.
func randomApproval(r *rand.Rand) Approval {
	a := approvedBy(fmt.Sprintf("u%d", r.IntN(4)), ago(time.Duration(r.IntN(5))*20*time.Minute))
	if r.IntN(4) == 0 {
		rejects(&a)
	}
	a.Groups = [][]string{nil, {"dev"}, {"ops"}, {"dev", "ops"}}[r.IntN(4)]
	a.UntrustedReason = []string{"", "", "", "it is too old", "another"}[r.IntN(5)]
	a.Gate = []string{"", "", "g", "h"}[r.IntN(4)]
	if r.IntN(8) == 0 {
		a.Release.Digest = "sha256:b"
	}
	return a
}

// TestVerdictsOfOtherClasses covers gates whose controllers write verdicts.
func TestVerdictsOfOtherClasses(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: morning.Add(d)} }
	verdict := func(until *metav1.Time, edits ...func(*v1alpha1.GateVerdict)) v1alpha1.GateVerdict {
		v := v1alpha1.GateVerdict{Release: candidate.Tag, Digest: candidate.Digest, State: open, Reason: "Yes", Message: "allowed", Until: until}
		for _, edit := range edits {
			edit(&v)
		}
		return v
	}
	no := func(v *v1alpha1.GateVerdict) { v.State, v.Reason, v.Message = closed, "No", "" }
	for _, class := range []string{v1alpha1.GateClassHTTP, v1alpha1.GateClassEnvironment, "example.com/scanner"} {
		for name, tc := range map[string]struct {
			verdict  v1alpha1.GateVerdict
			observed int64
			state    v1alpha1.GateState
			why      string
		}{
			"no expiry":              {verdict(nil), 3, open, "Yes"},
			"a second before":        {verdict(at(time.Second)), 3, open, "Yes"},
			"at the second":          {verdict(at(0)), 3, pending, ReasonVerdictExpired},
			"over":                   {verdict(at(-time.Hour)), 3, pending, ReasonVerdictExpired},
			"expired, closed":        {verdict(at(-time.Hour), no), 3, closed, "No"},
			"closed, no message":     {verdict(nil, no), 3, closed, "No"},
			"for an old generation":  {verdict(at(time.Hour)), 2, closed, ReasonNoVerdict},
			"for a later generation": {verdict(at(time.Hour)), 4, closed, ReasonNoVerdict},
			"for another digest":     {verdict(nil, func(v *v1alpha1.GateVerdict) { v.Digest = "sha256:b" }), 3, closed, ReasonNoVerdict},
			"Approvals do not count": {verdict(nil, no), 3, closed, "No"},
		} {
			t.Run(class+" "+name, func(t *testing.T) {
				g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g", Generation: 3}, Spec: v1alpha1.RolloutGateSpec{Class: class}, Status: v1alpha1.RolloutGateStatus{
					ObservedGeneration: tc.observed, Verdicts: []v1alpha1.GateVerdict{tc.verdict},
				}}
				v := Evaluate(g, candidate, Context{Now: morning, Approvals: []Approval{approvedBy("ann")}})
				if v.State != tc.state || v.Reason != tc.why {
					t.Errorf("it is %+v", v)
				}
				if v.Message == "" || v.ClearedBy == "" && !v.Open() {
					t.Errorf("it does not say why, or who clears it: %+v", v)
				}
			})
		}
	}
}

// TestClosedListsGatesForPeopleLast: nobody needs to approve a release that another gate holds.
func TestClosedListsGatesForPeopleLast(t *testing.T) {
	t.Parallel()
	named := func(name string, spec v1alpha1.RolloutGateSpec) *v1alpha1.RolloutGate {
		return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	}
	set := Set{Context: given(), Gates: []*v1alpha1.RolloutGate{
		named("a-people", policy()), named("b-calendar", v1alpha1.RolloutGateSpec{HTTP: &v1alpha1.HTTPGate{}}), named("c-open", v1alpha1.RolloutGateSpec{Passing: yes()}),
		named("d-people", v1alpha1.RolloutGateSpec{}), named("e-freeze", v1alpha1.RolloutGateSpec{Passing: new(bool)}),
	}}
	names := func() (list []string) {
		for _, v := range set.Closed(candidate) {
			list = append(list, v.Gate)
		}
		return list
	}
	if diff := gocmp.Diff([]string{"b-calendar", "e-freeze", "a-people", "d-people"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	set.Approvals = []Approval{approvedBy("ann", rejects, atGate("d-people"))}
	if diff := gocmp.Diff([]string{"b-calendar", "d-people", "e-freeze", "a-people"}, names()); diff != "" {
		t.Errorf("a rejection is listed with the other gates (-want +got):\n%s", diff)
	}
}

func TestIsScheduled(t *testing.T) {
	t.Parallel()
	owned := func(kind string, controls bool) *v1alpha1.RolloutGate {
		return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: "s", Controller: &controls}}}}
	}
	for kind, want := range map[string]bool{"RolloutSchedule": true, "ClusterRolloutSchedule": true, "Environment": false, "Rollout": false} {
		if IsScheduled(owned(kind, true)) != want || IsScheduled(owned(kind, false)) {
			t.Errorf("a gate of a %s", kind)
		}
	}
	if IsScheduled(&v1alpha1.RolloutGate{}) {
		t.Error("a gate without an owner belongs to no schedule")
	}
}

// TestWeight checks that rejections come last within a second.
func TestWeight(t *testing.T) {
	t.Parallel()
	p := *policy(fromUsers("ann")).Approvals
	list := []Approval{approvedBy("eve"), approvedBy("ann"), approvedBy("eve", rejects), approvedBy("ann", rejects)}
	if !slices.IsSortedFunc(list, func(a, b Approval) int { return cmp.Compare(weight(p, a), weight(p, b)) }) {
		t.Error("the list is not in the order of weight")
	}
}

// TestServiceAccountsCountWhereTheyAreNamed: a person may control many service accounts.
func TestServiceAccountsCountWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	const bot = "system:serviceaccount:shop:release-bot"
	groups := inGroup("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated", "bots")
	fromGroups := func(groups ...string) func(*v1alpha1.ApprovalPolicy) {
		return func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{Groups: groups} }
	}
	const refused = bot + "'s Approval does not count: a service account counts only where spec.approvals.from names it"
	runCases(t, map[string]approvalCase{
		"anybody":          {"a service account may belong to the same person", policy(requires(2)), given(approvedBy("ann"), approvedBy(bot, groups)), pending, ReasonAwaitingApproval, "1 of 2 given (ann)"},
		"nobody is named":  {"only people count by default", policy(), given(approvedBy(bot, groups)), pending, ReasonAwaitingApproval, refused},
		"an empty gate":    {"only people count by default", v1alpha1.RolloutGateSpec{}, given(approvedBy(bot, groups)), pending, ReasonAwaitingApproval, refused},
		"rejects":          {"it cannot reject either", policy(), given(approvedBy(bot, groups, rejects), approvedBy("ann")), open, ReasonApproved, ""},
		"named":            {"it is listed by name", policy(fromUsers(bot)), given(approvedBy(bot)), open, ReasonApproved, ""},
		"of a group":       {"it is listed by a group that is not built in", policy(fromGroups("bots")), given(approvedBy(bot, groups)), open, ReasonApproved, ""},
		"of every account": {"every service account is in it", policy(fromGroups("system:serviceaccounts:shop", "system:authenticated")), given(approvedBy(bot, groups)), pending, ReasonAwaitingApproval, refused},
		"a person of it":   {"people are in this group too", policy(fromGroups("system:authenticated")), given(approvedBy("ann", groups)), open, ReasonApproved, ""},
	})
}

func TestTruncatedAuthors(t *testing.T) {
	t.Parallel()
	c := given(approvedBy("zoe"))
	c.Authors = readBy("Ann, Bob, …")
	runCases(t, map[string]approvalCase{
		"cut":     {"the user may be an author", policy(), c, pending, ReasonAuthorUnknown, "the image lists more authors than are read (128 bytes)"},
		"allowed": {"authors may approve", policy(func(p *v1alpha1.ApprovalPolicy) { p.AllowAuthor = true }), c, open, ReasonApproved, ""},
	})
}

// A reference with the UID of an Environment and another kind would open a gate by hand that counts as the Environment's.
func TestOwnedByNeedsKindAndName(t *testing.T) {
	t.Parallel()
	owned := func(kind, name string, controls bool) *v1alpha1.RolloutGate {
		return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: name, UID: "u", Controller: &controls}},
		}}
	}
	for what, c := range map[string]struct {
		g    *v1alpha1.RolloutGate
		want bool
	}{
		"its gate":     {owned("Environment", "production", true), true},
		"another kind": {owned("Foo", "production", true), false},
		"another name": {owned("Environment", "y", true), false},
		"no control":   {owned("Environment", "production", false), false},
		"no owner":     {&v1alpha1.RolloutGate{}, false},
	} {
		if got := OwnedBy(c.g, "Environment", "production", "u"); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
