package release

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
)

// glass is an Override of 1.2.0 that is in force for an hour more.
func glass(name string, past ...v1alpha1.Bypass) Override {
	return Override{Release: v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, UsedOverride: v1alpha1.UsedOverride{
		Name: name, UID: "uid-" + name, User: "ann", Reason: "the shop is down", Bypass: past, ExpiresAt: metav1.NewTime(now.Add(time.Hour)),
	}}
}

func (o Override) of(tag string) Override {
	o.Release.Tag = tag
	return o
}

func (o Override) until(t time.Time) Override {
	o.ExpiresAt = metav1.NewTime(t)
	return o
}

func breaking(list ...Override) edit { return func(o *Observation) { o.Overrides = list } }

// freeze is a gate that a schedule has shut.
func freeze(name string) *v1alpha1.RolloutGate {
	controls, no := true, false
	g := shut(name)
	g.Spec.Passing = &no
	g.OwnerReferences = []metav1.OwnerReference{{Kind: "RolloutSchedule", Name: name, Controller: &controls}}
	return g
}

// closed is a gate that somebody has shut by hand.
func closed(name string) *v1alpha1.RolloutGate {
	g, no := shut(name), false
	g.Spec.Passing = &no
	return g
}

const (
	pastGates     = v1alpha1.BypassGates
	pastSchedules = v1alpha1.BypassSchedules
	pastHealth    = v1alpha1.BypassHealth
)

var everything = []v1alpha1.Bypass{pastGates, pastSchedules, pastHealth}

func afterFailure(a v1alpha1.AfterFailure) edit {
	return spec(func(s *v1alpha1.RolloutSpec) { s.AfterFailure = a })
}

func TestOverrideScopes(t *testing.T) {
	t.Parallel()
	both := gates(shut("approval"), freeze("freeze"))
	approval, frozen := "waits for RolloutGate approval: AwaitingApproval", "waits for RolloutGate freeze: NotPassing"
	goes := []string{"deployNext", "record 2 1.2.0 Automatic"}
	red := "waits for HealthCheck check-0: CheckUnhealthy"
	more := known("1.1.0", "1.2.0", "1.3.0")
	check(t, map[string]decision{
		"nobody":                {"", given(both), []string{"holdOnGates", frozen, approval}},
		"gates":                 {"", given(gates(shut("approval")), breaking(glass("a", pastGates))), goes},
		"gates, by hand":        {"whoever closed it", given(gates(closed("stop")), breaking(glass("a", pastGates))), goes},
		"gates, not the freeze": {"what it does not name holds", given(both, breaking(glass("a", pastGates))), []string{"holdOnGates", frozen}},
		"schedules":             {"", given(gates(freeze("freeze")), breaking(glass("a", pastSchedules))), goes},
		"schedules, not gates":  {"", given(both, breaking(glass("a", pastSchedules))), []string{"holdOnGates", approval}},
		"both":                  {"", given(both, breaking(glass("a", pastGates, pastSchedules))), goes},
		"both, of two people":   {"together they cover it", given(both, breaking(glass("a", pastGates), glass("b", pastSchedules))), goes},
		"health":                {"", given(reports(redSite), breaking(glass("a", pastHealth))), []string{"deployNext", "record 2 1.2.0 Automatic recovery"}},
		"health is not named":   {"", given(reports(redSite), breaking(glass("a", pastGates, pastSchedules))), []string{"holdOnHealth", red}},
		"health, not gates":     {"", given(both, breaking(glass("a", pastHealth))), []string{"holdOnGates", frozen, approval}},
		"everything":            {"", given(both, reports(redSite), breaking(glass("a", everything...))), []string{"deployNext", "record 2 1.2.0 Automatic recovery"}},
		"nothing":               {"", given(both, breaking(glass("a"))), []string{"holdOnGates", frozen, approval}},
		"of a check with no verdict": {"it may be unhealthy as well", given(reports(unhealthy), breaking(glass("a", pastHealth))),
			[]string{"deployNext", "record 2 1.2.0 Automatic recovery"}},
		"a second before its end":   {"", given(gates(shut("approval")), breaking(glass("a", pastGates).until(now.Add(time.Second)))), goes},
		"at the second":             {"it is over", given(gates(shut("approval")), breaking(glass("a", pastGates).until(now))), []string{"holdOnGates", approval}},
		"over":                      {"", given(gates(shut("approval")), breaking(glass("a", pastGates).until(now.Add(-time.Hour)))), []string{"holdOnGates", approval}},
		"health, over":              {"", given(reports(redSite), breaking(glass("a", pastHealth).until(now))), []string{"holdOnHealth", red}},
		"of another release":        {"", given(gates(shut("approval")), breaking(glass("a", pastGates).of("1.3.0"))), []string{"holdOnGates", approval}},
		"of another digest":         {"the tag was moved", given(gates(shut("approval")), breaking(glass("a", pastGates)), moved("1.2.0", "sha256:b")), []string{"holdOnGates", approval}},
		"of what runs":              {"it is not deployed again", given(known("1.1.0"), breaking(glass("a", everything...).of("1.1.0"))), []string{"rest"}},
		"of a quarantined release":  {"what has failed stays out", given(quarantined("1.2.0"), breaking(glass("a", everything...))), []string{"rest", "waits for ImagePolicy images: Quarantined"}},
		"unproven":                  {"nobody knows whose it is", given(gates(closed("stop")), unproven, breaking(glass("a", everything...))), []string{"holdOnGates", "waits for RolloutGate stop: NotPassing"}},
		"health, unproven":          {"", given(reports(redSite), unproven, breaking(glass("a", everything...))), []string{"holdOnHealth", red}},
		"of an older candidate":     {"it is what the person wants out", given(more, gates(shut("approval")), breaking(glass("a", pastGates))), goes},
		"of a suspended Rollout":    {"suspended is suspended", given(spec(func(s *v1alpha1.RolloutSpec) { s.Suspend = true }), breaking(glass("a", everything...))), []string{"suspend", "waits for Rollout app: Suspended"}},
		"of a pinned Rollout":       {"and pinned is pinned", given(pinned("1.1.0"), breaking(glass("a", everything...))), []string{"stayPinned", "amend 1 Succeeded", "waits for Rollout app: Pinned"}},
		"during another deployment": {"one at a time", given(more, baking(time.Second), bakes("1m"), breaking(glass("a", everything...).of("1.3.0"))), []string{"keepBaking", "waits for Rollout app: Baking"}},
	})
}

