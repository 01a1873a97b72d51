package release

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// What a person can do about a failed release, and about one that was rolled back: there is nothing left to retry then.
const (
	clearedByPerson  = "a person: retry, unblock-failed, force-deploy or wantedVersion"
	clearedAfterBack = "a person: unblock-failed, force-deploy or wantedVersion"
)

// stayPinned leaves a pinned Rollout to the person who pinned it.
func stayPinned(s *situation) (Decision, bool) {
	if s.pinned() == "" {
		return Decision{}, false
	}
	if b := s.unconfirmedPin(); b != nil {
		return Decision{Blocked: []v1alpha1.Blocker{*b}, Again: s.PinnedTag.Until}, true
	}
	var blocked []v1alpha1.Blocker
	if h := s.head(); statusOf(h) == v1alpha1.BakeFailed || len(s.candidates()) > 0 || s.selectionDiffers() {
		blocked = []v1alpha1.Blocker{{
			Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonPinned,
			Message: "pinned to " + s.pinned() + " by spec.wantedVersion", ClearedBy: "whoever may edit spec.wantedVersion",
		}}
	}
	return Decision{Blocked: blocked}, true
}

// unconfirmedPin returns what holds a pin to a tag that the registry does not have, or that it has not confirmed yet:
// it may be a typing error. force-deploy of the same tag confirms it. A registry that cannot be read holds no pin.
func (s *situation) unconfirmedPin() *v1alpha1.Blocker {
	wanted := s.pinned()
	forced, ok := s.annotation(v1alpha1.AnnotationForceDeploy)
	if wanted == "" || ok && forced == wanted {
		return nil
	}
	b := v1alpha1.Blocker{Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonUnknownVersion}
	switch s.PinnedTag.State {
	case TagPending:
		b.Message, b.ClearedBy = "spec.wantedVersion is "+wanted+", which is no known release: the registry is being "+
			"asked for it", "the registry"
	case TagNotFound:
		b.Message = "spec.wantedVersion is " + wanted + ", and the registry has no such tag"
		b.ClearedBy = "correcting spec.wantedVersion, pushing the tag, or the annotation " + v1alpha1.AnnotationForceDeploy +
			": " + wanted + " to deploy it all the same"
	default:
		return nil
	}
	return &b
}

// rollBack deploys the last Available release again, once, unless a person chose the failed release or a floor forbids
// it. Gates hold it like any other deployment; until they open, a newer release may be deployed instead.
func rollBack(s *situation) (Decision, bool) {
	back := s.rollbackTarget()
	if back == nil || !s.gatesAdmit(back.Version) {
		return Decision{}, false
	}
	return Decision{Actions: s.record(back.Version, v1alpha1.CauseRollback, nil), Again: s.Now}, true
}

// rollbackTarget returns the deployment to roll back to, or nil. A withheld deployment needs no rollback.
func (s *situation) rollbackTarget() *v1alpha1.DeploymentHistoryEntry {
	back := RollbackTarget(s.Spec, &s.status)
	if back == nil || !s.reachedFlux() || s.belowFloor(back.Version) != "" || s.identityProblem(back.Version) != nil {
		return nil
	}
	return back
}

// RollbackTarget returns the deployment that is deployed again after the newest one failed, or nil. The targets of the
// Rollout and the rollback floors may still forbid it.
func RollbackTarget(spec v1alpha1.RolloutSpec, status *v1alpha1.RolloutStatus) *v1alpha1.DeploymentHistoryEntry {
	if len(status.History) == 0 {
		return nil
	}
	h := &status.History[0]
	pinned := spec.WantedVersion != nil && *spec.WantedVersion != ""
	if statusOf(h) != v1alpha1.BakeFailed || spec.OnFailure != v1alpha1.OnFailureRollback || pinned || ByHand(h) ||
		h.Cause == v1alpha1.CauseRollback {
		return nil
	}
	return LastGood(status)
}

