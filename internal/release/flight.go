package release

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// awaitPerson leaves a paused release to a person, who retries, replaces or fails it. Targets are still restored.
func awaitPerson(s *situation) (Decision, bool) {
	h := s.at(stagePaused)
	if h == nil {
		return Decision{}, false
	}
	if s.unblocked() {
		d := s.fail(h, v1alpha1.OnFailureHalt, "Failed by a person while it was paused", h.FailedHealthChecks)
		d.Actions = append(d.Actions, Handle{
			v1alpha1.AnnotationUnblockFailed, s.Annotations[v1alpha1.AnnotationUnblockFailed],
		})
		return d, true
	}
	if s.targetsDiffer(h) || s.targetsDrifted() {
		return Decision{}, false
	}
	return Decision{Blocked: s.paused(h)}, true
}

// paused returns what a paused release waits for.
func (s *situation) paused(h *v1alpha1.DeploymentHistoryEntry) []v1alpha1.Blocker {
	return []v1alpha1.Blocker{{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonPaused, Message: text(h.BakeStatusMessage), Since: h.PausedTime,
		ClearedBy: "a person: retry, force-deploy, wantedVersion, or unblock-failed to let it fail",
	}}
}

// restoreTargets restores the running version on targets while a newer deployment is withheld.
func restoreTargets(s *situation) (Decision, bool) {
	if !s.targetsDrifted() {
		return Decision{}, false
	}
	runs := s.running()
	return Decision{Actions: []Action{Pin{Version: runs.Version, Token: Token(s.UID, runs),
		Drift: s.showsOtherVersion(runs, nil)}}}, true
}

// holdUnreleasable withholds a version that may not be deployed any more, or replaces it. A version that a person chose
// continues once it may be deployed again; automation evaluates its gates first.
func holdUnreleasable(s *situation) (Decision, bool) {
	h := s.deploying()
	if h == nil {
		return Decision{}, false
	}
	if b := s.handoverProblem(h); b != nil {
		return s.hold(h, []v1alpha1.Blocker{*b}, time.Time{}, "Held before it was handed to Flux: "+b.Message), true
	}
	if !s.isResumable(h) {
		return Decision{}, false
	}
	return Decision{Actions: []Action{Amend{s.resumedEntry(h)}}, Again: s.Now}, true
}

// isResumable reports whether a manual deployment was withheld and nothing holds it any more.
func (s *situation) isResumable(h *v1alpha1.DeploymentHistoryEntry) bool {
	return s.stage == stageWithheld && ByHand(h) && s.handoverProblem(h) == nil
}

// holdHandover withholds a version if a gate has closed between the decision and the first write. It waits, or another
// release takes its place. Once one target has the version, the others follow.
func holdHandover(s *situation) (Decision, bool) {
	h := s.awaitsGates()
	if h == nil {
		return Decision{}, false
	}
	shut, sick := s.closedGates(h), s.healthBlockersFor(h.Version)
	switch {
	case len(shut) == 0 && s.stage == stageRecorded:
		return Decision{}, false
	case len(sick) > 0 && s.stage == stageWithheld:
		if d, ok := s.deployInstead(h); ok {
			return d, true
		}
		return Decision{Blocked: sick}, true
	case len(shut) == 0, s.mayBypass(h, shut):
		return s.resumeHandover(h, shut), true
	}
	return s.hold(h, gateBlockers(shut), s.again(shut), "Waits at a gate that closed before it was handed to Flux"), true
}

// handoverProblem returns why a withheld deployment must not be handed over any more; nil if it may be.
func (s *situation) handoverProblem(h *v1alpha1.DeploymentHistoryEntry) *v1alpha1.Blocker {
	if h == nil || s.wasHandedOver() {
		return nil
	}
	switch {
	case !ByHand(h) && s.quarantined(h.Version):
		return s.quarantinedBlocker(h.Version)
	case h.Cause == v1alpha1.CauseAutomatic && s.withdrawn(h.Version):
		return s.withdrawnBlocker(h.Version)
	}
	return s.handoverIdentityProblem(h)
}