func unproven(o *Observation) { o.UnverifiedReason = "the policy is gone" }

func moved(tag, digest string) edit {
	return func(o *Observation) {
		for i := range o.Status.AvailableReleases {
			if o.Status.AvailableReleases[i].Tag == tag {
				o.Status.AvailableReleases[i].Digest = digest
			}
		}
	}
}

func TestOverrideAfterAFailure(t *testing.T) {
	t.Parallel()
	more, failed := known("1.1.0", "1.2.0", "1.3.0"), failing()
	stuck := []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}
	fix := func(past ...v1alpha1.Bypass) edit { return breaking(glass("a", past...).of("1.3.0")) }
	check(t, map[string]decision{
		"nobody":                   {"", given(more, failed, quarantined("1.2.0")), stuck},
		"gates":                    {"the failure is not a gate", given(more, failed, quarantined("1.2.0"), fix(pastGates, pastSchedules)), stuck},
		"health":                   {"the release that mends it", given(more, failed, quarantined("1.2.0"), fix(pastHealth)), []string{"deployNext", "record 3 1.3.0 Automatic"}},
		"health, of the failed":    {"it does not come back", given(more, failed, quarantined("1.2.0"), breaking(glass("a", everything...))), stuck},
		"health, red":              {"", given(more, failed, quarantined("1.2.0"), reports(redSite), fix(pastHealth)), []string{"deployNext", "record 3 1.3.0 Automatic recovery"}},
		"health, over":             {"", given(more, failed, quarantined("1.2.0"), breaking(glass("a", pastHealth).of("1.3.0").until(now))), stuck},
		"health, at a gate":        {"then the gate is what holds it", given(more, failed, quarantined("1.2.0"), gates(shut("approval")), fix(pastHealth)), []string{"holdOnGates", "waits for RolloutGate approval: AwaitingApproval"}},
		"health, nothing to mend":  {"", given(failed, quarantined("1.2.0"), fix(pastHealth)), stuck},
		"health, paused":           {"a person decides what becomes of it", given(more, deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = ceil(now) }), fix(everything...)), []string{"awaitPerson", "waits for Rollout app: Paused"}},
		"health, after a rollback": {"", given(more, history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), fix(pastHealth)), []string{"deployNext", "record 4 1.3.0 Automatic"}},
	})
}