// Gated returns the deployment that gates still hold: an automatic one in flight, or the target of a rollback. It
// returns nil if there is none.
func Gated(ro *v1alpha1.Rollout) *v1alpha1.DeploymentHistoryEntry {
	if len(ro.Status.History) == 0 {
		return nil
	}
	if h := &ro.Status.History[0]; statusOf(h) == v1alpha1.BakeDeploying && !ByHand(h) {
		return h
	}
	return RollbackTarget(ro.Spec, &ro.Status)
}

// Restorable reports whether a rollback may deploy a version again: it was Available and is not quarantined.
func Restorable(status *v1alpha1.RolloutStatus, e *v1alpha1.DeploymentHistoryEntry) bool {
	return statusOf(e) == v1alpha1.BakeSucceeded && quarantine(status.Quarantined, version.Identity(e.Version)) == nil
}

// LastGood returns the newest restorable deployment of another release than the newest one, or nil.
func LastGood(status *v1alpha1.RolloutStatus) *v1alpha1.DeploymentHistoryEntry {
	for i := 1; i < len(status.History); i++ {
		if e := &status.History[i]; Restorable(status, e) && !matches(e.Version, status.History[0].Version) {
			return e
		}
	}
	return nil
}

// belowFloor returns the floor that a version is below, or "". The spec and every release since that version set
// floors. An unknown floor forbids the rollback.
func (s *situation) belowFloor(v v1alpha1.VersionInfo) string {
	at := version.Index(s.status.AvailableReleases, version.Identity(v))
	for _, floor := range s.floors(v) {
		if f := s.newest(floor); f < 0 && floor != v.Tag || f > at {
			return floor
		}
	}
	return ""
}

// BelowFloor returns the rollback floor that a version is below, or "". Automation does not go below it; a person may.
func BelowFloor(
	spec v1alpha1.RolloutSpec, status v1alpha1.RolloutStatus, details []Details, v v1alpha1.VersionInfo,
) string {
	s := situation{Observation: Observation{Spec: spec, Details: details}, status: status}
	return s.belowFloor(v)
}

func (s *situation) floors(back v1alpha1.VersionInfo) []string {
	var floors []string
	if s.Spec.RollbackFloor != "" {
		floors = append(floors, s.Spec.RollbackFloor)
	}
	for _, e := range s.status.History {
		if matches(e.Version, back) {
			break
		}
		for _, d := range s.Details {
			if d.RollbackFloor != "" && version.Matches(d.Release, version.Identity(e.Version)) {
				floors = append(floors, d.RollbackFloor)
			}
		}
	}
	return floors
}

// halted reports whether a deployment failed, or is a rollback.
func halted(h *v1alpha1.DeploymentHistoryEntry) bool {
	return statusOf(h) == v1alpha1.BakeFailed || h.Cause == v1alpha1.CauseRollback
}

// blockAfterFailure stops automatic deployments after a failure until a person acts, unless spec.afterFailure allows
// newer releases.
func blockAfterFailure(s *situation) (Decision, bool) {
	if !s.haltedByFailure() || s.healthOverridden() {
		return Decision{}, false
	}
	return s.halt(s.failureBlocker(s.head())), true
}

// haltedByFailure reports whether a failure stops automatic deployments.
func (s *situation) haltedByFailure() bool {
	h := s.head()
	return h != nil && halted(h) && s.Spec.AfterFailure != v1alpha1.AfterFailureAllowNewer && !s.unblocked()
}

// halt waits for a person, or for the gates of a rollback.
func (s *situation) halt(b v1alpha1.Blocker) Decision {
	back := s.rollbackTarget()
	if back == nil {
		return Decision{Blocked: []v1alpha1.Blocker{b}}
	}
	shut := s.gates().Closed(version.Identity(back.Version))
	return Decision{
		Actions: s.requestApproval(back.Version, shut), Blocked: append(gateBlockers(shut), b), Again: s.again(shut),
	}
}