// handoverIdentityProblem returns what is wrong with the tag or digest of a deployment that is not handed over yet.
func (s *situation) handoverIdentityProblem(h *v1alpha1.DeploymentHistoryEntry) *v1alpha1.Blocker {
	b := s.identityProblem(h.Version)
	if b != nil && b.Reason == v1alpha1.ReasonNoDigest && ByHand(h) {
		return nil // targets that need no digest get the version
	}
	return b
}

// hold withholds a deployment, or replaces it with a release that nothing holds.
func (s *situation) hold(
	h *v1alpha1.DeploymentHistoryEntry, blocked []v1alpha1.Blocker, again time.Time, why string,
) Decision {
	if d, ok := s.deployInstead(h); ok {
		return d
	}
	d := Decision{Blocked: blocked, Again: again}
	if !withheld(h) {
		e := *h.DeepCopy()
		e.InterruptedTime = ceil(s.Now)
		setStatus(&e, v1alpha1.BakeDeploying, why)
		d.Actions = []Action{Amend{e}}
	}
	return d
}

// deployInstead replaces a withheld deployment with a release that nothing holds.
func (s *situation) deployInstead(h *v1alpha1.DeploymentHistoryEntry) (Decision, bool) {
	next, bypassed, ok := s.next()
	if !ok || s.pinned() != "" || !s.mayReplace(h) || len(s.healthBlockersFor(next)) > 0 {
		return Decision{}, false
	}
	return Decision{Actions: s.record(next, v1alpha1.CauseAutomatic, bypassed), Again: s.Now}, true
}

// mayReplace reports whether automation may replace a withheld deployment: its own, and one that can never be deployed,
// but no rollback while a failure stops automatic deployments.
func (s *situation) mayReplace(h *v1alpha1.DeploymentHistoryEntry) bool {
	if h.Cause == v1alpha1.CauseRollback && s.Spec.AfterFailure != v1alpha1.AfterFailureAllowNewer {
		return false
	}
	return h.Cause == v1alpha1.CauseAutomatic || s.handoverProblem(h) != nil
}

// closedGates returns the verdicts that hold a deployment and are not bypassed. When an Override expires, its gates
// hold the deployment again; a new Override has to be recorded first.
func (s *situation) closedGates(h *v1alpha1.DeploymentHistoryEntry) []gate.Verdict {
	list := s.activeOverrides(h)
	return slices.DeleteFunc(s.gates().Closed(version.Identity(h.Version)), func(v gate.Verdict) bool {
		recorded := slices.Contains(h.BypassedGates, v.Gate) || slices.Contains(h.BypassedGates, everyGate) &&
			s.coveredByWildcard(h, v)
		return recorded && (!s.covered(h.Overrides, v) || s.covered(list, v))
	})
}

// resumeHandover continues a withheld deployment as if it had been decided now, past the gates that are closed.
func (s *situation) resumeHandover(h *v1alpha1.DeploymentHistoryEntry, shut []gate.Verdict) Decision {
	e := s.resumedEntry(h)
	if len(shut) > 0 || len(s.healthBlockers()) > 0 {
		s.recordOverrides(&e)
	}
	if len(shut) == 0 {
		return Decision{Actions: []Action{Amend{e}}, Again: s.Now}
	}
	e.BypassedGates = names(s.gates().Closed(version.Identity(h.Version)))
	d := Decision{Actions: []Action{Amend{e}}, Again: s.Now}
	if value, ok := s.annotation(v1alpha1.AnnotationBypassGates); ok {
		d.Actions = append(d.Actions, Handle{v1alpha1.AnnotationBypassGates, value})
	}
	return d
}

// resumedEntry returns a withheld deployment as if it had been decided now.
func (s *situation) resumedEntry(h *v1alpha1.DeploymentHistoryEntry) v1alpha1.DeploymentHistoryEntry {
	e := *h.DeepCopy()
	e.InterruptedTime, e.LastRetryTimestamp, e.Timestamp = nil, nil, *ceil(s.Now)
	setStatus(&e, v1alpha1.BakeDeploying, waitsForFlux)
	return e
}

