package release

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// deploying is 1.2.0 in flight behind 1.1.0.
func deploying(edits ...func(*v1alpha1.DeploymentHistoryEntry)) edit {
	return history(entry(2, "1.2.0", v1alpha1.BakeDeploying, edits...))
}

// baking is 1.2.0 whose bake has run for a time.
func baking(ago time.Duration, edits ...func(*v1alpha1.DeploymentHistoryEntry)) edit {
	return history(entry(2, "1.2.0", v1alpha1.BakeInProgress, append(edits, bakingSince(ago))...))
}

func failing(edits ...func(*v1alpha1.DeploymentHistoryEntry)) edit {
	return history(entry(2, "1.2.0", v1alpha1.BakeFailed, edits...))
}

func target(f func(*Target)) edit {
	return func(o *Observation) { f(&o.Targets[0]) }
}

func before(r health.Report) health.Report {
	r.Current = false
	return r
}

// late is a deployTimeout that has passed.
func late(o *Observation) {
	d := v1alpha1.Duration("1s")
	o.Spec.DeployTimeout = &d
}

// Each test stands for a defect that an older product of this kind has, and is named after it.

func TestBakeNeverStartsOnTheHealthOfTheOldVersion(t *testing.T) {
	waits := "waits for HealthCheck check-0: CheckPending"
	check(t, map[string]decision{
		"healthy before": {"the check has not seen the new version", given(bakes("1m"), deploying(), reports(before(healthy))),
			[]string{"awaitChecks", waits}},
		"one of two": {"every check has to speak of the new version", given(bakes("1m"), deploying(), reports(before(healthy), healthy)),
			[]string{"awaitChecks", waits}},
		"not applied": {"Flux has not applied it", given(bakes("1m"), deploying(), reports(healthy), target(func(t *Target) { t.Applied = false })),
			[]string{"awaitTargets", "waits for Kustomization app: NotApplied"}},
		"suspended": {"Flux never will", given(bakes("1m"), deploying(), target(func(t *Target) { t.Applied, t.Suspended = false, true })),
			[]string{"awaitTargets", "waits for Kustomization app: FluxSuspended"}},
		"not set up": {"it is not the fault of the release, however long it lasts", given(bakes("1m"), deploying(), reports(unhealthy), late, target(func(t *Target) { t.Applied, t.Setup = false, v1alpha1.ReasonTargetMisconfigured })),
			[]string{"awaitTargets", "waits for Kustomization app: FluxMisconfigured", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"not ready": {"nor is that", given(deploying(), late, target(func(t *Target) { t.Applied, t.Setup = false, v1alpha1.ReasonTargetNotReady })),
			[]string{"awaitTargets", "waits for Kustomization app: FluxNotReady"}},
		"not ready in the bake": {"it is interrupted for as long as that lasts", given(bakes("1m"), baking(time.Hour), late, target(func(t *Target) { t.Applied, t.Setup = false, v1alpha1.ReasonTargetNotReady })),
			[]string{"interruptBake", "amend 2 InProgress", "waits for Kustomization app: FluxNotReady"}},
		"without a bake time": {"it is not Available either", given(deploying(), reports(before(healthy))), []string{"awaitChecks", waits}},
		"no target": {"nothing carries it", given(deploying(), func(o *Observation) { o.Targets = nil }),
			[]string{"awaitTargets", "waits for Rollout app: NoTargets"}},
		"for this version": {"now it may start", given(bakes("1m"), deploying(), reports(healthy)), []string{"startBake", "amend 2 InProgress"}},
		"red before":       {"the old version's failure is not the new one's", given(bakes("1m"), deploying(), reports(before(unhealthy))), []string{"awaitChecks", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"red, not tried": {"Flux has not tried the new version yet", given(bakes("1m"), deploying(), reports(unhealthy), target(func(t *Target) { t.Reached, t.Applied = false, false })),
			[]string{"awaitTargets", "waits for Kustomization app: NotApplied", "waits for HealthCheck check-0: CheckUnhealthy"}},
	})
}

func TestPendingAtTheEndOfTheBakeIsNoSuccess(t *testing.T) {
	check(t, map[string]decision{
		"pending":   {"nobody knows whether it is well", given(bakes("1m"), baking(time.Hour), reports(pending)), []string{"interruptBake", "amend 2 InProgress", "waits for HealthCheck check-0: CheckPending"}},
		"unknown":   {"the check could not be read", given(bakes("1m"), baking(time.Hour), reports(health.Report{State: v1alpha1.HealthUnknown})), []string{"interruptBake", "amend 2 InProgress", "waits for HealthCheck check-0: CheckPending"}},
		"unhealthy": {"without the time of an error", given(bakes("1m"), baking(time.Hour), reports(redSite)), []string{"failOnCheck", "amend 2 Failed", "isolate 1.2.0"}},
		"was unhealthy": {"between two looks", given(bakes("1m"), baking(time.Hour), reports(health.Report{State: "Healthy", Current: true, LastError: now.Add(-time.Minute)})),
			[]string{"failOnCheck", "amend 2 Failed", "isolate 1.2.0"}},
		"was pending": {"between two looks", given(bakes("1m"), baking(time.Hour), reports(health.Report{State: "Healthy", Current: true, Since: now.Add(-time.Second)})),
			[]string{"interruptBake", "amend 2 InProgress"}},
		"healthy": {"throughout", given(bakes("1m"), baking(time.Hour), reports(healthy)), []string{"finishBake", "amend 2 Succeeded", "lift 1.2.0"}},
	})
}

func TestEmptyGateHoldsTheFirstReleaseToo(t *testing.T) {
	first := func(o *Observation) { o.Status.History = nil }
	check(t, map[string]decision{
		"first release": {"a new Rollout waits like any other", given(first, gates(shut("approval"))), []string{"holdOnGates", "waits for RolloutGate approval: AwaitingApproval"}},
		"next release":  {"nobody has let it through", given(gates(shut("approval"))), []string{"holdOnGates", "waits for RolloutGate approval: AwaitingApproval"}},
		"asked to skip": {"the spec says that the first skips gates", given(first, gates(shut("approval")), spec(func(s *v1alpha1.RolloutSpec) { s.InitialDeployment = "SkipGates" })),
			[]string{"deployNext", "record 1 1.2.0 Automatic"}},
		"hand-over": {"a gate that closes after the decision holds as well", given(deploying(), gates(shut("approval")), target(func(t *Target) { *t = Target{Value: "1.1.0"} })),
			[]string{"holdHandover", "amend 2 Deploying", "waits for RolloutGate approval: AwaitingApproval"}},
		"moved tag": {"the value is there already, the release is another", given(deploying(), gates(shut("approval")), target(func(t *Target) { *t = Target{Value: "1.2.0"} })),
			[]string{"holdHandover", "amend 2 Deploying", "waits for RolloutGate approval: AwaitingApproval"}},
		"second target": {"what has begun is not left half done", given(deploying(), gates(shut("approval")), func(o *Observation) { o.Targets = append(o.Targets, Target{Name: "b", Value: "1.1.0"}) }),
			[]string{"pinTargets", "pin 1.2.0 u/2/0", "waits for  b: NotApplied"}},
	})
}

func TestForceDeployIsUsedOnce(t *testing.T) {
	force := func(tag string) edit { return annotation(v1alpha1.AnnotationForceDeploy, tag) }
	check(t, map[string]decision{
		"D10 of what runs is used up": {"nothing is frozen by it", given(force("1.1.0")), []string{"forceDeploy", "use force-deploy"}},
		"D10 under a pin is used up":  {"it does not fire when the pin goes", given(pinned("1.1.0"), force("1.2.0")), []string{"ignoreForceUnderPin", "amend 1 Succeeded", "use force-deploy"}},
		"D10 of an unknown version":   {"is no endless error", given(force("9")), []string{"forceDeploy", "use force-deploy"}},
		"of an illegal version":       {"is never handed on", given(force("../evil")), []string{"forceDeploy", "use force-deploy"}},
		"used up before":              {"the note says so, whatever crashed since", given(force("1.2.0"), handled(v1alpha1.AnnotationForceDeploy, "1.2.0"), known("1.1.0")), []string{"rest", "clear 1"}},
		"past gates and health": {"a person says so", given(force("1.2.0"), gates(shut("g")), reports(redSite)),
			[]string{"forceDeploy", "use force-deploy", "record 2 1.2.0 ForceDeploy recovery"}},
		"of what a gate keeps from Flux": {"it is not what runs", given(force("1.2.0"), deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }), gates(shut("g")), target(func(t *Target) { *t = Target{Value: "1.1.0"} })),
			[]string{"forceDeploy", "amend 2 Cancelled", "use force-deploy", "record 3 1.2.0 ForceDeploy"}},
		"goes on by itself afterwards": {"with what came later", given(history(entry(2, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseForceDeploy), knowing("1.2.0"))), known("1.1.0", "1.2.0", "1.3.0")),
			[]string{"deployNext", "record 3 1.3.0 Automatic"}},
	})
}

func TestUnpinning(t *testing.T) {
	pin := because(v1alpha1.CausePin)
	check(t, map[string]decision{
		"D11 a custom tag is not stuck": {"what comes later is newer", given(history(entry(2, "custom", v1alpha1.BakeSucceeded, pin, knowing("1.2.0"))), known("1.1.0", "1.2.0", "1.3.0")),
			[]string{"deployNext", "amend 2 Succeeded", "record 3 1.3.0 Automatic"}},
		"D11 a custom tag before anything was known": {"everything is newer", given(history(entry(2, "custom", v1alpha1.BakeSucceeded, pin))), []string{"deployNext", "amend 2 Succeeded", "record 3 1.2.0 Automatic"}},
		"D11 an older version":                       {"the bad one is not deployed again", given(history(entry(2, "1.1.0", v1alpha1.BakeSucceeded, pin, knowing("1.2.0")))), []string{"rest", "amend 2 Succeeded", "waits for ImagePolicy images: DeployedByHand"}},
		"still pinned":                               {"nothing newer is taken", given(pinned("1.1.0")), []string{"stayPinned", "amend 1 Succeeded", "waits for Rollout app: Pinned"}},
		"pinned to what a gate keeps from Flux": {"a pin goes past gates", given(pinned("1.2.0"), deploying(), gates(shut("g")), target(func(t *Target) { *t = Target{Value: "1.1.0"} })),
			[]string{"followPin", "amend 2 Cancelled", "record 3 1.2.0 Pin"}},
		"pinned and failed": {"automation does not take it back", given(pinned("1.2.0"), failing(pin), spec(func(s *v1alpha1.RolloutSpec) { s.OnFailure = "Rollback" })),
			[]string{"stayPinned", "waits for Rollout app: Pinned"}},
	})
}

func TestRecoveryMode(t *testing.T) {
	recovering := func(e *v1alpha1.DeploymentHistoryEntry) { e.Recovery, e.Cause = true, v1alpha1.CausePin }
	check(t, map[string]decision{
		"D12 not while a bake is healthy": {"replacing a healthy release is no recovery", given(baking(time.Second), pinned("1.1.0"), reports(healthy)),
			[]string{"followPin", "amend 2 Cancelled", "record 3 1.1.0 Pin"}},
		"not while checks are pending":      {"only red is red", given(pinned("1.2.0"), reports(pending)), []string{"followPin", "record 2 1.2.0 Pin"}},
		"entered when red":                  {"fixing forward must be possible", given(pinned("1.2.0"), reports(redSite)), []string{"followPin", "record 2 1.2.0 Pin recovery"}},
		"never by automation":               {"it waits instead", given(reports(redSite)), []string{"holdOnHealth", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"red does not count at first":       {"it was red before", given(pinned("1.2.0"), deploying(recovering), reports(unhealthy)), []string{"awaitChecks", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"D12 ends when green":               {"then it bakes", given(pinned("1.2.0"), bakes("1m"), deploying(recovering), reports(healthy)), []string{"startBake", "amend 2 InProgress"}},
		"D12 red in the bake is no success": {"it was green, and is not any more", given(pinned("1.2.0"), bakes("1m"), baking(time.Hour, recovering), reports(unhealthy)), []string{"failOnCheck", "amend 2 Failed", "isolate 1.2.0"}},
		"D12 ends with the time for it": {"it does not wait for ever", given(pinned("1.2.0"), deploying(recovering), reports(unhealthy), spec(func(s *v1alpha1.RolloutSpec) { d := v1alpha1.Duration("5m"); s.DeployTimeout = &d })),
			[]string{"failOnTimeout", "amend 2 Failed", "isolate 1.2.0"}},
	})
}

func TestDriftAndLateTargets(t *testing.T) {
	check(t, map[string]decision{
		"D13 drift":                      {"what was edited by hand is put back", given(known("1.1.0"), target(func(t *Target) { t.Value = "0.9" })), []string{"pinTargets", "pin 1.1.0 u/1/0 drift"}},
		"D13 a target that comes late":   {"is given the version", given(known("1.1.0"), func(o *Observation) { o.Targets = append(o.Targets, Target{Name: "late"}) }), []string{"pinTargets", "pin 1.1.0 u/1/0", "waits for  late: NotApplied"}},
		"drift while a newer one waits":  {"what runs is put back", given(deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }), gates(shut("g")), target(func(t *Target) { *t = Target{Value: "0.9"} })), []string{"restoreTargets", "pin 1.1.0 u/1/0 drift"}},
		"drift in the bake":              {"it starts anew", given(bakes("1m"), baking(time.Second), target(func(t *Target) { t.Value, t.Applied = "0.9", false })), []string{"interruptBake", "amend 2 InProgress", "waits for Kustomization app: NotApplied"}},
		"drift in the bake, applied":     {"it starts anew too", given(bakes("1m"), baking(time.Second), target(func(t *Target) { t.Value, t.Applied = "0.9", true })), []string{"interruptBake", "amend 2 InProgress", "waits for Kustomization app: NotApplied"}},
		"drift while suspended":          {"nothing is written", given(known("1.1.0"), target(func(t *Target) { t.Value = "0.9" }), spec(func(s *v1alpha1.RolloutSpec) { s.Suspend = true })), []string{"suspend", "waits for Rollout app: Suspended"}},
		"D16 every variable":             {"not one of them at random", given(known("1.1.0"), func(o *Observation) { o.Targets = []Target{{Variable: "A"}, {Variable: "B"}} }), []string{"pinTargets", "pin 1.1.0 u/1/0 first", "waits for  : NotApplied", "waits for  : NotApplied"}},
		"D17 an overridden target":       {"is reported, and the release is not Available", given(deploying(), target(func(t *Target) { *t = Target{Kind: "OCIRepository", Name: "app", Asked: true, Problem: "semver wins"} })), []string{"awaitTargets", "waits for OCIRepository app: Overridden"}},
		"D17 is no reason to write more": {"it would never end", given(known("1.1.0"), target(func(t *Target) { t.Value, t.Problem = "0.9", "digest wins" })), []string{"rest", "waits for Kustomization app: Overridden"}},
		"D17 the same version":           {"what was deployed runs", given(known("1.1.0"), target(func(t *Target) { t.Problem = "digest wins" })), []string{"rest"}},
		"another owner in the bake":      {"the version that it put back is not the release", given(bakes("1m"), baking(time.Second), reports(unhealthy), target(func(t *Target) { t.Value, t.Applied, t.Problem = "0.9", false, "Git holds it" })), []string{"interruptBake", "amend 2 InProgress", "waits for Kustomization app: Overridden", "waits for HealthCheck check-0: CheckUnhealthy"}},
		"not what failed and never ran":  {"a late target is not given what was never handed over", given(failing(func(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }), target(func(t *Target) { *t = Target{Value: "1.1.0"} })), []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}},
	})
}

func TestSharedChecks(t *testing.T) {
	check(t, map[string]decision{
		"D18 the deployment of another Rollout": {"a check without a verdict holds, it does not fail", given(bakes("1m"), baking(time.Second), reports(pending)), []string{"interruptBake", "amend 2 InProgress", "waits for HealthCheck check-0: CheckPending"}},
		"D20 no check is selected":              {"a selector that selects nothing holds", given(bakes("1m"), deploying(), func(o *Observation) { o.Health.Problem = "selects nothing" }), []string{"awaitChecks", "waits for Rollout app: NoHealthChecks"}},
		"D20 checks deleted in the bake":        {"that is not healthy", given(bakes("1m"), baking(time.Hour), func(o *Observation) { o.Health.Problem = "selects nothing" }), []string{"interruptBake", "amend 2 InProgress", "waits for Rollout app: NoHealthChecks"}},
		"a listing that fails":                  {"is not healthy either", given(func(o *Observation) { o.Health.Problem = "cannot be listed" }), []string{"holdOnHealth", "waits for Rollout app: NoHealthChecks"}},
		"an unknown check":                      {"holds the next release", given(reports(health.Report{State: v1alpha1.HealthUnknown})), []string{"holdOnHealth", "waits for HealthCheck check-0: CheckPending"}},
		"red because of what failed":            {"does not hold what repairs it", given(failing(), known("1.1.0", "1.2.0", "1.3.0"), reports(unhealthy), spec(func(s *v1alpha1.RolloutSpec) { s.AfterFailure = "AllowNewer" })), []string{"deployNext", "record 3 1.3.0 Automatic"}},
	})
}

func TestHealthThatRecoversNeedsNoPolling(t *testing.T) {
	red := Decide(given(reports(redSite)))
	if red.Rule != "holdOnHealth" || !red.Again.IsZero() {
		t.Errorf("%s wants to look again at %s: the change of the check is what wakes it", red.Rule, red.Again)
	}
	if green := Decide(given(reports(healthy))); green.Rule != "deployNext" {
		t.Errorf("%s, although all is well again", green.Rule)
	}
}

func TestTokensDifferBetweenRolloutsOfOneName(t *testing.T) {
	e := entry(1, "1.1.0", v1alpha1.BakeDeploying)
	if Token("a", &e) == Token("b", &e) {
		t.Error("a Rollout that was created anew would take what Flux did for the old one for its own")
	}
	again := e
	again.LastRetryTimestamp = ceil(now)
	if Token("a", &e) == Token("a", &again) {
		t.Error("a retry would not be seen by Flux")
	}
	d := Decide(given(failing(func(e *v1alpha1.DeploymentHistoryEntry) { e.LastRetryTimestamp = ceil(now) }), annotation(v1alpha1.AnnotationRetry, "x")))
	for _, a := range d.Actions {
		if a, ok := a.(Amend); ok && a.Entry.LastRetryTimestamp.Equal(ceil(now)) {
			t.Error("two retries within a second are one for Flux")
		}
	}
}

func TestInvalidSpecsStallAlone(t *testing.T) {
	invalid := []string{"rejectSpec", "waits for Rollout app: InvalidSpec"}
	timeout := func(d v1alpha1.Duration) edit {
		return spec(func(s *v1alpha1.RolloutSpec) { s.DeployTimeout = &d })
	}
	check(t, map[string]decision{
		"D45 empty wantedVersion": {"the empty tag is never deployed", given(pinned("")), invalid},
		"D45 illegal pin":         {"ends in YAML", given(pinned("1\nx: y")), invalid},
		"absurd bakeTime":         {"no decoder must fail on it", given(bakes("9999999999999999999h")), invalid},
		"negative bakeTime":       {"nothing bakes backwards", given(bakes("-1s")), invalid},
		"a bakeTime of years":     {"is a mistake", given(bakes("87600h")), invalid},
		"empty bakeTime":          {"is no duration", given(bakes("")), invalid},
		"absurd deployTimeout":    {"no decoder must fail on it", given(timeout("soon")), invalid},
		"the longest allowed":     {"one year", given(bakes("8760h"), known("1.1.0")), []string{"rest"}},
	})
}

func TestOneShotAnnotationsAreUsedByTheWriteOfTheIntent(t *testing.T) {
	three := known("1.1.0", "1.2.0", "1.3.0")
	check(t, map[string]decision{
		"bypass": {"and the next release waits again", given(annotation(v1alpha1.AnnotationBypassGates, "1.2.0"), gates(shut("g"))), []string{"deployNext", "use bypass-gates", "record 2 1.2.0 Automatic"}},
		"bypass that was used": {"whatever crashed since", given(annotation(v1alpha1.AnnotationBypassGates, "1.2.0"), handled(v1alpha1.AnnotationBypassGates, "1.2.0"), gates(shut("g"))),
			[]string{"holdOnGates", "clear 1", "waits for RolloutGate g: AwaitingApproval"}},
		"bypass of another release": {"does not let this one past", given(annotation(v1alpha1.AnnotationBypassGates, "9"), gates(shut("g"))), []string{"holdOnGates", "waits for RolloutGate g: AwaitingApproval"}},
		"bypass of what a gate keeps from Flux": {"lets it go on", given(annotation(v1alpha1.AnnotationBypassGates, "1.2.0"), deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.InterruptedTime = ceil(now) }), gates(shut("g")), target(func(t *Target) { *t = Target{Value: "1.1.0"} })),
			[]string{"holdHandover", "amend 2 Deploying", "use bypass-gates"}},
		"unblock": {"and the next failure blocks again", given(failing(), three, annotation(v1alpha1.AnnotationUnblockFailed, "true")), []string{"deployNext", "use unblock-failed", "record 3 1.3.0 Automatic"}},
		"unblock that was used": {"yesterday's click lets nothing past", given(failing(), three, annotation(v1alpha1.AnnotationUnblockFailed, "true"), handled(v1alpha1.AnnotationUnblockFailed, "true")),
			[]string{"blockAfterFailure", "clear 1", "waits for Rollout app: PreviousFailed"}},
		"unblock before a failure": {"does not let past a later one", given(known("1.1.0"), annotation(v1alpha1.AnnotationUnblockFailed, "true")), []string{"ignoreUnblock", "use unblock-failed"}},
		"unblock of a pause": {"it fails, and that was all", given(baking(time.Second, func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = ceil(now) }), annotation(v1alpha1.AnnotationUnblockFailed, "true")),
			[]string{"awaitPerson", "amend 2 Failed", "isolate 1.2.0", "use unblock-failed"}},
		"retry":                 {"runs it once more", given(failing(), quarantined("1.2.0"), annotation(v1alpha1.AnnotationRetry, "x")), []string{"retry", "use retry", "lift 1.2.0", "amend 2 Deploying"}},
		"retry of what is well": {"is used up", given(annotation(v1alpha1.AnnotationRetry, "x")), []string{"retry", "use retry"}},
		"removed":               {"the note is forgotten", given(known("1.1.0"), handled(v1alpha1.AnnotationRetry, "x")), []string{"rest", "forget retry"}},
		"set anew":              {"it is another request", given(failing(), annotation(v1alpha1.AnnotationRetry, "y"), handled(v1alpha1.AnnotationRetry, "x")), []string{"retry", "forget retry", "use retry", "lift 1.2.0", "amend 2 Deploying"}},
		"lift": {"a person says why", given(failing(), quarantined("1.2.0"), annotation(v1alpha1.AnnotationLiftQuarantine, "1.2.0 it was the database")),
			[]string{"liftQuarantine", "use lift-quarantine", "lift 1.2.0"}},
		"lift without a reason": {"is not followed, and says what to write", given(failing(), quarantined("1.2.0"), annotation(v1alpha1.AnnotationLiftQuarantine, "1.2.0")),
			[]string{"liftQuarantine", "use lift-quarantine"}},
		"lift of what is well": {"is used up, and says so", given(quarantined("1.2.0"), annotation(v1alpha1.AnnotationLiftQuarantine, "1.1.0 it was the database")),
			[]string{"liftQuarantine", "use lift-quarantine"}},
	})
}