func (s *situation) failureBlocker(h *v1alpha1.DeploymentHistoryEntry) v1alpha1.Blocker {
	b := v1alpha1.Blocker{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonPreviousFailed, Since: h.BakeEndTime,
		ClearedBy: clearedByPerson,
		Message:   fmt.Sprintf("%s failed: %s", h.Version.Tag, text(h.BakeStatusMessage)),
	}
	switch back := LastGood(&s.status); {
	case h.Cause == v1alpha1.CauseRollback && statusOf(h) != v1alpha1.BakeFailed:
		b.Reason, b.ClearedBy = v1alpha1.ReasonRolledBack, clearedAfterBack
		b.Message = "rolled back to " + h.Version.Tag + s.afterFailureOf(h) + "; automatic deployments wait for a person"
	case s.Spec.OnFailure == v1alpha1.OnFailureRollback && !ByHand(h) && back != nil && s.belowFloor(back.Version) != "":
		b.Reason = v1alpha1.ReasonBelowRollbackFloor
		b.Message += fmt.Sprintf("; %s is below the rollback floor %s", back.Version.Tag, s.belowFloor(back.Version))
	}
	return b
}

// afterFailureOf returns the release that was rolled back.
func (s *situation) afterFailureOf(back *v1alpha1.DeploymentHistoryEntry) string {
	if failed := find(s.status.History, back.RollbackOf); failed != nil {
		return " because " + failed.Version.Tag + " failed"
	}
	return " after a failure"
}

// rest applies if there is no candidate.
func rest(s *situation) (Decision, bool) {
	if len(s.candidates()) > 0 {
		return Decision{}, false
	}
	h := s.head()
	switch {
	case h != nil && statusOf(h) == v1alpha1.BakeFailed:
		b := s.failureBlocker(h)
		b.ClearedBy = "a newer release, or " + clearedByPerson
		return s.halt(b), true
	}
	return Decision{Blocked: s.selectionBlockers()}, true
}

// policyBlocker returns why the ImagePolicy selects nothing.
func (s *situation) policyBlocker() v1alpha1.Blocker {
	b := v1alpha1.Blocker{
		Kind: "ImagePolicy", Name: s.Spec.ReleasesImagePolicy.Name, Reason: v1alpha1.ReasonNoReleases,
		Message: "the ImagePolicy has not selected a tag yet", ClearedBy: "Flux",
	}
	switch {
	case !s.Policy.Found:
		b.Reason = v1alpha1.ReasonImagePolicyNotFound
		b.Message = "ImagePolicy " + b.Name + " does not exist in the namespace of the Rollout"
		b.ClearedBy = "whoever may create it, or edit spec.releasesImagePolicy"
	case s.illegal != "":
		b.Reason, b.Message, b.ClearedBy = v1alpha1.ReasonIllegalTag, s.illegal,
			"whoever may edit the ImagePolicy, or push a legal tag"
	case s.Policy.Problem != "":
		b.Reason, b.Message = v1alpha1.ReasonImagePolicyNotReady, s.Policy.Problem
	}
	return b
}

func illegal(p Policy) string {
	if err := version.CheckTag(p.Tag); err != nil {
		return "the ImagePolicy selected " + err.Error()
	}
	if err := version.CheckDigest(p.Digest); err != nil {
		return "the ImagePolicy selected " + err.Error()
	}
	return ""
}

// holdOnGates waits until every gate is open for a candidate.
func holdOnGates(s *situation) (Decision, bool) {
	if _, _, ok := s.next(); ok {
		return Decision{}, false
	}
	v := s.firstCandidate()
	shut := s.blockingGates(v)
	d := Decision{Blocked: gateBlockers(shut), Again: s.again(shut)}
	if len(d.Blocked) > 0 {
		d.Blocked[0].Message += s.unusedOverrides(v)
	}
	if len(s.healthBlockersFor(v)) == 0 {
		d.Actions = s.requestApproval(v, shut)
	}
	for _, o := range s.overrides(v) {
		if d.Again.IsZero() || o.ExpiresAt.Time.Before(d.Again) {
			d.Again = o.ExpiresAt.Time
		}
	}
	return d, true
}