// failOnCheck fails a release if it makes a check unhealthy. A recovery fails only after the checks have been healthy.
func failOnCheck(s *situation) (Decision, bool) {
	h := s.inFlightUnpaused()
	if h == nil {
		return Decision{}, false
	}
	baking := s.stage == stageBaking || s.stage == stageInterrupted
	bad := slices.DeleteFunc(slices.Clone(s.Health.Reports), func(r health.Report) bool {
		if baking {
			return !s.failsBake(r, h)
		}
		// a version that does not run yet is not the cause
		return h.Recovery || s.fluxCannotApply() || !s.failsDeployment(r, h)
	})
	if len(bad) == 0 {
		return Decision{}, false
	}
	message := "A HealthCheck reported an error after deployment: "
	if baking {
		message = "A HealthCheck reported an error after bake started: "
	}
	return s.fail(h, s.Spec.OnFailure, message+describe(bad[0]), failed(bad)), true
}

// failsBake reports whether a check was unhealthy during the bake, and evaluates this release.
func (s *situation) failsBake(r health.Report, h *v1alpha1.DeploymentHistoryEntry) bool {
	return !s.isOverwritten(h) && (r.State == v1alpha1.HealthUnhealthy || r.FailedSince(h.BakeStartTime.Time))
}

// failsDeployment reports whether a report is about the release that is being deployed. A report by revision counts
// once every target has been reconciled, a report by time from the deployment on. Reports from before a retry never
// count.
func (s *situation) failsDeployment(r health.Report, h *v1alpha1.DeploymentHistoryEntry) bool {
	cutoff := Cutoff(h)
	if !r.ByRevision {
		return r.Bad() || r.FailedSince(cutoff)
	}
	old := h.LastRetryTimestamp != nil && r.Since.Before(cutoff)
	return r.Bad() && !old && !slices.ContainsFunc(s.Targets, func(t Target) bool { return !t.Reached })
}

// failOnTimeout fails a release if its bake has not started or continued within deployTimeout. A release that waits for
// nothing any more does not fail, because the controller may have been unable to observe it.
func failOnTimeout(s *situation) (Decision, bool) {
	h := s.inFlightUnpaused()
	deadline, waits := s.deadline(h), s.waits()
	if deadline.IsZero() || s.Now.Before(deadline) || len(waits) == 0 && !s.targetsDiffer(h) {
		return Decision{}, false
	}
	message := "Deploy timeout reached before bake could start"
	if s.stage == stageInterrupted {
		message = "Deploy timeout reached while the bake was interrupted"
	}
	if len(waits) > 0 {
		message += ": " + waits[0].Message
	}
	notGood := slices.DeleteFunc(slices.Clone(s.Health.Reports), health.Report.Good)
	return s.fail(h, s.Spec.OnFailure, message, failed(notGood)), true
}

// deadline returns when the wait for the bake ends; zero without a limit or a wait, or if a wrong set-up holds the
// release.
func (s *situation) deadline(h *v1alpha1.DeploymentHistoryEntry) time.Time {
	if h == nil || s.Spec.DeployTimeout == nil || NotSetUp(s.Targets) || s.stage == stageBaking {
		return time.Time{}
	}
	return s.Now.Add(duration(s.Spec.DeployTimeout) - s.elapsed(h))
}

// pinTargets writes the version to every target that does not have it: at first, for a new target, and after drift.
func pinTargets(s *situation) (Decision, bool) {
	h := s.head()
	if h == nil || !s.targetsDiffer(h) {
		return Decision{}, false
	}
	drift := s.showsOtherVersion(h, func(t Target) bool { return t.Asked })
	d := Decision{
		Actions: []Action{
			Pin{Version: h.Version, Token: Token(s.UID, h), First: !ByHand(h) && !s.handedOver(h), Drift: drift},
		},
		Blocked: s.waits(), Again: s.deadline(s.inFlightUnpaused()),
	}
	if s.stage == stagePaused {
		d.Blocked = s.paused(h)
	}
	return d, true
}

// interruptBake stops the bake while a check has no result or Flux has not settled, and starts it again afterwards.
func interruptBake(s *situation) (Decision, bool) {
	h := s.at(stageBaking, stageInterrupted)
	if h == nil || s.stage == stageInterrupted && s.targetsDiffer(h) {
		return Decision{}, false
	}
	waits := append(s.waits(), s.driftBlockers(h)...)
	if len(waits) == 0 && h.InterruptedTime == nil && !s.checkChanged(h) {
		return Decision{}, false
	}
	return s.interrupt(h, waits), true
}

