package release

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// StatusOf returns the status of a Release as the record of its Rollout has it. Fields that others write, such as
// details, stay.
func StatusOf(ro *v1alpha1.Rollout, rel *v1alpha1.Release) v1alpha1.ReleaseStatus {
	st := *rel.Status.DeepCopy()
	st.ObservedGeneration = rel.Generation
	id := version.Identity(rel.Spec.Version)
	st.Running, st.ShortDigest = runsNow(ro, id), shortDigest(rel)
	st.Quarantine, st.QuarantineLifted = quarantineOf(ro, id)
	if i := lastAttempt(ro.Status.History, id); i >= 0 {
		attempted(ro, i, &st)
		return st
	}
	if st.DeploymentID != nil {
		return st // its deployment has left the history; what came of it stays
	}
	undeployed(ro, id, &st)
	return st
}

// runsNow reports whether a release is the one that was last handed to Flux. The newest deployment may not have been
// handed over yet.
func runsNow(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	for i := range ro.Status.History {
		e := &ro.Status.History[i]
		if !withheld(e) && (i > 0 || e.Version.Tag == ro.Status.CurrentVersion) {
			return version.Matches(version.Identity(e.Version), id)
		}
	}
	return false
}

// shortDigest is the start of the digest of a release, or of its image if only that is known.
func shortDigest(rel *v1alpha1.Release) string {
	digest := version.Identity(rel.Spec.Version).Digest
	if digest == "" && rel.Status.Details != nil {
		digest = rel.Status.Details.Digest
	}
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(len(hex), 12)]
}

// undeployed says of a release that was never deployed whether it waits, for what, or whether it was passed over.
func undeployed(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity, st *v1alpha1.ReleaseStatus) {
	st.Phase, st.Reason, st.Message = v1alpha1.ReleasePending, v1alpha1.ReasonPending, "waits to be deployed"
	candidate := slices.ContainsFunc(ro.Status.ReleaseCandidates,
		func(v v1alpha1.VersionInfo) bool { return version.Identity(v) == id })
	switch {
	case pinnedOnly(ro, id):
		if b := blockedBy(ro.Status.BlockedBy, v1alpha1.ReasonUnknownVersion); b != nil {
			st.Reason, st.Message = b.Reason, b.Message
		}
	case passedOver(ro, id, st):
	case superseded(ro, id) && !candidate:
		st.Phase, st.Reason, st.Message = v1alpha1.ReleaseSuperseded, v1alpha1.ReasonSuperseded,
			"a newer release was taken instead"
	case ro.Status.PendingVersion == id.Tag && !heldBack(ro):
		waiting(ro, st)
	}
}

// passedOver returns why automation passes over a release, if it does.
func passedOver(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity, st *v1alpha1.ReleaseStatus) bool {
	i := slices.IndexFunc(ro.Status.Skipped, func(r v1alpha1.SkippedRelease) bool { return r.ReleaseIdentity == id })
	if i < 0 {
		return false
	}
	st.Reason, st.Message = ro.Status.Skipped[i].Reason, ro.Status.Skipped[i].Message
	if st.Reason == v1alpha1.ReasonSuperseded {
		st.Phase = v1alpha1.ReleaseSuperseded
	}
	return true
}

// heldBack reports whether the newest deployment waits to be handed to Flux. The pending version is then its version.
func heldBack(ro *v1alpha1.Rollout) bool {
	return len(ro.Status.History) > 0 && keptFromFlux(&ro.Status.History[0])
}

// quarantine is the newest entry of the quarantine for a release, or nil.
func quarantine(list []v1alpha1.Quarantine, id v1alpha1.ReleaseIdentity) *v1alpha1.Quarantine {
	for i := range slices.Backward(list) {
		if version.Matches(list[i].ReleaseIdentity, id) {
			return &list[i]
		}
	}
	return nil
}

