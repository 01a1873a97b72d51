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
	morning = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)
	asks    = v1alpha1.ReleaseIdentity{Tag: "1.1.0", Digest: "sha256:a"}
)

// said is an approval of the release, a minute ago.
func said(user string, edits ...func(*Approval)) Approval {
	a := Approval{Release: asks, Decision: v1alpha1.Approve, User: user, At: morning.Add(-time.Minute)}
	for _, edit := range edits {
		edit(&a)
	}
	return a
}

func rejects(a *Approval) { a.Decision = v1alpha1.Reject }

func doubtful(a *Approval) { a.UntrustedReason = "it is too old" }

func inGroup(groups ...string) func(*Approval) { return func(a *Approval) { a.Groups = groups } }

func ago(d time.Duration) func(*Approval) { return func(a *Approval) { a.At = morning.Add(-d) } }

func atGate(name string) func(*Approval) { return func(a *Approval) { a.Gate = name } }

// readBy says that the image was read, and who made it.
func readBy(authors string) func(v1alpha1.ReleaseIdentity) (string, bool) {
	return func(v1alpha1.ReleaseIdentity) (string, bool) { return authors, true }
}

func hour() *v1alpha1.Duration {
	d := v1alpha1.Duration("1h")
	return &d
}

// vote is one case: what was said at a gate, and what the gate makes of it.
type vote struct {
	reason string
	spec   v1alpha1.RolloutGateSpec
	c      Context
	state  v1alpha1.GateState
	why    string
	// says is a part of the message.
	says string
}

func (tc vote) judge(t *testing.T) Verdict {
	t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: tc.spec}
	g.Status.AllowedVersions = BindDigests(g, []v1alpha1.VersionInfo{{Tag: asks.Tag, Digest: asks.Digest}})
	tc.c.Now = morning
	v := Evaluate(g, asks, tc.c)
	if diff := gocmp.Diff([]string{string(tc.state), tc.why}, []string{string(v.State), v.Reason}); diff != "" {
		t.Errorf("%s (-want +got):\n%s%s", tc.reason, diff, v.Message)
	}
	if !strings.Contains(v.Message, tc.says) || v.Message == "" {
		t.Errorf("%s: the message is %q, without %q", tc.reason, v.Message, tc.says)
	}
	if v.Open() != (v.ClearedBy == "") {
		t.Errorf("a gate that is %s is cleared by %q", v.State, v.ClearedBy)
	}
	return v
}

func votes(t *testing.T, cases map[string]vote) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.judge(t)
		})
	}
}

const (
	open    = v1alpha1.GateOpen
	closing = v1alpha1.GateClosed
	waits   = v1alpha1.GatePending
)

func words(list ...Approval) Context { return Context{Approvals: list, Authors: readBy("")} }

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