// interrupt interrupts a bake, or starts it again if nothing is waited for any more.
func (s *situation) interrupt(h *v1alpha1.DeploymentHistoryEntry, waits []v1alpha1.Blocker) Decision {
	e := *h.DeepCopy()
	switch {
	case len(waits) == 0:
		e.InterruptedTime, e.BakeStartTime = nil, s.bakeStart(h)
		setStatus(&e, v1alpha1.BakeInProgress, "Baking in progress, started anew after an interruption")
	case h.InterruptedTime == nil:
		e.InterruptedTime = ceil(s.Now)
		setStatus(&e, v1alpha1.BakeInProgress, "Bake interrupted: "+waits[0].Message)
	default:
		return Decision{Blocked: waits, Again: s.deadline(h)}
	}
	return Decision{Actions: []Action{Amend{e}}, Blocked: waits, Again: s.Now}
}

// checkChanged reports whether a check had no result for a while: its state is from another time than at the last
// observation, or from after the start of the bake.
func (s *situation) checkChanged(h *v1alpha1.DeploymentHistoryEntry) bool {
	return slices.ContainsFunc(s.Health.Reports, func(r health.Report) bool {
		seen, known := evidence(r), false
		for _, last := range s.status.Checks {
			if last.Name != seen.Name {
				continue
			}
			known = true
			if last.Since.Equal(seen.Since) {
				return r.Since.After(h.BakeStartTime.Time)
			}
		}
		return known || r.Since.After(h.BakeStartTime.Time)
	})
}

// bakeStart returns when a bake starts: now, but not before the times of the checks, whose clocks may be ahead. A new
// bake never has the start of the previous one, because the start identifies a bake.
func (s *situation) bakeStart(h *v1alpha1.DeploymentHistoryEntry) *metav1.Time {
	start := ceil(s.Now)
	for _, r := range s.Health.Reports {
		if r.Since.After(start.Time) {
			start = ceil(r.Since)
		}
	}
	if start.Equal(h.BakeStartTime) {
		start = ceil(start.Add(time.Second))
	}
	return start
}

// awaitTargets waits until Flux has applied the version everywhere.
func awaitTargets(s *situation) (Decision, bool) {
	h, waits := s.deploying(), s.targetWaits()
	if h == nil || len(waits) == 0 {
		return Decision{}, false
	}
	return Decision{Blocked: s.waits(), Again: s.deadline(h)}, true
}

// awaitChecks waits until every selected check is healthy for the revision that was deployed.
func awaitChecks(s *situation) (Decision, bool) {
	h, waits := s.deploying(), s.checkWaits()
	if h == nil || len(waits) == 0 {
		return Decision{}, false
	}
	return Decision{Blocked: waits, Again: s.deadline(h)}, true
}

// startBake starts the bake. It does not apply without a bake time.
func startBake(s *situation) (Decision, bool) {
	h := s.deploying()
	if h == nil {
		return Decision{}, false
	}
	e := *h.DeepCopy()
	e.BakeStartTime, e.InterruptedTime = s.bakeStart(h), nil
	if duration(s.Spec.BakeTime) == 0 {
		return s.succeed(e, "Applied and healthy"), true
	}
	setStatus(&e, v1alpha1.BakeInProgress, "Baking in progress")
	return Decision{Actions: []Action{Amend{e}}, Again: s.Now}, true
}

// finishBake makes a release Available after its bake time.
func finishBake(s *situation) (Decision, bool) {
	h := s.at(stageBaking, stageInterrupted)
	if h == nil || s.elapsed(h) < duration(s.Spec.BakeTime) {
		return Decision{}, false
	}
	return s.succeed(*h.DeepCopy(), "Bake time completed successfully"), true
}

// keepBaking waits for the end of the bake.
func keepBaking(s *situation) (Decision, bool) {
	h := s.at(stageBaking, stageInterrupted)
	if h == nil {
		return Decision{}, false
	}
	end := s.Now.Add(duration(s.Spec.BakeTime) - s.elapsed(h))
	until := metav1.NewTime(h.BakeStartTime.Add(duration(s.Spec.BakeTime)))
	return Decision{Again: end, Blocked: []v1alpha1.Blocker{{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonBaking, Message: h.Version.Tag + " bakes",
		Since: h.BakeStartTime, Until: &until, ClearedBy: "time",
	}}}, true
}