// holdOnHealth waits until the running version is healthy, unless an Override skips health.
func holdOnHealth(s *situation) (Decision, bool) {
	v, _, _ := s.next()
	sick := s.healthBlockersFor(v)
	return Decision{Blocked: sick}, len(sick) > 0
}

// settle delays the first deployment of a new Rollout, so that its gates and checks can be created first.
func settle(s *situation) (Decision, bool) {
	if s.head() != nil || !s.Now.Before(s.SettleUntil) || s.Spec.InitialDeployment == v1alpha1.InitialDeploymentSkipGates {
		return Decision{}, false
	}
	until := metav1.NewTime(s.SettleUntil)
	return Decision{Again: s.SettleUntil, Blocked: []v1alpha1.Blocker{{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonSettling, Until: &until, ClearedBy: "time",
		Message: "the Rollout is new: it waits for gates and health checks that may still be about to be created",
	}}}, true
}

// healthBlockersFor returns why a release waits for health; nothing if an Override skips it.
func (s *situation) healthBlockersFor(v v1alpha1.VersionInfo) []v1alpha1.Blocker {
	if bypasses(s.overrides(v), v1alpha1.BypassHealth) {
		return nil
	}
	return s.healthBlockers()
}

// healthBlockers returns why the running version is not healthy. Before the first deployment, only a selector without a
// check blocks. A check that the failed release made unhealthy does not hold the release that fixes it.
func (s *situation) healthBlockers() []v1alpha1.Blocker {
	var blocked []v1alpha1.Blocker
	if s.Health.Problem != "" {
		blocked = s.checkWaits()[:1]
	}
	h := s.head()
	if s.running() == nil {
		return blocked
	}
	for _, r := range s.Health.Reports {
		if holds(r) && !causedBy(h, r) {
			blocked = append(blocked, checkBlocker(r))
		}
	}
	return blocked
}

// holds reports whether a check holds automatic deployments.
func holds(r health.Report) bool {
	return r.State == v1alpha1.HealthUnhealthy || r.State == v1alpha1.HealthUnknown
}

// causedBy reports whether a check is unhealthy because of a deployment that failed.
func causedBy(h *v1alpha1.DeploymentHistoryEntry, r health.Report) bool {
	return statusOf(h) == v1alpha1.BakeFailed && r.ByRevision && r.Bad()
}

// deployNext deploys the candidate for which every gate is open.
func deployNext(s *situation) (Decision, bool) {
	v, bypassed, ok := s.next()
	if !ok {
		return Decision{}, false
	}
	return Decision{Actions: s.record(v, v1alpha1.CauseAutomatic, bypassed), Again: s.Now}, true
}

// candidates returns the releases that may be deployed automatically, oldest first: those that are newer than the
// running one and than what a person chose, up to the selected one. The selected one may be older if it is higher than
// the running one, or if spec.onDowngrade is Follow.
func (s *situation) candidates() []v1alpha1.VersionInfo {
	if s.eligible == nil {
		list := s.listCandidates()
		s.eligible = &list
	}
	return *s.eligible
}

func (s *situation) listCandidates() []v1alpha1.VersionInfo {
	known, p, from := s.status.AvailableReleases, s.selection(), s.firstNewer()
	if p >= 0 && p < from && s.returnsTo(p) {
		from = p
	}
	if p < from {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(known[from:p+1]), func(v v1alpha1.VersionInfo) bool {
		return s.quarantined(v) || s.identityProblem(v) != nil || s.withdrawn(v) || s.isDowngrade(v)
	})
}

// firstNewer returns the position of the oldest release that is newer than the last decision.
func (s *situation) firstNewer() int {
	known, h := s.status.AvailableReleases, s.head()
	if h == nil {
		return 0
	}
	at := version.Index(known, version.Identity(h.Version))
	switch {
	case h.Cause == v1alpha1.CauseRollback:
		at = max(at, s.rolledBackPosition(h))
	case ByHand(h) && h.NewestKnown != nil:
		at = max(at, version.Index(known, *h.NewestKnown))
	case h.Cause == "" && ByHand(h) && at < 0:
		// An older controller deployed a tag by hand that is not known: nothing says what is newer.
		return len(known)
	}
	return at + 1
}