func TestQuorum(t *testing.T) {
	t.Parallel()
	other := func(edit func(*v1alpha1.ReleaseIdentity)) func(*Approval) {
		return func(a *Approval) { edit(&a.Release) }
	}
	votes(t, map[string]vote{
		"nobody":             {"a gate that says nothing waits for a person", v1alpha1.RolloutGateSpec{}, words(), waits, ReasonAwaitingApproval, "waits for approval of 1.1.0"},
		"one":                {"anybody who may create approvals", v1alpha1.RolloutGateSpec{}, words(said("ann")), open, ReasonApproved, "1.1.0 is approved by ann"},
		"one, image unread":  {"a gate that asks for nothing does not ask for authors", v1alpha1.RolloutGateSpec{}, Context{Approvals: []Approval{said("ann")}}, open, ReasonApproved, "by ann"},
		"required unset":     {"is one", policy(requires(0)), words(said("ann")), open, ReasonApproved, "by ann"},
		"none of required 0": {"is not none", policy(requires(0)), words(), waits, ReasonAwaitingApproval, ""},
		"required below 0":   {"opens nothing by itself", policy(requires(-1)), words(), waits, ReasonAwaitingApproval, ""},
		"one of two":         {"one is not two", policy(requires(2)), words(said("ann")), waits, ReasonAwaitingApproval, "1 of 2 given (ann)"},
		"two of two":         {"two are", policy(requires(2)), words(said("bob"), said("ann")), open, ReasonApproved, "by ann, bob"},
		"one, twice":         {"people are counted, not words", policy(requires(2)), words(said("ann"), said("ann", ago(time.Hour)), said("ann", atGate("g"))), waits, ReasonAwaitingApproval, "1 of 2"},
		"case of a name":     {"the API server knows two users", policy(fromUsers("ann")), words(said("Ann")), waits, ReasonAwaitingApproval, "the gate does not ask for Ann"},
		"asked by name":      {"", policy(fromUsers("bob", "ann")), words(said("ann")), open, ReasonApproved, "by ann"},
		"not asked":          {"another was asked", policy(fromUsers("bob")), words(said("ann")), waits, ReasonAwaitingApproval, "the gate does not ask for ann"},
		"group named":        {"the API server says that she is in it", policy(fromGroups("ops")), words(said("ann", inGroup("dev", "ops"))), open, ReasonApproved, "by ann"},
		"group not named":    {"nobody knows that she is in it", policy(fromGroups("ops")), words(said("ann")), waits, ReasonAwaitingApproval, "ann's Approval names no group; add groups: [ops]"},
		"another group":      {"", policy(fromGroups("ops")), words(said("ann", inGroup("dev"))), waits, ReasonAwaitingApproval, "ann's Approval names groups: [dev], and the gate asks for members of ops"},
		"called as a group":  {"a user is no group", policy(fromGroups("ops")), words(said("ops")), waits, ReasonAwaitingApproval, "ops's Approval names no group; add groups: [ops]"},
		"grouped as a user":  {"a group is no user", policy(fromUsers("ann")), words(said("eve", inGroup("ann"))), waits, ReasonAwaitingApproval, "the gate does not ask for eve"},
		"user or group": {"either will do", policy(func(p *v1alpha1.ApprovalPolicy) {
			p.From = &v1alpha1.Approvers{Users: []string{"ann"}, Groups: []string{"ops"}}
		}, requires(2)), words(said("ann"), said("bob", inGroup("ops"))), open, ReasonApproved, "by ann, bob"},
		"asks nobody":            {"a list without names lists nobody", policy(func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{} }), words(said("ann")), waits, ReasonAwaitingApproval, "the gate does not ask for ann"},
		"for this gate":          {"", policy(), words(said("ann", atGate("g"))), open, ReasonApproved, "by ann"},
		"for another gate":       {"she decided about that one", policy(), words(said("ann", atGate("h"))), waits, ReasonAwaitingApproval, ""},
		"for another digest":     {"the tag was moved", policy(), words(said("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Digest = "sha256:b" }))), waits, ReasonAwaitingApproval, ""},
		"for no digest":          {"nobody knows what was approved", policy(), words(said("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Digest = "" }))), waits, ReasonAwaitingApproval, ""},
		"for another tag":        {"", policy(), words(said("ann", other(func(r *v1alpha1.ReleaseIdentity) { r.Tag = "1.1" }))), waits, ReasonAwaitingApproval, ""},
		"doubtful":               {"nothing proves that it was she", policy(), words(said("ann", doubtful)), waits, ReasonAwaitingApproval, "ann's Approval does not count: it is too old"},
		"doubtful and good":      {"she said it again", policy(), words(said("ann", doubtful, ago(time.Hour)), said("ann")), open, ReasonApproved, "by ann"},
		"unproven":               {"nobody is believed", policy(), Context{Approvals: []Approval{said("ann")}, Authors: readBy(""), UnverifiedReason: "the policy is gone"}, waits, ReasonUnverified, "approvals are not counted: the policy is gone"},
		"unproven, empty gate":   {"there either", v1alpha1.RolloutGateSpec{}, Context{Approvals: []Approval{said("ann")}, UnverifiedReason: "the policy is gone"}, waits, ReasonUnverified, "the policy is gone"},
		"listed beside":          {"the list is another way in", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{Required: 9}, AllowedVersions: &[]string{"1.1.0"}}, words(), open, ReasonAllowed, ""},
		"listed, unproven":       {"whoever edits gates needs no proof", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{"1.1.0"}}, Context{UnverifiedReason: "gone"}, open, ReasonAllowed, ""},
		"not listed beside":      {"and not the only one", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{"1.0.0"}}, words(said("ann")), open, ReasonApproved, "by ann"},
		"neither":                {"", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, AllowedVersions: &[]string{}}, words(), waits, ReasonAwaitingApproval, ""},
		"passing false beside":   {"it closes whatever was said", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: new(bool)}, words(said("ann")), closing, ReasonNotPassing, "spec.passing is false"},
		"passing false, listed":  {"and whatever is listed", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: new(bool), AllowedVersions: &[]string{"1.1.0"}}, words(), closing, ReasonNotPassing, ""},
		"passing true beside":    {"the schema refuses it; if it is there, people are asked", v1alpha1.RolloutGateSpec{Approvals: &v1alpha1.ApprovalPolicy{}, Passing: yes()}, words(), waits, ReasonAwaitingApproval, ""},
		"an unknown word":        {"only Approve approves", policy(), words(said("ann", func(a *Approval) { a.Decision = "approve" })), closing, ReasonRejected, "rejected by ann"},
		"no word":                {"nothing is no approval", policy(), words(said("ann", func(a *Approval) { a.Decision = "" })), closing, ReasonRejected, "rejected by ann"},
		"no word, by another":    {"and closes nothing for others", policy(fromUsers("bob")), words(said("ann", func(a *Approval) { a.Decision = "" }), said("bob")), open, ReasonApproved, "by bob"},
		"three, and one of them": {"more than enough", policy(requires(2)), words(said("ann"), said("bob"), said("cem")), open, ReasonApproved, "by ann, bob, cem"},
	})
}