func TestFailOpen(t *testing.T) {
	check(t, map[string]decision{
		"a moved tag is noticed": {"the digest is compared", given(known("1.1.0"), func(o *Observation) {
			o.Status.AvailableReleases[0].Digest, o.Status.History[0].Version.Digest = digest("a"), digest("a")
			o.Policy.Digest = digest("b")
		}), []string{"rest", "discover 1.1.0", "waits for ImagePolicy images: TagMoved"}},
		"text that is no tag":    {"never becomes a release", given(known("1.1.0"), func(o *Observation) { o.Policy.Tag = "1\rprivileged: true" }), []string{"rest", "waits for ImagePolicy images: IllegalTag"}},
		"text that is no digest": {"never becomes a release", given(known("1.1.0"), func(o *Observation) { o.Policy.Tag, o.Policy.Digest = "1.2.0", "md5:x" }), []string{"rest", "waits for ImagePolicy images: IllegalTag"}},
		"nobody looked for hours": {"the bake is judged by what the checks say of that time", given(bakes("1m"), baking(2*time.Hour), reports(health.Report{State: "Healthy", Current: true, LastError: now.Add(-time.Hour)})),
			[]string{"failOnCheck", "amend 2 Failed", "isolate 1.2.0"}},
		"the clock jumped forwards": {"what the process has seen of the bake counts", given(bakes("1m"), baking(time.Hour), func(o *Observation) { d := 30 * time.Second; o.Elapsed = &d }),
			[]string{"keepBaking", "waits for Rollout app: Baking"}},
		"the clock was set back": {"a check of the future interrupts the bake once", given(bakes("1m"), baking(-time.Hour), reports(health.Report{State: "Healthy", Current: true, Since: now.Add(time.Hour)})),
			[]string{"keepBaking", "waits for Rollout app: Baking"}},
		"a quarantined release": {"is never a candidate", given(quarantined("1.2.0")), []string{"rest", "waits for ImagePolicy images: Quarantined"}},
		"a retried failure": {"from before the retry does not count", given(deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.LastRetryTimestamp = ceil(now) }), reports(health.Report{State: "Unhealthy", Current: true, ByRevision: true, Since: now.Add(-time.Hour)})),
			[]string{"awaitChecks", "waits for HealthCheck check-0: CheckUnhealthy"}},
	})
}