// quarantineByHand quarantines the releases of a tag because a person says so: the annotation holds the tag, then the
// reason. It is used up even where it has nothing to do, and says so.
func quarantineByHand(s *situation) (Decision, bool) {
	value, ok := s.annotation(v1alpha1.AnnotationQuarantine)
	if !ok {
		return Decision{}, false
	}
	tag, reason, _ := strings.Cut(strings.TrimSpace(value), " ")
	reason = version.Clean(strings.TrimSpace(reason), 256)
	d := Decision{Actions: []Action{Handle{v1alpha1.AnnotationQuarantine, value}}, Again: s.Now}
	name := version.Clean(tag, 128)
	if why := s.cannotQuarantine(tag, reason); why != "" {
		d.Notices = []Notice{{v1alpha1.EventQuarantineIgnored, "quarantine is ignored because " + why}}
		return d, true
	}
	for _, v := range s.status.AvailableReleases {
		if v.Tag == tag && !s.quarantined(v) {
			d.Actions = append(d.Actions, Isolate{
				v1alpha1.Quarantine{ReleaseIdentity: version.Identity(v), Reason: reason, Since: *ceil(s.Now)},
			})
		}
	}
	d.Notices = []Notice{{v1alpha1.EventQuarantined, name + " is not deployed automatically any more: " + reason}}
	return d, true
}

// cannotQuarantine returns why a request to quarantine the releases of a tag has nothing to do; empty if it has.
func (s *situation) cannotQuarantine(tag, reason string) string {
	name, i := version.Clean(tag, 128), s.newest(tag)
	switch {
	case reason == "":
		return fmt.Sprintf("it gives no reason: write %q", name+" <reason>")
	case i < 0:
		return name + " is no known release"
	case !slices.ContainsFunc(s.status.AvailableReleases, func(v v1alpha1.VersionInfo) bool {
		return v.Tag == tag && !s.quarantined(v)
	}):
		return name + " is quarantined already"
	}
	return ""
}

// liftQuarantine lifts the quarantine of a tag: the annotation has the tag, then the reason. It is always used up.
func liftQuarantine(s *situation) (Decision, bool) {
	value, ok := s.annotation(v1alpha1.AnnotationLiftQuarantine)
	if !ok {
		return Decision{}, false
	}
	tag, reason, _ := strings.Cut(strings.TrimSpace(value), " ")
	d := Decision{Actions: []Action{Handle{v1alpha1.AnnotationLiftQuarantine, value}}, Again: s.Now}
	for _, q := range s.status.Quarantined {
		if q.Tag == tag {
			d.Actions = append(d.Actions, Lift{
				Release: q.ReleaseIdentity, Reason: version.Clean(strings.TrimSpace(reason), 256), At: *ceil(s.Now),
			})
		}
	}
	tag = version.Clean(tag, 128)
	switch {
	case len(d.Actions) == 1:
		d.notice(v1alpha1.EventLiftQuarantineIgnored, "lift-quarantine is ignored: "+tag+" is not quarantined")
	case strings.TrimSpace(reason) == "":
		d.Actions = d.Actions[:1]
		d.notice(v1alpha1.EventLiftQuarantineIgnored,
			fmt.Sprintf("lift-quarantine is ignored because it gives no reason: write %q", tag+" <reason>"))
	default:
		d.notice(v1alpha1.EventQuarantineLifted,
			tag+" may be deployed automatically again: "+version.Clean(strings.TrimSpace(reason), 256))
	}
	return d, true
}

// quarantineOf reports whether a release is quarantined, and whether a person took it out of quarantine since it was
// known.
func quarantineOf(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) (isolated, lifted *v1alpha1.ReleaseQuarantine) {
	if q := quarantine(ro.Status.Quarantined, id); q != nil {
		isolated = &v1alpha1.ReleaseQuarantine{Reason: q.Reason, Since: q.Since, By: q.By}
	}
	for _, l := range ro.Status.QuarantineLifted {
		if version.Matches(l.ReleaseIdentity, id) {
			lifted = &v1alpha1.ReleaseQuarantine{Reason: l.Reason, Since: l.Since}
		}
	}
	return isolated, lifted
}