func yes() *bool {
	y := true
	return &y
}

func TestAuthors(t *testing.T) {
	t.Parallel()
	by := func(authors, user string) Context {
		return Context{Approvals: []Approval{said(user)}, Authors: readBy(authors)}
	}
	allow := func(p *v1alpha1.ApprovalPolicy) { p.AllowAuthor = true }
	votes(t, map[string]vote{
		"by name":            {"", policy(), by("ann", "ann"), waits, ReasonAwaitingApproval, "ann made the release and may not approve it"},
		"by address":         {"", policy(), by("Ann Lee <ann@example.com>", "ann@example.com"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"by full name":       {"", policy(), by("Ann Lee <ann@example.com>", "Ann Lee"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"by all of it":       {"", policy(), by("Ann Lee <ann@example.com>", "Ann Lee <ann@example.com>"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"in another case":    {"addresses have none", policy(), by("Ann <Ann@Example.com>", "ann@example.com"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"in a list":          {"", policy(), by("Bob <bob@example.com>,Ann <ann@example.com>", "ann@example.com"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"with spaces":        {"", policy(), by("  ann  , bob", "ann"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"address alone":      {"", policy(), by("<ann@example.com>", "ann@example.com"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"part of a name":     {"it is another", policy(), by("annabel", "ann"), open, ReasonApproved, ""},
		"nobody":             {"the image says nothing", policy(), by("", "ann"), open, ReasonApproved, ""},
		"empty parts":        {"nobody is called nothing", policy(), by(" , <>,", "ann"), open, ReasonApproved, ""},
		"allowed":            {"the gate says so", policy(allow), by("ann", "ann"), open, ReasonApproved, ""},
		"another":            {"two pairs of eyes", policy(), by("bob", "ann"), open, ReasonApproved, ""},
		"not read":           {"she may be the author", policy(), Context{Approvals: []Approval{said("ann")}}, waits, ReasonAuthorUnknown, "the image was not read yet"},
		"of it unread":       {"", policy(), Context{Approvals: []Approval{said("ann")}, Authors: func(v1alpha1.ReleaseIdentity) (string, bool) { return "bob", false }}, waits, ReasonAuthorUnknown, ""},
		"not read, allowed":  {"it does not matter who made it", policy(allow), Context{Approvals: []Approval{said("ann")}}, open, ReasonApproved, ""},
		"not read, unproven": {"the graver reason is told", policy(), Context{UnverifiedReason: "gone"}, waits, ReasonUnverified, ""},
		"of an empty gate":   {"whoever made it does not approve it there either, if that is known", v1alpha1.RolloutGateSpec{}, by("ann", "ann"), waits, ReasonAwaitingApproval, "made the release and may not approve it"},
		"rejects":            {"an author may stop their own release", policy(), Context{Approvals: []Approval{said("ann", rejects)}, Authors: readBy("ann")}, closing, ReasonRejected, "by ann"},
		"of two":             {"the other one is still missing", policy(requires(2)), Context{Approvals: []Approval{said("ann"), said("bob")}, Authors: readBy("ann")}, waits, ReasonAwaitingApproval, "1 of 2 given (bob)"},
	})
}

func TestRejections(t *testing.T) {
	t.Parallel()
	ops, eve := policy(fromGroups("ops"), requires(1)), inGroup("ops")
	votes(t, map[string]vote{
		"one":                          {"one is enough", policy(), words(said("ann"), said("bob"), said("cem", rejects)), closing, ReasonRejected, "1.1.0 is rejected by cem"},
		"then approved":                {"the last word counts", policy(), words(said("ann", rejects, ago(2*time.Minute)), said("ann")), open, ReasonApproved, ""},
		"after approving":              {"the last word counts", policy(), words(said("ann", ago(2*time.Minute)), said("ann", rejects)), closing, ReasonRejected, ""},
		"in the same second":           {"of two words the careful one", policy(), words(said("ann", rejects), said("ann")), closing, ReasonRejected, ""},
		"in the same second, turned":   {"whatever comes first in the list", policy(), words(said("ann"), said("ann", rejects)), closing, ReasonRejected, ""},
		"by somebody not asked":        {"stops nothing", policy(fromUsers("ann")), words(said("ann"), said("eve", rejects)), open, ReasonApproved, "the gate does not ask for eve"},
		"doubtful":                     {"a forged one can be deleted, a dropped one lets out what was stopped", policy(), words(said("ann"), said("eve", rejects, doubtful)), waits, ReasonUnverified, "rejected in the name of eve"},
		"doubtful, of others":          {"they are not asked", policy(fromUsers("ann")), words(said("ann"), said("eve", rejects, doubtful)), open, ReasonApproved, "eve's Approval does not count"},
		"doubtful, then approved":      {"it is taken back", policy(), words(said("eve", rejects, doubtful, ago(time.Hour)), said("eve")), open, ReasonApproved, "by eve"},
		"for another gate":             {"", policy(), words(said("ann"), said("bob", rejects, atGate("h"))), open, ReasonApproved, ""},
		"for all gates":                {"", policy(), words(said("ann", atGate("g")), said("bob", rejects)), closing, ReasonRejected, ""},
		"of another digest":            {"", policy(), words(said("ann"), said("bob", rejects, func(a *Approval) { a.Release.Digest = "sha256:b" })), open, ReasonApproved, ""},
		"older than an expiry":         {"a no does not expire", policy(expires), words(said("ann"), said("bob", rejects, ago(48*time.Hour))), closing, ReasonRejected, ""},
		"unproven":                     {"holds all the same", policy(), Context{Approvals: []Approval{said("bob", rejects)}, UnverifiedReason: "gone"}, waits, ReasonUnverified, ""},
		"group forgotten in approving": {"a yes that does not count leaves a no as it is", ops, words(said("ann", eve), said("bob", rejects, eve, ago(time.Hour)), said("bob")), closing, ReasonRejected, "by bob"},
		"group forgotten in rejecting": {"and so does a second no", ops, words(said("ann", eve), said("bob", rejects, eve, ago(time.Hour)), said("bob", rejects)), closing, ReasonRejected, "by bob"},
		"without the group":            {"who says no after their yes has no yes any more", ops, words(said("ann", eve, ago(time.Hour)), said("ann", rejects)), waits, ReasonAwaitingApproval, "ann's Approval names no group"},
		"approved again without it":    {"a yes that does not count takes none away", ops, words(said("ann", eve, ago(time.Hour)), said("ann")), open, ReasonApproved, ""},
		"group forgotten at first":     {"said again", ops, words(said("ann", ago(time.Hour)), said("ann", eve)), open, ReasonApproved, ""},
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	broken := v1alpha1.Duration("soon")
	at := func(d time.Duration) time.Time { return morning.Add(d) }
	for name, tc := range map[string]struct {
		vote
		since, until time.Time
	}{
		"never":                 {vote: vote{"", policy(), words(said("ann", ago(time.Hour*9999))), open, ReasonApproved, ""}, since: at(-time.Hour * 9999)},
		"a second before":       {vote: vote{"", policy(expires), words(said("ann", ago(time.Hour-time.Second))), open, ReasonApproved, ""}, since: at(time.Second - time.Hour), until: at(time.Second)},
		"at the second":         {vote: vote{"it counts for an hour and no longer", policy(expires), words(said("ann", ago(time.Hour))), waits, ReasonAwaitingApproval, "has expired after 1h; approve again"}},
		"afterwards":            {vote: vote{"", policy(expires), words(said("ann", ago(2*time.Hour))), waits, ReasonAwaitingApproval, "has expired after 1h; approve again"}},
		"renewed":               {vote: vote{"", policy(expires), words(said("ann", ago(2*time.Hour)), said("ann")), open, ReasonApproved, ""}, since: at(-time.Minute), until: at(59 * time.Minute)},
		"not to be read":        {vote: vote{"what cannot be read expires at once", policy(func(p *v1alpha1.ApprovalPolicy) { p.ExpireAfter = &broken }), words(said("ann", ago(0))), waits, ReasonAwaitingApproval, "has expired after soon; approve again"}},
		"of two, enough":        {vote: vote{"since the second came, until the first goes", policy(expires, requires(2)), words(said("ann", ago(30*time.Minute)), said("bob", ago(10*time.Minute))), open, ReasonApproved, ""}, since: at(-10 * time.Minute), until: at(30 * time.Minute)},
		"of three, one to lose": {vote: vote{"until fewer than two are left", policy(expires, requires(2)), words(said("cem", ago(5*time.Minute)), said("ann", ago(30*time.Minute)), said("bob", ago(10*time.Minute))), open, ReasonApproved, ""}, since: at(-10 * time.Minute), until: at(50 * time.Minute)},
		"of three, one lost":    {vote: vote{"", policy(expires, requires(2)), words(said("cem", ago(5*time.Minute)), said("ann", ago(time.Hour)), said("bob", ago(10*time.Minute))), open, ReasonApproved, "ann's Approval has expired after 1h; approve again"}, since: at(-5 * time.Minute), until: at(50 * time.Minute)},
		"rejected":              {vote: vote{"since it was said", policy(expires), words(said("bob", rejects, ago(7*time.Minute))), closing, ReasonRejected, ""}, since: at(-7 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := tc.judge(t)
			if diff := gocmp.Diff([]time.Time{tc.since, tc.until}, []time.Time{v.Since, v.Until}); diff != "" {
				t.Errorf("since and until (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoClearsIt(t *testing.T) {
	t.Parallel()
	or := ", or whoever may list the tag in spec.allowedVersions of the gate"
	for want, p := range map[string]v1alpha1.ApprovalPolicy{
		"whoever may create approvals" + or: {},
		"ann, bob" + or:                     {From: &v1alpha1.Approvers{Users: []string{"ann", "bob"}}},
		"members of ops, dev" + or:          {From: &v1alpha1.Approvers{Groups: []string{"ops", "dev"}}},
		"ann or members of ops" + or:        {From: &v1alpha1.Approvers{Users: []string{"ann"}, Groups: []string{"ops"}}},
	} {
		v := Evaluate(&v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{Approvals: &p}}, asks, Context{Authors: readBy("")})
		if v.ClearedBy != want {
			t.Errorf("cleared by %q, not %q", v.ClearedBy, want)
		}
	}
}

// A word that does not count never opens a gate, and nothing depends on the order in which words are listed.
func TestWordsThatDoNotCountOpenNothing(t *testing.T) {
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
			list[i] = anything(r)
		}
		judge := func(list []Approval) Verdict {
			return Evaluate(g, asks, Context{Now: morning, Approvals: list, Authors: readBy("u1")})
		}
		before := judge(list)

		shuffled := slices.Clone(list)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := gocmp.Diff(before, judge(shuffled)); diff != "" {
			t.Fatalf("seed %d: the order matters (-before +after):\n%s%+v", seed, diff, list)
		}
		extra := anything(r)
		if extra.User == "u0" || slices.Contains(extra.Groups, "ops") {
			extra.UntrustedReason = "nothing proves it"
		}
		if after := judge(append(slices.Clone(list), extra)); after.Open() && !before.Open() {
			t.Fatalf("seed %d: %+v opened the gate: %+v\nafter %+v", seed, extra, after, list)
		}
		if !before.Open() && (before.Message == "" || before.ClearedBy == "") {
			t.Fatalf("seed %d: it is not said why: %+v", seed, before)
		}
	}
}

// anything is a word of somebody at some time.
func anything(r *rand.Rand) Approval {
	a := said(fmt.Sprintf("u%d", r.IntN(4)), ago(time.Duration(r.IntN(5))*20*time.Minute))
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

// TestAsked is about gates that their controllers ask the world for.
func TestAsked(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: morning.Add(d)} }
	given := func(until *metav1.Time, edits ...func(*v1alpha1.GateVerdict)) v1alpha1.GateVerdict {
		v := v1alpha1.GateVerdict{Release: asks.Tag, Digest: asks.Digest, State: open, Reason: "Yes", Message: "it said yes", Until: until}
		for _, edit := range edits {
			edit(&v)
		}
		return v
	}
	no := func(v *v1alpha1.GateVerdict) { v.State, v.Reason, v.Message = closing, "No", "" }
	for _, class := range []string{v1alpha1.GateClassHTTP, v1alpha1.GateClassEnvironment, "example.com/scanner"} {
		for name, tc := range map[string]struct {
			verdict  v1alpha1.GateVerdict
			observed int64
			state    v1alpha1.GateState
			why      string
		}{
			"for ever":                  {given(nil), 3, open, "Yes"},
			"a second before":           {given(at(time.Second)), 3, open, "Yes"},
			"at the second":             {given(at(0)), 3, waits, ReasonVerdictExpired},
			"over":                      {given(at(-time.Hour)), 3, waits, ReasonVerdictExpired},
			"a no that is over":         {given(at(-time.Hour), no), 3, closing, "No"},
			"a no without a word":       {given(nil, no), 3, closing, "No"},
			"for an old generation":     {given(at(time.Hour)), 2, closing, ReasonNoVerdict},
			"for a later generation":    {given(at(time.Hour)), 4, closing, ReasonNoVerdict},
			"for another digest":        {given(nil, func(v *v1alpha1.GateVerdict) { v.Digest = "sha256:b" }), 3, closing, ReasonNoVerdict},
			"approvals have no part in": {given(nil, no), 3, closing, "No"},
		} {
			t.Run(class+" "+name, func(t *testing.T) {
				g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "g", Generation: 3}, Spec: v1alpha1.RolloutGateSpec{Class: class}, Status: v1alpha1.RolloutGateStatus{
					ObservedGeneration: tc.observed, Verdicts: []v1alpha1.GateVerdict{tc.verdict},
				}}
				v := Evaluate(g, asks, Context{Now: morning, Approvals: []Approval{said("ann")}})
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

// Nobody is called for a release that cannot go out anyway: what needs nobody comes first.
func TestShutPutsPeopleLast(t *testing.T) {
	t.Parallel()
	named := func(name string, spec v1alpha1.RolloutGateSpec) *v1alpha1.RolloutGate {
		return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	}
	set := Set{Context: words(), Gates: []*v1alpha1.RolloutGate{
		named("a-people", policy()), named("b-calendar", v1alpha1.RolloutGateSpec{HTTP: &v1alpha1.HTTPGate{}}), named("c-open", v1alpha1.RolloutGateSpec{Passing: yes()}),
		named("d-people", v1alpha1.RolloutGateSpec{}), named("e-freeze", v1alpha1.RolloutGateSpec{Passing: new(bool)}),
	}}
	names := func() (list []string) {
		for _, v := range set.Closed(asks) {
			list = append(list, v.Gate)
		}
		return list
	}
	if diff := gocmp.Diff([]string{"b-calendar", "e-freeze", "a-people", "d-people"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	set.Approvals = []Approval{said("ann", rejects, atGate("d-people"))}
	if diff := gocmp.Diff([]string{"b-calendar", "d-people", "e-freeze", "a-people"}, names()); diff != "" {
		t.Errorf("a person who rejected need not be called (-want +got):\n%s", diff)
	}
}

func TestScheduled(t *testing.T) {
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
		t.Error("a gate of nobody is no schedule's")
	}
}

// TestWeight: of words of the same second the graver comes last.
func TestWeight(t *testing.T) {
	t.Parallel()
	p := *policy(fromUsers("ann")).Approvals
	list := []Approval{said("eve"), said("ann"), said("eve", rejects), said("ann", rejects)}
	if !slices.IsSortedFunc(list, func(a, b Approval) int { return cmp.Compare(weight(p, a), weight(p, b)) }) {
		t.Error("they weigh otherwise")
	}
}

// Whoever may create tokens has as many service accounts as they like.
func TestServiceAccountsCountWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	const bot = "system:serviceaccount:shop:release-bot"
	groups := inGroup("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated", "bots")
	fromGroups := func(groups ...string) func(*v1alpha1.ApprovalPolicy) {
		return func(p *v1alpha1.ApprovalPolicy) { p.From = &v1alpha1.Approvers{Groups: groups} }
	}
	const refused = bot + "'s Approval does not count: a service account counts only where spec.approvals.from names it"
	votes(t, map[string]vote{
		"anybody":          {"a person and their service account are one", policy(requires(2)), words(said("ann"), said(bot, groups)), waits, ReasonAwaitingApproval, "1 of 2 given (ann)"},
		"nobody is named":  {"the gate asks people", policy(), words(said(bot, groups)), waits, ReasonAwaitingApproval, refused},
		"an empty gate":    {"so does one that says nothing", v1alpha1.RolloutGateSpec{}, words(said(bot, groups)), waits, ReasonAwaitingApproval, refused},
		"rejects":          {"nor does it stop a release", policy(), words(said(bot, groups, rejects), said("ann")), open, ReasonApproved, ""},
		"named":            {"it is asked by name", policy(fromUsers(bot)), words(said(bot)), open, ReasonApproved, ""},
		"of a group":       {"the group is of somebody's making", policy(fromGroups("bots")), words(said(bot, groups)), open, ReasonApproved, ""},
		"of every account": {"Kubernetes puts each in it", policy(fromGroups("system:serviceaccounts:shop", "system:authenticated")), words(said(bot, groups)), waits, ReasonAwaitingApproval, refused},
		"a person of it":   {"people are in such a group too", policy(fromGroups("system:authenticated")), words(said("ann", groups)), open, ReasonApproved, ""},
	})
}

func TestAuthorsThatAreCut(t *testing.T) {
	t.Parallel()
	c := words(said("zoe"))
	c.Authors = readBy("Ann, Bob, …")
	votes(t, map[string]vote{
		"cut":     {"the last of them may be zoe", policy(), c, waits, ReasonAuthorUnknown, "the image lists more authors than are read (128 bytes)"},
		"allowed": {"authors may approve", policy(func(p *v1alpha1.ApprovalPolicy) { p.AllowAuthor = true }), c, open, ReasonApproved, ""},
	})
}