func digest(of string) string { return "sha256:" + strings.Repeat(of, 64) }

func TestFailure(t *testing.T) {
	rollback := spec(func(s *v1alpha1.RolloutSpec) { s.OnFailure = "Rollback" })
	floor := func(tag string) edit { return spec(func(s *v1alpha1.RolloutSpec) { s.RollbackFloor = tag }) }
	check(t, map[string]decision{
		"halt":                          {"the default", given(failing(), quarantined("1.2.0")), []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}},
		"rollback":                      {"to the last Available release", given(failing(), rollback), []string{"rollBack", "record 3 1.1.0 Rollback"}},
		"rollback at a gate":            {"gates hold it like any other", given(failing(), rollback, gates(shut("g"))), []string{"blockAfterFailure", "waits for RolloutGate g: AwaitingApproval", "waits for Rollout app: PreviousFailed"}},
		"rollback at a gate, repaired":  {"a newer release that gates admit goes out instead", given(failing(), rollback, known("1.1.0", "1.2.0", "1.3.0"), gates(allowing("1.3.0")), spec(func(s *v1alpha1.RolloutSpec) { s.AfterFailure = "AllowNewer" })), []string{"deployNext", "record 3 1.3.0 Automatic"}},
		"rollback that fails":           {"once is enough", given(history(entry(3, "1.1.0", v1alpha1.BakeFailed, because(v1alpha1.CauseRollback)), entry(2, "1.2.0", v1alpha1.BakeFailed)), rollback), []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}},
		"rollback of a person's":        {"automation does not undo it", given(failing(because(v1alpha1.CauseForceDeploy)), rollback), []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}},
		"rollback before drift":         {"a write that is refused must not keep it from happening", given(failing(), rollback, func(o *Observation) { o.Targets = append(o.Targets, Target{Name: "b"}) }), []string{"rollBack", "record 3 1.1.0 Rollback"}},
		"floor of the spec":             {"it halts and says so", given(failing(), rollback, floor("1.2.0")), []string{"blockAfterFailure", "waits for Rollout app: BelowRollbackFloor"}},
		"floor that is not known":       {"forbids", given(failing(), rollback, floor("9")), []string{"blockAfterFailure", "waits for Rollout app: BelowRollbackFloor"}},
		"floor that is met":             {"the floor itself may be gone back to", given(failing(), rollback, floor("1.1.0")), []string{"rollBack", "record 3 1.1.0 Rollback"}},
		"floor of the image":            {"of the release that failed", given(failing(), rollback, func(o *Observation) { o.Details = []Details{withFloor("1.2.0", "1.2.0")} }), []string{"blockAfterFailure", "waits for Rollout app: BelowRollbackFloor"}},
		"nothing to go back to":         {"it halts", given(failing(), rollback, quarantined("1.1.0")), []string{"blockAfterFailure", "waits for Rollout app: PreviousFailed"}},
		"pause":                         {"a person decides", given(bakes("1m"), baking(time.Second), reports(unhealthy), spec(func(s *v1alpha1.RolloutSpec) { s.OnFailure = "Pause" })), []string{"failOnCheck", "amend 2 InProgress paused", "waits for Rollout app: Paused"}},
		"paused, and healthy":           {"a person decides", given(bakes("1m"), baking(time.Hour, func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = ceil(now) }), reports(healthy)), []string{"awaitPerson", "waits for Rollout app: Paused"}},
		"after a rollback":              {"newer releases wait for a person", given(history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), known("1.1.0", "1.2.0", "1.3.0")), []string{"blockAfterFailure", "waits for Rollout app: RolledBack"}},
		"after a rollback, nothing new": {"automation is halted, and says so", given(history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), known("1.1.0", "1.2.0")), []string{"blockAfterFailure", "waits for Rollout app: RolledBack"}},
		"after a rollback, lifted":      {"what failed may be tried again", given(history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), spec(func(s *v1alpha1.RolloutSpec) { s.AfterFailure = "AllowNewer" })), []string{"deployNext", "record 4 1.2.0 Automatic"}},
		"after a rollback, in between":  {"what was skipped before the failure stays skipped", given(history(entry(3, "1.0.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), known("1.0.0", "1.1.0", "1.2.0"), spec(func(s *v1alpha1.RolloutSpec) { s.AfterFailure = "AllowNewer" })), []string{"rest", "waits for ImagePolicy images: Quarantined"}},
	})
}

func allowing(tags ...string) *v1alpha1.RolloutGate {
	return &v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{AllowedVersions: &tags}}
}