// recorded is the entry that a decision puts on record, by Record or Amend, or nil.
func recorded(d Decision) *v1alpha1.DeploymentHistoryEntry {
	for _, a := range slices.Backward(d.Actions) {
		switch a := a.(type) {
		case Record:
			return &a.Entry
		case Amend:
			return &a.Entry
		}
	}
	return nil
}

func overrideNames(list []v1alpha1.UsedOverride) (names []string) {
	for _, o := range list {
		names = append(names, o.Name)
	}
	return names
}

// What an Override had a part in says so, and what it had none in does not.
func TestOverridesOnRecord(t *testing.T) {
	t.Parallel()
	allowNewer := []edit{known("1.1.0", "1.2.0", "1.3.0"), failing(), quarantined("1.2.0"), afterFailure(v1alpha1.AfterFailureAllowNewer), breaking(glass("a", pastHealth).of("1.3.0"))}
	annotated := annotation(v1alpha1.AnnotationBypassGates, "1.2.0")
	cases := map[string]struct {
		in        Observation
		overrides []string
		past      []string
		by        v1alpha1.TriggeredBy
		says      string
	}{
		"gate": {given(gates(shut("approval"), freeze("freeze")), breaking(glass("a", pastGates, pastSchedules))),
			[]string{"a"}, []string{"freeze", "approval"}, v1alpha1.TriggeredBy{Kind: "User", Name: "ann"}, "with gate bypass, with Override a: the shop is down"},
		"health": {given(reports(redSite), breaking(glass("a", pastHealth))),
			[]string{"a"}, nil, v1alpha1.TriggeredBy{Kind: "User", Name: "ann"}, "Automatic deployment, with Override a: the shop is down"},
		"two people": {given(gates(shut("approval"), freeze("freeze")), breaking(glass("a", pastGates), glass("b", pastSchedules))),
			[]string{"a", "b"}, []string{"freeze", "approval"}, v1alpha1.TriggeredBy{Kind: "User", Name: "ann"}, "with Override a"},
		"one that is not needed": {given(gates(shut("approval")), breaking(glass("a", pastGates), glass("b", pastSchedules, pastHealth))),
			[]string{"a"}, []string{"approval"}, v1alpha1.TriggeredBy{Kind: "User", Name: "ann"}, "with Override a"},
		"nothing held it": {given(breaking(glass("a", everything...))),
			nil, nil, v1alpha1.TriggeredBy{Kind: "System", Name: system}, "Automatic deployment"},
		"failure that holds nothing": {given(allowNewer...),
			nil, nil, v1alpha1.TriggeredBy{Kind: "System", Name: system}, "Automatic deployment"},
		"annotation beside": {given(gates(shut("approval")), annotated, breaking(glass("a", pastGates))),
			nil, []string{"approval"}, v1alpha1.TriggeredBy{Kind: "System", Name: system}, "Automatic deployment, with gate bypass"},
		"annotation, and health": {given(gates(shut("approval")), reports(redSite), annotated, breaking(glass("a", pastHealth))),
			[]string{"a"}, []string{"approval"}, v1alpha1.TriggeredBy{Kind: "User", Name: "ann"}, "with gate bypass, with Override a"},
		"by hand": {given(gates(shut("approval")), reports(redSite), pinned("1.2.0"), breaking(glass("a", everything...))),
			nil, nil, v1alpha1.TriggeredBy{Kind: "System", Name: system}, "Manual deployment"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := recorded(Decide(tc.in))
			if e == nil {
				t.Fatalf("nothing is decided: %v", says(Decide(tc.in)))
			}
			if diff := cmp.Diff([][]string{tc.overrides, tc.past}, [][]string{overrideNames(e.Overrides), e.BypassedGates}); diff != "" {
				t.Errorf("overrides and gates (-want +got):\n%s", diff)
			}
			if *e.TriggeredBy != tc.by || !strings.Contains(*e.Message, tc.says) || (strings.Contains(*e.Message, "Override") != (len(tc.overrides) > 0)) {
				t.Errorf("by %+v: %s", *e.TriggeredBy, *e.Message)
			}
		})
	}
}