// waiting says of the release that comes next what it waits for.
func waiting(ro *v1alpha1.Rollout, st *v1alpha1.ReleaseStatus) {
	if b := ownBlocker(&ro.Status); b != nil {
		st.Reason, st.Message = b.Reason, b.Message
	}
	st.Gates = gateEvidence(ro.Status.Gates)
}

// ownBlocker is what holds the release that comes next. After a failure that is the failure: the gates that block then
// are asked about the rollback. While another release is in flight, what blocks is about that one, and the next one
// waits for it.
func ownBlocker(st *v1alpha1.RolloutStatus) *v1alpha1.Blocker {
	if len(st.BlockedBy) == 0 {
		return nil
	}
	first := st.BlockedBy[0]
	if b := blockedBy(st.BlockedBy, failures()...); b != nil && first.Kind == "RolloutGate" {
		return b
	}
	if len(st.History) > 0 && InFlight(&st.History[0]) && !keptFromFlux(&st.History[0]) &&
		first.Reason != v1alpha1.ReasonWriteFailed {
		first.Message = "waits for " + st.History[0].Version.Tag + ", which is in flight: " + first.Message
	}
	return &first
}

// failures lists the reasons for which automatic deployments stop after a release failed.
func failures() []string {
	return []string{v1alpha1.ReasonPreviousFailed, v1alpha1.ReasonRolledBack, v1alpha1.ReasonBelowRollbackFloor}
}

// Retained reports whether the Release object of a release is to be kept: while it is known, part of the history, or
// quarantined. The object of a tag alone goes once the digest is known: the object of the tag and the digest takes its
// place, and nobody has approved that yet.
func Retained(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	if id.Digest == "" && identified(ro, id.Tag) {
		return false
	}
	return version.Index(ro.Status.AvailableReleases, id) >= 0 || lastAttempt(ro.Status.History, id) >= 0 ||
		pinnedOnly(ro, id) ||
		quarantine(ro.Status.Quarantined, id) != nil
}

// identified reports whether a release of a tag is known by its digest, or was deployed by it, and none is known by the
// tag alone.
func identified(ro *v1alpha1.Rollout, tag string) bool {
	if i := version.Index(ro.Status.AvailableReleases, v1alpha1.ReleaseIdentity{Tag: tag}); i >= 0 {
		return ro.Status.AvailableReleases[i].Digest != ""
	}
	i := lastAttempt(ro.Status.History, v1alpha1.ReleaseIdentity{Tag: tag})
	return i >= 0 && ro.Status.History[i].Version.Digest != ""
}

// lastAttempt is the position in the history of the newest deployment of a release, or -1.
func lastAttempt(history []v1alpha1.DeploymentHistoryEntry, id v1alpha1.ReleaseIdentity) int {
	return slices.IndexFunc(history,
		func(e v1alpha1.DeploymentHistoryEntry) bool { return version.Matches(version.Identity(e.Version), id) })
}

// superseded reports whether a release that was discovered later was deployed.
func superseded(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	at := version.Index(ro.Status.AvailableReleases, id)
	for _, e := range ro.Status.History {
		if version.Index(ro.Status.AvailableReleases, version.Identity(e.Version)) > at {
			return true
		}
	}
	return false
}

func attempted(ro *v1alpha1.Rollout, i int, st *v1alpha1.ReleaseStatus) {
	e := &ro.Status.History[i]
	if st.DeploymentID == nil || *st.DeploymentID != entryID(e) {
		st.Gates = passed(e, st.Gates)
	}
	phase := phaseOf(e)
	st.Checks = checksOf(ro, i, st, phase)
	st.DeploymentID, st.DeployedAt = e.ID, &e.Timestamp
	st.BakeStartTime, st.BakeEndTime = e.BakeStartTime, e.BakeEndTime
	st.Phase, st.Reason, st.Message = phase, string(phase), text(e.BakeStatusMessage)
	if i == 0 && keptFromFlux(e) {
		st.Phase = v1alpha1.ReleasePending
		waiting(ro, st)
	} else if e.PausedTime != nil {
		st.Reason = v1alpha1.ReasonPaused
	}
}