func taking(id int64) func(*v1alpha1.DeploymentHistoryEntry) {
	return func(e *v1alpha1.DeploymentHistoryEntry) { e.RollbackOf = &id }
}

func withFloor(tag, floor string) Details {
	return Details{Release: v1alpha1.ReleaseIdentity{Tag: tag}, ReleaseDetails: v1alpha1.ReleaseDetails{RollbackFloor: floor}}
}

func TestDetailsThatComeLaterAreFilledInOnce(t *testing.T) {
	created := metav1.NewTime(now)
	o := given(known("1.1.0"), func(o *Observation) {
		o.Details = []Details{{Release: v1alpha1.ReleaseIdentity{Tag: "1.1.0"}, ReleaseDetails: v1alpha1.ReleaseDetails{Revision: "abc", Version: "v1", Created: &created}}}
	})
	d := Decide(o)
	st := Project(o, d, nil)
	for _, v := range []v1alpha1.VersionInfo{st.AvailableReleases[0], st.History[0].Version} {
		if text(v.Revision) != "abc" || text(v.Version) != "v1" || !v.Created.Equal(&created) {
			t.Errorf("%+v", v)
		}
	}
	o.Status, o.Details[0].Revision = st, "other"
	if got := Project(o, Decide(o), nil); text(got.AvailableReleases[0].Revision) != "abc" {
		t.Error("what is on record changed")
	}
}