func TestRecordHoldsNoMoreOverridesThanItMay(t *testing.T) {
	t.Parallel()
	var list []Override
	for i := range 30 {
		list = append(list, glass(fmt.Sprintf("o-%02d", i), pastGates))
	}
	list[0].Reason = strings.Repeat("why ", 400)
	e := recorded(Decide(given(gates(shut("approval")), breaking(list...))))
	if len(e.Overrides) != maxOverrides || len(*e.Message) > 512 {
		t.Errorf("%d are on record, with %d bytes of text", len(e.Overrides), len(*e.Message))
	}
}

// kept is a deployment of 1.2.0 that was decided and has not reached Flux.
func kept(edits ...func(*v1alpha1.DeploymentHistoryEntry)) edit {
	return func(o *Observation) {
		deploying(edits...)(o)
		o.Targets[0] = Target{Kind: "Kustomization", Name: "app", Value: "1.1.0"}
	}
}

func interrupted(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now.Add(-time.Minute)) }

// thanks puts Overrides and the gates that were bypassed on the record of a deployment.
func thanks(list []Override, past ...string) func(*v1alpha1.DeploymentHistoryEntry) {
	return func(e *v1alpha1.DeploymentHistoryEntry) {
		e.BypassedGates = past
		for _, o := range list {
			e.Overrides = append(e.Overrides, o.UsedOverride)
		}
	}
}