// checksOf is the evidence of the checks for a deployment. The record speaks of the newest one; evidence of earlier
// deployments stays as it was at their verdict.
func checksOf(
	ro *v1alpha1.Rollout, i int, st *v1alpha1.ReleaseStatus, phase v1alpha1.ReleasePhase,
) []v1alpha1.CheckEvidence {
	if i == 0 && (InFlight(&ro.Status.History[i]) || st.Phase != phase) {
		return ro.Status.Checks
	}
	return st.Checks
}

// keptFromFlux reports whether the record says that gates keep a deployment that was decided from Flux.
func keptFromFlux(e *v1alpha1.DeploymentHistoryEntry) bool {
	return statusOf(e) == v1alpha1.BakeDeploying && e.PausedTime == nil && withheld(e)
}

func phaseOf(e *v1alpha1.DeploymentHistoryEntry) v1alpha1.ReleasePhase {
	phase, ok := map[v1alpha1.BakeStatus]v1alpha1.ReleasePhase{
		v1alpha1.BakeDeploying: v1alpha1.ReleaseDeploying, v1alpha1.BakeInProgress: v1alpha1.ReleaseBaking,
		v1alpha1.BakeFailed: v1alpha1.ReleaseFailed, v1alpha1.BakeCancelled: v1alpha1.ReleaseCancelled,
	}[statusOf(e)]
	if !ok {
		return v1alpha1.ReleaseAvailable
	}
	return phase
}

// passed says of gates what they were to a deployment that automation decided: open, or bypassed. One by hand asks no
// gate.
func passed(e *v1alpha1.DeploymentHistoryEntry, gates []v1alpha1.GateEvidence) []v1alpha1.GateEvidence {
	if ByHand(e) {
		return gates
	}
	var list []v1alpha1.GateEvidence
	for _, g := range gates {
		if slices.Contains(e.BypassedGates, g.Name) {
			g.Message = "bypassed: " + g.Message
		} else if g.State != v1alpha1.GateOpen {
			g.State, g.Reason, g.Message = v1alpha1.GateOpen, "", "open when the release was deployed"
		}
		list = append(list, g)
	}
	return list
}

func gateEvidence(gates []v1alpha1.RolloutGateStatusSummary) []v1alpha1.GateEvidence {
	var list []v1alpha1.GateEvidence
	for _, g := range gates {
		list = append(list, v1alpha1.GateEvidence{Name: g.Name, State: g.State, Reason: g.Reason, Message: g.Message})
	}
	return list
}

// Event is an event of a Rollout.
type Event struct {
	// Type is Normal or Warning.
	Type string
	// Reason is one of the constants of this file.
	Reason string
	// Message describes the event.
	Message string
	// Release is the related release; empty if there is none.
	Release v1alpha1.ReleaseIdentity
}

// Events returns the events for the difference between two statuses, and the notices of the decision. A deployment that
// ends immediately gets one event, at its end.
func Events(spec v1alpha1.RolloutSpec, before, after v1alpha1.RolloutStatus, d Decision) []Event {
	var events []Event
	for _, n := range d.Notices {
		events = append(events, Event{corev1.EventTypeNormal, n.Reason, n.Message, v1alpha1.ReleaseIdentity{}})
	}
	for _, a := range d.Actions {
		events = append(events, actionEvents(a)...)
	}
	if h, added := newOverrides(before, after); len(added) > 0 {
		events = append(events, Event{
			corev1.EventTypeWarning, v1alpha1.EventOverridden, h.Version.Tag + " is let past what held it: " + excuses(added),
			version.Identity(h.Version),
		})
	}
	long := spec.BakeTime != nil || spec.HealthCheckSelector != nil
	for i := len(after.History) - 1; i >= 0; i-- {
		if e := deploymentEvent(find(before.History, after.History[i].ID), &after.History[i], long); e != nil {
			events = append(events, *e)
		}
	}
	return events
}