func (s *situation) succeed(e v1alpha1.DeploymentHistoryEntry, message string) Decision {
	e.BakeEndTime = ceil(s.Now)
	setStatus(&e, v1alpha1.BakeSucceeded, message)
	d := Decision{Actions: []Action{Amend{e}}, Again: s.Now}
	if !s.isolatedSince(&e) {
		d.Actions = append(d.Actions, Lift{Release: version.Identity(e.Version)})
	}
	return d
}

// isolatedSince reports whether a person has quarantined the release of a deployment after it was decided: they know
// more than its checks.
func (s *situation) isolatedSince(e *v1alpha1.DeploymentHistoryEntry) bool {
	q := quarantine(s.status.Quarantined, version.Identity(e.Version))
	return q != nil && q.By != system && !q.Since.Time.Before(e.Timestamp.Time)
}

// fail ends a deployment as spec.onFailure says, and quarantines the release. A withheld automatic deployment is not
// handed over afterwards.
func (s *situation) fail(
	h *v1alpha1.DeploymentHistoryEntry, how v1alpha1.OnFailure, message string, checks []v1alpha1.FailedHealthCheck,
) Decision {
	e := *h.DeepCopy()
	e.FailedHealthChecks = checks
	s.markWithheld(&e)
	if how == v1alpha1.OnFailurePause {
		e.PausedTime = ceil(s.Now)
		setStatus(&e, statusOf(h), message)
		return Decision{Actions: []Action{Amend{e}}, Blocked: s.paused(&e), Again: s.Now, Rereads: true}
	}
	e.PausedTime, e.BakeEndTime = nil, ceil(s.Now)
	setStatus(&e, v1alpha1.BakeFailed, message)
	return Decision{Again: s.Now, Rereads: true, Actions: []Action{Amend{e}, Isolate{v1alpha1.Quarantine{
		ReleaseIdentity: version.Identity(e.Version), Reason: version.Clean(text(e.BakeStatusMessage), 128),
		Since: *ceil(s.Now), By: system,
	}}}}
}

// markWithheld records whether a deployment that ends was withheld. A manual deployment is still handed over.
func (s *situation) markWithheld(e *v1alpha1.DeploymentHistoryEntry) {
	switch {
	case e.BakeStartTime != nil:
	case s.reachedFlux() || ByHand(e):
		e.InterruptedTime = nil
	case e.InterruptedTime == nil:
		e.InterruptedTime = ceil(s.Now)
	}
}

// waits returns what a release in flight waits for: Flux first, then the checks.
func (s *situation) waits() []v1alpha1.Blocker {
	return append(s.targetWaits(), s.checkWaits()...)
}

func (s *situation) checkWaits() []v1alpha1.Blocker {
	var waits []v1alpha1.Blocker
	if s.Health.Problem != "" {
		waits = append(waits, v1alpha1.Blocker{
			Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonNoChecks, Message: s.Health.Problem,
			ClearedBy: "whoever may edit spec.healthCheckSelector or the checks",
		})
	}
	for _, r := range s.Health.Reports {
		if !r.Good() {
			waits = append(waits, checkBlocker(r))
		}
	}
	return waits
}

func checkBlocker(r health.Report) v1alpha1.Blocker {
	b := v1alpha1.Blocker{
		Kind: "HealthCheck", Name: r.Name, Reason: v1alpha1.ReasonCheckPending, Message: r.Message,
		ClearedBy: "HealthCheck " + r.Name + " reporting healthy",
	}
	switch {
	case r.State == v1alpha1.HealthUnhealthy:
		b.Reason = v1alpha1.ReasonCheckUnhealthy
	case !r.Current && r.State == v1alpha1.HealthHealthy:
		b.Message = "healthy, but not yet for the version that was deployed"
	}
	if b.Message == "" {
		b.Message = strings.ToLower(string(r.State)) + ", without a message"
	}
	return b
}

func failed(reports []health.Report) []v1alpha1.FailedHealthCheck {
	var list []v1alpha1.FailedHealthCheck
	for _, r := range reports[:min(len(reports), maxNamed)] {
		f := v1alpha1.FailedHealthCheck{Name: r.Name, Namespace: r.Namespace}
		if m := version.Clean(r.Message, 128); m != "" {
			f.Message = &m
		}
		list = append(list, f)
	}
	return list
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