func TestOverridesAtTheHandOver(t *testing.T) {
	t.Parallel()
	a := glass("a", pastGates)
	all := glass("a", everything...)
	one := []Override{a}
	over := a.until(now)
	handed := []string{"pinTargets", "pin 1.2.0 u/2/0 first", "waits for Kustomization app: NotApplied"}
	amended := []string{"holdHandover", "amend 2 Deploying"}
	held := []string{"holdHandover", "amend 2 Deploying", "waits for RolloutGate approval: AwaitingApproval"}
	stays := []string{"holdHandover", "waits for RolloutGate approval: AwaitingApproval"}
	approval := gates(shut("approval"))
	check(t, map[string]decision{
		"in force":                  {"", given(approval, kept(thanks(one, "approval")), breaking(a)), handed},
		"lapsed":                    {"what it let past is held again", given(approval, kept(thanks([]Override{over}, "approval")), breaking(over)), held},
		"taken back":                {"", given(approval, kept(thanks(one, "approval"))), held},
		"unproven since":            {"", given(gates(closed("approval")), kept(thanks(one, "approval")), unproven, breaking(a)), []string{"holdHandover", "amend 2 Deploying", "waits for RolloutGate approval: NotPassing"}},
		"lapsed, gate open":         {"nothing holds it any more", given(kept(thanks([]Override{over}, "approval"))), handed},
		"lapsed, another":           {"which is put on record first", given(approval, kept(thanks([]Override{over}, "approval")), breaking(over, glass("b", pastGates))), amended},
		"another of that name":      {"is another", given(approval, kept(thanks(one, "approval")), breaking(Override{Release: a.Release, UsedOverride: v1alpha1.UsedOverride{Name: "a", UID: "new", User: "bob", Bypass: a.Bypass, ExpiresAt: a.ExpiresAt}})), amended},
		"a gate closes":             {"and is covered: on record first", given(gates(shut("approval"), closed("stop")), kept(thanks(one, "approval")), breaking(a)), amended},
		"a gate closes uncovered":   {"", given(gates(shut("approval"), freeze("freeze")), kept(thanks(one, "approval")), breaking(a)), []string{"holdHandover", "amend 2 Deploying", "waits for RolloutGate freeze: NotPassing"}},
		"comes late":                {"", given(approval, kept(interrupted), breaking(a)), amended},
		"comes late, and too small": {"", given(gates(freeze("freeze")), kept(interrupted), breaking(a)), []string{"holdHandover", "waits for RolloutGate freeze: NotPassing"}},
		"comes late, for another":   {"", given(approval, kept(interrupted), breaking(a.of("1.1.0"))), stays},
		"annotation beside":         {"the annotation let it past the gate, whatever becomes of the Override", given(approval, kept(thanks([]Override{glass("a", pastHealth).until(now)}, "approval"))), handed},
		"annotation after a lapse":  {"", given(approval, kept(interrupted, thanks([]Override{over}, "approval")), annotation(v1alpha1.AnnotationBypassGates, "1.2.0")), []string{"holdHandover", "amend 2 Deploying", "use bypass-gates"}},
		"red, kept back":            {"what runs has to be well", given(kept(interrupted), reports(redSite)), []string{"holdHandover", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"red, Health":               {"unless an Override says otherwise of it", given(kept(interrupted), reports(redSite), breaking(all)), amended},
		"red, Health of another":    {"for this one and no other", given(kept(interrupted), reports(redSite), breaking(all.of("1.1.0"))), []string{"holdHandover", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"red, Health of the next":   {"which takes its place", given(known("1.1.0", "1.2.0", "1.3.0"), kept(interrupted), reports(redSite), breaking(all.of("1.3.0"))), []string{"holdHandover", "amend 2 Cancelled", "record 3 1.3.0 Automatic recovery"}},
		"the next is admitted":      {"a gate is shut for the one and not for the other", given(known("1.1.0", "1.2.0", "1.3.0"), approval, kept(thanks([]Override{over}, "approval")), breaking(all.of("1.3.0"))), []string{"holdHandover", "amend 2 Cancelled", "record 3 1.3.0 Automatic"}},
		"handed over already":       {"what has begun is not left half done", given(approval, deploying(thanks([]Override{over}, "approval"))), []string{"startBake", "amend 2 Succeeded", "lift 1.2.0"}},
	})
}

// Whatever is handed to Flux past a gate has on record who let it past: round by round, until it settles.
func TestHandOverIsOnRecordFirst(t *testing.T) {
	t.Parallel()
	a, b := glass("a", pastGates), glass("b", pastGates)
	b.User = "bob"
	closing := gates(shut("approval"), closed("stop"))
	cases := map[string]struct {
		in        Observation
		overrides []string
		past      []string
		recovery  bool
	}{
		"a gate closes":            {given(closing, kept(thanks([]Override{a}, "approval")), breaking(a)), []string{"a"}, []string{"stop", "approval"}, false},
		"another takes its place":  {given(closing, kept(thanks([]Override{a.until(now)}, "approval")), breaking(b)), []string{"b"}, []string{"stop", "approval"}, false},
		"another joins":            {given(gates(shut("approval"), freeze("freeze")), kept(thanks([]Override{a}, "approval")), breaking(a, glass("b", pastSchedules))), []string{"a", "b"}, []string{"freeze", "approval"}, false},
		"annotation after a lapse": {given(closing, kept(interrupted, thanks([]Override{a.until(now)}, "approval")), annotation(v1alpha1.AnnotationBypassGates, "1.2.0")), nil, []string{"stop", "approval"}, false},
		"annotation, taken back":   {given(closing, kept(interrupted, thanks([]Override{a}, "approval")), annotation(v1alpha1.AnnotationBypassGates, "1.2.0")), nil, []string{"stop", "approval"}, false},
		"red":                      {given(kept(interrupted), reports(redSite), breaking(glass("a", pastHealth))), []string{"a"}, nil, true},
		"rollback into red": {given(history(entry(3, "1.1.0", v1alpha1.BakeDeploying, because(v1alpha1.CauseRollback), interrupted, func(e *v1alpha1.DeploymentHistoryEntry) { e.Recovery = true }), entry(2, "1.2.0", v1alpha1.BakeFailed)),
			target(func(t *Target) { *t = Target{Kind: "Kustomization", Name: "app", Value: "1.2.0"} }), closing, quarantined("1.2.0"), breaking(a.of("1.1.0"))), []string{"a"}, []string{"stop", "approval"}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tc.in
			for range 5 {
				d := Decide(o)
				if i := slices.IndexFunc(d.Actions, func(a Action) bool { _, ok := a.(Pin); return ok }); i >= 0 {
					e := o.Status.History[0]
					if diff := cmp.Diff([][]string{tc.overrides, tc.past}, [][]string{overrideNames(e.Overrides), e.BypassedGates}); diff != "" || e.Recovery != tc.recovery {
						t.Errorf("on record, with Recovery %v (-want +got):\n%s", e.Recovery, diff)
					}
					return
				}
				o.Status = Project(o, d, nil)
			}
			t.Errorf("it is never handed over: %v", says(Decide(o)))
		})
	}
}

func eventsNamed(reason string, o Observation, rounds int) (list []Event) {
	for range rounds {
		d := Decide(o)
		after := Project(o, d, nil)
		for _, e := range Events(o.Spec, o.Status, after, d) {
			if e.Reason == reason {
				list = append(list, e)
			}
		}
		o.Status = after
	}
	return list
}

func TestOverriddenIsSaidOnce(t *testing.T) {
	t.Parallel()
	a := glass("a", pastGates)
	id := v1alpha1.ReleaseIdentity{Tag: "1.2.0"}
	text := "1.2.0 is let past what held it: ann with Override a: the shop is down"
	for name, tc := range map[string]struct {
		in   Observation
		want []Event
	}{
		"decided":         {given(gates(shut("approval")), breaking(a)), []Event{{"Warning", "Overridden", text, id}}},
		"at the handover": {given(gates(shut("approval")), kept(interrupted), breaking(a)), []Event{{"Warning", "Overridden", text, id}}},
		"another joins": {given(gates(shut("approval"), freeze("f")), kept(thanks([]Override{a}, "approval")), breaking(a, glass("b", pastSchedules))),
			[]Event{{"Warning", "Overridden", "1.2.0 is let past what held it: ann with Override b: the shop is down", id}}},
		"not needed": {given(breaking(a)), nil},
		"held":       {given(gates(freeze("f")), breaking(a)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, eventsNamed("Overridden", tc.in, 6)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// askedFor lists the tags that a decision asks people to approve; the last is asked for now.
func askedFor(d Decision) (tags []string) {
	for _, a := range d.Actions {
		if a, ok := a.(Ask); ok {
			for _, id := range a.Requested {
				tags = append(tags, id.Tag)
			}
		}
	}
	return tags
}

func askedBefore(tags ...string) edit {
	return func(o *Observation) {
		for _, tag := range tags {
			o.Status.ApprovalRequested = append(o.Status.ApprovalRequested, v1alpha1.ReleaseIdentity{Tag: tag})
		}
	}
}

func TestApprovalIsRequestedWhenNothingElseHolds(t *testing.T) {
	t.Parallel()
	approval := gates(shut("approval"))
	more := known("1.1.0", "1.2.0", "1.3.0")
	rollback := spec(func(s *v1alpha1.RolloutSpec) { s.OnFailure = v1alpha1.OnFailureRollback })
	approves := func(o *Observation) {
		o.Approvals = []gate.Approval{{Release: v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, User: "ann", Decision: v1alpha1.Approve}}
	}
	for name, tc := range map[string]struct {
		reason string
		in     Observation
		want   []string
	}{
		"at once":                     {"", given(approval), []string{"1.2.0"}},
		"once":                        {"nobody is asked twice", given(approval, askedBefore("1.2.0")), nil},
		"the next":                    {"it is another question", given(approval, more, askedBefore("1.2.0")), []string{"1.2.0", "1.3.0"}},
		"the next, the first is gone": {"what is no candidate is forgotten", given(approval, more, baked("1.2.0"), askedBefore("1.2.0")), []string{"1.3.0"}},
		"moved tag": {"it is another release", given(approval, moved("1.2.0", "sha256:b"), func(o *Observation) {
			o.Status.ApprovalRequested = []v1alpha1.ReleaseIdentity{{Tag: "1.2.0", Digest: "sha256:a"}}
		}), []string{"1.2.0"}},
		"every":                  {"the oldest comes first", given(approval, more, spec(func(s *v1alpha1.RolloutSpec) { s.Selection = v1alpha1.SelectEvery })), []string{"1.2.0"}},
		"red":                    {"it could not go out anyway", given(approval, reports(redSite)), nil},
		"red, Health":            {"an Override lets it past that", given(approval, reports(redSite), breaking(glass("a", pastHealth))), []string{"1.2.0"}},
		"frozen":                 {"", given(gates(shut("approval"), freeze("freeze"))), nil},
		"frozen, Schedules":      {"an Override lets it past that", given(gates(shut("approval"), freeze("freeze")), breaking(glass("a", pastSchedules))), []string{"1.2.0"}},
		"closed by hand":         {"", given(gates(closed("a"), shut("approval"))), nil},
		"approved":               {"", given(approval, approves), nil},
		"unproven":               {"nobody could be believed", given(approval, unproven), nil},
		"after a failure":        {"a person has to act first", given(approval, more, failing(), quarantined("1.2.0")), nil},
		"after a failure, newer": {"", given(approval, more, failing(), quarantined("1.2.0"), afterFailure(v1alpha1.AfterFailureAllowNewer)), []string{"1.3.0"}},
		"to roll back":           {"the way back waits at the gate", given(approval, failing(), quarantined("1.2.0"), rollback), []string{"1.1.0"}},
		"to roll back, once":     {"", given(approval, failing(), quarantined("1.2.0"), rollback, askedBefore("1.1.0")), nil},
		"pinned":                 {"", given(approval, pinned("1.1.0")), nil},
		"suspended":              {"", given(approval, spec(func(s *v1alpha1.RolloutSpec) { s.Suspend = true })), nil},
		"no candidate":           {"", given(approval, known("1.1.0")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Decide(tc.in)
			if diff := cmp.Diff(tc.want, askedFor(d)); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, says(d), diff)
			}
		})
	}
}

// baked is a release that became Available.
func baked(tag string) edit { return history(entry(2, tag, v1alpha1.BakeSucceeded)) }

func TestApprovalRequestedIsSaidOnce(t *testing.T) {
	t.Parallel()
	who := "whoever may create approvals, or whoever may list the tag in spec.allowedVersions of the gate"
	want := []Event{{"Normal", "ApprovalRequested", "1.2.0 waits for approval at approval (opened by " + who + ")", v1alpha1.ReleaseIdentity{Tag: "1.2.0"}}}
	if diff := cmp.Diff(want, eventsNamed("ApprovalRequested", given(gates(shut("approval"))), 4)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhoIsAskedForIsBounded(t *testing.T) {
	t.Parallel()
	var tags []string
	for i := range 150 {
		tags = append(tags, fmt.Sprintf("1.%d.0", i+1))
	}
	o := given(known(tags...), askedBefore(tags[:149]...), gates(shut("approval")))
	asked := askedFor(Decide(o))
	if len(asked) != maxAsked || asked[maxAsked-1] != "1.150.0" {
		t.Errorf("%d are remembered, the last of them %s", len(asked), asked[len(asked)-1])
	}
}

// A held release is looked at again when an Override that counts for it ends: what it waits for is another thing then.
func TestEndOfAnOverrideIsLookedAt(t *testing.T) {
	t.Parallel()
	end := now.Add(5 * time.Minute)
	d := Decide(given(gates(shut("approval"), freeze("freeze")), askedBefore("1.2.0"), breaking(glass("a", pastSchedules).until(end))))
	if !d.Again.Equal(end) {
		t.Errorf("it is looked at again at %s", d.Again)
	}
}

// TestEveryGateStandsForThoseThatAreCovered: of eleven schedules and more, the history names ten and "*". A manual gate that closes before the
// hand-over is none of those.
func TestEveryGateStandsForThoseThatAreCovered(t *testing.T) {
	t.Parallel()
	controls, shut := true, false
	var gates []*v1alpha1.RolloutGate
	for i := range maxNamed + 1 {
		gates = append(gates, &v1alpha1.RolloutGate{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("schedule-%02d", i), OwnerReferences: []metav1.OwnerReference{{Kind: "RolloutSchedule", Controller: &controls}}},
			Spec:       v1alpha1.RolloutGateSpec{Passing: &shut},
		})
	}
	o := given(func(o *Observation) {
		o.Gates = gates
		o.Overrides = []Override{{Release: v1alpha1.ReleaseIdentity{Tag: "1.2.0"}, UsedOverride: v1alpha1.UsedOverride{
			Name: "o", User: "oncall", Reason: "the shop is down", Bypass: []v1alpha1.Bypass{v1alpha1.BypassSchedules}, ExpiresAt: metav1.NewTime(now.Add(time.Hour)),
		}}}
	})
	d := Decide(o)
	o.Status = Project(o, d, nil)
	if e := o.Status.History[0]; e.Version.Tag != "1.2.0" || e.BypassedGates[len(e.BypassedGates)-1] != everyGate {
		t.Fatalf("the schedules are not past: %s %v", d.Rule, e.BypassedGates)
	}
	o.Targets[0].Asked, o.Targets[0].Reached, o.Targets[0].Applied = false, false, false
	if d := Decide(o); d.Rule != "pinTargets" {
		t.Fatalf("with the schedules alone it decides %s", d.Rule)
	}
	o.Gates = append(o.Gates, &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "incident"}, Spec: v1alpha1.RolloutGateSpec{Passing: &shut}})
	if d := Decide(o); d.Rule != "holdHandover" {
		t.Errorf("past a gate that closed since, it decides %s: %+v", d.Rule, d.Actions)
	}
}

// TestAuthorsOfAnotherDigest: who made the image of a tag without a digest is not who made another of the same tag.
func TestAuthorsOfAnotherDigest(t *testing.T) {
	t.Parallel()
	s := &situation{Observation: Observation{Details: []Details{
		{Release: v1alpha1.ReleaseIdentity{Tag: "v1"}, ReleaseDetails: v1alpha1.ReleaseDetails{Authors: "ann"}},
		{Release: v1alpha1.ReleaseIdentity{Tag: "v1", Digest: "sha256:b"}, ReleaseDetails: v1alpha1.ReleaseDetails{Authors: "bob"}},
	}}}
	for digest, want := range map[string]string{"": "ann", "sha256:b": "bob", "sha256:c": ""} {
		if got, read := s.authors(v1alpha1.ReleaseIdentity{Tag: "v1", Digest: digest}); got != want || read != (want != "") {
			t.Errorf("of %q: %q, %v", digest, got, read)
		}
	}
}

// TestEveryListsTheOldest: with selection Every the oldest goes first, so it is in the list however long that would be.
func TestEveryListsTheOldest(t *testing.T) {
	t.Parallel()
	for selection, first := range map[v1alpha1.Selection]string{v1alpha1.SelectLatest: "1.99.0", v1alpha1.SelectEvery: "1.2.0"} {
		o := given(func(o *Observation) {
			o.Spec.Selection = selection
			for i := 3; i < 100; i++ {
				o.Policy.Tag = fmt.Sprintf("1.%d.0", i)
				o.Status.AvailableReleases = append(o.Status.AvailableReleases, v1alpha1.VersionInfo{Tag: o.Policy.Tag})
			}
			shut := false
			o.Gates = []*v1alpha1.RolloutGate{{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RolloutGateSpec{Passing: &shut}}}
		})
		list := Project(o, Decide(o), nil).ReleaseCandidates
		if !slices.ContainsFunc(list, func(v v1alpha1.VersionInfo) bool { return v.Tag == first }) || len(list) != maxListed {
			t.Errorf("%s: %s is not among the %d", selection, first, len(list))
		}
		if !slices.IsSortedFunc(list, func(a, b v1alpha1.VersionInfo) int { return len(b.Tag) - len(a.Tag) }) {
			t.Errorf("%s: the newest is not first", selection)
		}
	}
}

// TestOverridesThatDoNothingSayWhy: whoever broke the glass sees in what blocks the release why that did not help.
func TestOverridesThatDoNothingSayWhy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit func(*Observation)
		says string
	}{
		"expired":  {func(o *Observation) { o.Overrides[0].ExpiresAt = metav1.NewTime(now) }, "Override o does not count: it has expired"},
		"doubtful": {func(o *Observation) { o.Overrides[0].UntrustedReason = "it is too old" }, "Override o does not count: it is too old"},
		"unproven": {func(o *Observation) { o.UnverifiedReason = "the policy is gone" }, "Override o does not count: the policy is gone"},
		"of another": {func(o *Observation) {
			o.Overrides[0] = o.Overrides[0].of("1.3.0")
			o.Overrides[0].UntrustedReason = "x"
		}, ""},
		"not for that": {func(o *Observation) { o.Overrides[0].Bypass = []v1alpha1.Bypass{v1alpha1.BypassHealth} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			shut := false
			o := given(func(o *Observation) {
				o.Gates = []*v1alpha1.RolloutGate{{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RolloutGateSpec{Passing: &shut}}}
				o.Overrides = []Override{glass("o", v1alpha1.BypassGates)}
			}, tc.edit)
			d := Decide(o)
			if d.Rule != "holdOnGates" || !strings.Contains(d.Blocked[0].Message, tc.says) || tc.says == "" && strings.Contains(d.Blocked[0].Message, "does not count") {
				t.Errorf("%s: %+v", d.Rule, d.Blocked)
			}
		})
	}
}