// next returns the candidate to deploy, with its bypassed gates.
func (s *situation) next() (v v1alpha1.VersionInfo, bypassed []string, ok bool) {
	if s.chosen == nil {
		c := &choice{}
		c.version, c.bypassed, c.ok = s.choose()
		s.chosen = c
	}
	return s.chosen.version, s.chosen.bypassed, s.chosen.ok
}

func (s *situation) choose() (v v1alpha1.VersionInfo, bypassed []string, ok bool) {
	c := s.candidates()
	v, chosen := s.bypassing(c)
	switch {
	case chosen:
		return v, s.closedGateNames(v), true
	case len(c) == 0:
		return v, nil, false
	case s.head() == nil && s.Spec.InitialDeployment == v1alpha1.InitialDeploymentSkipGates:
		v = s.firstCandidate()
		return v, s.closedGateNames(v), true
	case s.Spec.Selection == v1alpha1.SelectEvery:
		v = s.firstCandidate()
		return v, nil, s.gatesAdmit(v)
	}
	for _, v := range slices.Backward(c) {
		if s.gatesAdmit(v) {
			return v, nil, true
		}
	}
	return v, nil, false
}

// bypassedSuffix says that spec.initialDeployment, and not a person, bypasses the gates.
func (s *situation) bypassedSuffix(cause v1alpha1.Cause) string {
	_, asked := s.annotation(v1alpha1.AnnotationBypassGates)
	if asked || cause != v1alpha1.CauseAutomatic || s.head() != nil ||
		s.Spec.InitialDeployment != v1alpha1.InitialDeploymentSkipGates {
		return ""
	}
	return " by spec.initialDeployment: SkipGates"
}

// bypassing returns the candidate that a person lets skip gates: with the annotation, or with an Override that covers
// all closed ones.
func (s *situation) bypassing(candidates []v1alpha1.VersionInfo) (v v1alpha1.VersionInfo, ok bool) {
	tag, asked := s.annotation(v1alpha1.AnnotationBypassGates)
	if i := version.Index(candidates, v1alpha1.ReleaseIdentity{Tag: tag}); asked && i >= 0 {
		return candidates[i], true
	}
	for _, v := range slices.Backward(candidates) {
		if len(s.overrides(v)) > 0 && s.overridesAllGates(v, s.gates().Closed(version.Identity(v))) {
			return v, true
		}
	}
	return v, false
}

func (s *situation) gatesAdmit(v v1alpha1.VersionInfo) bool {
	return s.gates().Admits(version.Identity(v))
}

func (s *situation) closedGateNames(v v1alpha1.VersionInfo) []string {
	return names(s.gates().Closed(version.Identity(v)))
}

// names returns the gates of verdicts. If they are too many, the last name is everyGate.
func names(shut []gate.Verdict) []string {
	var list []string
	for _, verdict := range shut[:min(len(shut), maxNamed)] {
		list = append(list, verdict.Gate)
	}
	if len(shut) > maxNamed {
		list = append(list, everyGate)
	}
	return list
}

// everyGate in a list of gates means all of them.
const everyGate = "*"

func gateBlockers(shut []gate.Verdict) []v1alpha1.Blocker {
	var list []v1alpha1.Blocker
	for _, v := range shut {
		b := v1alpha1.Blocker{Kind: "RolloutGate", Name: v.Gate, Reason: v.Reason, Message: v.Message, ClearedBy: v.ClearedBy}
		if !v.Since.IsZero() {
			b.Since = &metav1.Time{Time: v.Since}
		}
		if !v.Until.IsZero() {
			b.Until = &metav1.Time{Time: v.Until}
		}
		list = append(list, b)
	}
	return list
}

// again returns when the first verdict may change.
func (s *situation) again(shut []gate.Verdict) time.Time {
	var first time.Time
	for _, v := range shut {
		if v.Until.After(s.Now) && (first.IsZero() || v.Until.Before(first)) {
			first = v.Until
		}
	}
	return first
}