// actionEvents returns the events of an action.
func actionEvents(a Action) []Event {
	switch a := a.(type) {
	case Ask:
		return []Event{approvalRequested(a)}
	case Pin:
		if a.Drift {
			return []Event{{corev1.EventTypeWarning, v1alpha1.EventDriftCorrected, "put " + a.Version.Tag +
				" back where it had been changed: deploy another version with force-deploy or spec.wantedVersion, and keep the " +
				"field out of manifests and charts", version.Identity(a.Version)}}
		}
	}
	return nil
}

// newOverrides returns the newest deployment with the Overrides that it has just used.
func newOverrides(
	before, after v1alpha1.RolloutStatus,
) (h *v1alpha1.DeploymentHistoryEntry, added []v1alpha1.UsedOverride) {
	if len(after.History) == 0 {
		return nil, nil
	}
	h, added = &after.History[0], after.History[0].Overrides
	if old := find(before.History, h.ID); old != nil {
		added = without(added, old.Overrides)
	}
	return h, added
}

// approvalRequested returns the event that requests approval.
func approvalRequested(a Ask) Event {
	id := a.Requested[len(a.Requested)-1]
	var gates []string
	for _, v := range a.Shut {
		gates = append(gates, v.Gate+" (opened by "+v.ClearedBy+")")
	}
	return Event{
		corev1.EventTypeNormal, v1alpha1.EventApprovalRequested, id.Tag + " waits for approval at " +
			strings.Join(gates, ", "), id,
	}
}

func find(list []v1alpha1.DeploymentHistoryEntry, id *int64) *v1alpha1.DeploymentHistoryEntry {
	for i := range list {
		if id != nil && list[i].ID != nil && *list[i].ID == *id {
			return &list[i]
		}
	}
	return nil
}

// deploymentEvent returns the event for a change of a deployment, or nil.
func deploymentEvent(before, after *v1alpha1.DeploymentHistoryEntry, long bool) *Event {
	id, status := version.Identity(after.Version), statusOf(after)
	switch {
	case before != nil && before.PausedTime == nil && after.PausedTime != nil:
		return &Event{
			corev1.EventTypeWarning, v1alpha1.EventPaused, id.Tag + " is paused: " + text(after.BakeStatusMessage), id,
		}
	case before != nil && statusOf(before) == status, status == v1alpha1.BakeDeploying && !long:
		return nil
	}
	return stateEvent(status, id, map[v1alpha1.BakeStatus]*string{
		v1alpha1.BakeDeploying: after.Message, v1alpha1.BakeFailed: after.BakeStatusMessage,
		v1alpha1.BakeCancelled: after.BakeStatusMessage,
	}[status])
}

// stateEvent returns the event for a new state of a deployment, or nil.
func stateEvent(status v1alpha1.BakeStatus, id v1alpha1.ReleaseIdentity, detail *string) *Event {
	e, ok := map[v1alpha1.BakeStatus]Event{
		v1alpha1.BakeDeploying: {corev1.EventTypeNormal, v1alpha1.EventDeploying, "deploying " + id.Tag, id},
		v1alpha1.BakeInProgress: {corev1.EventTypeNormal, v1alpha1.EventBakeTimeStarted,
			id.Tag + " is applied and healthy, and bakes", id},
		v1alpha1.BakeSucceeded: {corev1.EventTypeNormal, v1alpha1.EventDeploymentSucceeded, id.Tag + " is Available", id},
		v1alpha1.BakeFailed:    {corev1.EventTypeWarning, v1alpha1.EventRolloutFailed, id.Tag + " failed", id},
		v1alpha1.BakeCancelled: {corev1.EventTypeNormal, v1alpha1.EventBakeTimeCancelled, id.Tag + " is cancelled", id},
	}[status]
	if !ok {
		return nil
	}
	if detail != nil {
		e.Message += ": " + *detail
	}
	return &e
}
