package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// system triggers what no person requested, as in the published API.
const system = "rollout-controller"

const waitsForFlux = "Waits until Flux has applied it and every HealthCheck is healthy"

const (
	// maxOverrides is how many Overrides of one deployment are put on record.
	maxOverrides = 10
	// maxAsked is how many requests for approval are remembered.
	maxAsked = 100
)

// suspend decides nothing while spec.suspend is true. The status is still reported.
func suspend(s *situation) (Decision, bool) {
	return Decision{Blocked: []v1alpha1.Blocker{{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonSuspended,
		Message: "the Rollout is suspended (spec.suspend is true)", ClearedBy: "whoever may set spec.suspend",
	}}}, s.Spec.Suspend
}

// rejectSpec stalls on an invalid spec, such as one that was stored under an older schema.
func rejectSpec(s *situation) (Decision, bool) {
	err := checkSpec(s.Spec)
	if err == nil {
		return Decision{}, false
	}
	return Decision{Blocked: []v1alpha1.Blocker{{
		Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error(),
		ClearedBy: "whoever may edit the spec",
	}}}, true
}

func checkSpec(spec v1alpha1.RolloutSpec) error {
	durations := []*v1alpha1.Duration{spec.BakeTime, spec.DeployTimeout}
	for i, field := range []string{"bakeTime", "deployTimeout"} {
		if durations[i] == nil {
			continue
		}
		if _, err := durations[i].Parse(); err != nil {
			return fmt.Errorf("spec.%s: %w", field, err)
		}
	}
	if spec.WantedVersion != nil {
		if err := version.CheckTag(*spec.WantedVersion); err != nil {
			return fmt.Errorf("spec.wantedVersion: %w", err)
		}
	}
	return nil
}

// retry deploys a failed or paused release again.
func retry(s *situation) (Decision, bool) {
	value, ok := s.annotation(v1alpha1.AnnotationRetry)
	if !ok {
		return Decision{}, false
	}
	h := s.head()
	d := Decision{Actions: []Action{Handle{v1alpha1.AnnotationRetry, value}}, Again: s.Now}
	if h == nil || statusOf(h) != v1alpha1.BakeFailed && s.stage != stagePaused {
		d.Notices = []Notice{{v1alpha1.EventRetryIgnored, "there is no failed or paused release to retry"}}
		return d, true
	}
	e := s.retried(h)
	d.Actions = append(d.Actions, Lift{Release: version.Identity(e.Version)}, Amend{e})
	d.Notices = []Notice{
		{v1alpha1.EventRetried, strings.TrimSuffix("retries "+e.Version.Tag+": "+version.Clean(strings.TrimSpace(value), 256),
			": ")},
	}
	return d, true
}

// retried returns a deployment at the start of another run. A withheld one stays withheld.
func (s *situation) retried(h *v1alpha1.DeploymentHistoryEntry) v1alpha1.DeploymentHistoryEntry {
	e := *h.DeepCopy()
	at := ceil(s.Now)
	if at.Equal(e.LastRetryTimestamp) {
		at = ceil(at.Add(time.Second)) // the time is what tells one run from another
	}
	if !withheld(h) || s.handedOver(h) {
		e.InterruptedTime = nil
	}
	e.LastRetryTimestamp, e.BakeStartTime, e.BakeEndTime, e.FailedHealthChecks, e.PausedTime = at, nil, nil, nil, nil
	setStatus(&e, v1alpha1.BakeDeploying, "Retried")
	return e
}

// followPin deploys the pinned tag, known or not.
func followPin(s *situation) (Decision, bool) {
	wanted := s.pinned()
	if wanted == "" || s.unconfirmedPin() != nil || s.pinsHead() {
		return Decision{}, false
	}
	return Decision{Actions: s.record(s.deployable(wanted), v1alpha1.CausePin, nil), Again: s.Now}, true
}

// ignoreForceUnderPin uses up a force-deploy that a pin contradicts, so that it has no effect when the pin is removed.
func ignoreForceUnderPin(s *situation) (Decision, bool) {
	tag, ok := s.annotation(v1alpha1.AnnotationForceDeploy)
	if !ok || s.pinned() == "" {
		return Decision{}, false
	}
	if tag == s.pinned() {
		return s.ignoreForce(tag, "spec.wantedVersion pins it already"), true
	}
	return s.ignoreForce(tag, "spec.wantedVersion pins "+s.pinned()+": change that instead"), true
}

// forceDeploy deploys a known release at the request of a person. The annotation is always used up.
func forceDeploy(s *situation) (Decision, bool) {
	tag, ok := s.annotation(v1alpha1.AnnotationForceDeploy)
	if !ok {
		return Decision{}, false
	}
	i := -1
	if version.CheckTag(tag) == nil {
		i = s.newest(tag)
	}
	if i < 0 {
		return s.ignoreForce(tag, "no such release is known; see status.availableReleases, or pin with spec.wantedVersion"),
			true
	}
	v := s.status.AvailableReleases[i]
	if why := s.noChange(v); why != "" {
		return s.ignoreForce(tag, why), true
	}
	return Decision{Actions: s.record(v, v1alpha1.CauseForceDeploy, nil), Again: s.Now}, true
}

// isProgressing reports whether a deployment is in flight and waits for no person.
func (s *situation) isProgressing(h *v1alpha1.DeploymentHistoryEntry) bool {
	return s.inFlightUnpaused() != nil && (ByHand(h) || s.reachedFlux())
}

// ignoreUnblock uses up an unblock-failed without a failure, so that it does not unblock a later one.
func ignoreUnblock(s *situation) (Decision, bool) {
	value, ok := s.annotation(v1alpha1.AnnotationUnblockFailed)
	if h := s.head(); !ok || h != nil && (halted(h) || s.stage == stagePaused) && value == "true" {
		return Decision{}, false
	}
	return Decision{
		Actions: []Action{Handle{v1alpha1.AnnotationUnblockFailed, value}},
		Notices: []Notice{{v1alpha1.EventUnblockIgnored, "there is no failed release to unblock"}},
		Again:   s.Now,
	}, true
}

func (s *situation) ignoreForce(tag, why string) Decision {
	return Decision{
		Actions: []Action{Handle{v1alpha1.AnnotationForceDeploy, tag}},
		Notices: []Notice{
			{v1alpha1.EventForceDeployIgnored, "force-deploy of " + version.Clean(tag, 128) + " is ignored: " + why},
		},
		Again: s.Now,
	}
}

// newest returns the position of the newest known release of a tag, or -1.
func (s *situation) newest(tag string) int {
	return version.Index(s.status.AvailableReleases, v1alpha1.ReleaseIdentity{Tag: tag})
}

// knownRelease returns the newest known release of a tag, or the tag with the digest that the registry reports if a
// target needs it.
func (s *situation) knownRelease(tag string) v1alpha1.VersionInfo {
	if i := s.newest(tag); i >= 0 {
		return s.status.AvailableReleases[i]
	}
	return v1alpha1.VersionInfo{Tag: tag, Digest: s.registered(tag)}
}

// record stores the decision to deploy a version in one write: it cancels what is in flight, adds the entry, and marks
// the annotations that took part as used.
func (s *situation) record(v v1alpha1.VersionInfo, cause v1alpha1.Cause, bypassed []string) []Action {
	var actions []Action
	if h := s.head(); h != nil && InFlight(h) {
		e := *h.DeepCopy()
		if s.markWithheld(&e); ByHand(h) && !s.reachedFlux() {
			e.InterruptedTime = ceil(s.Now)
		}
		setStatus(&e, v1alpha1.BakeCancelled, "Bake cancelled due to new deployment: "+v.Tag)
		e.BakeEndTime = ceil(s.Now)
		actions = append(actions, Amend{e})
	}
	e := s.entry(v, cause, bypassed)
	setStatus(&e, v1alpha1.BakeDeploying, waitsForFlux)
	return append(append(actions, s.consumeAnnotations()...), Record{e})
}

// entry returns the history entry of a deployment.
func (s *situation) entry(
	v v1alpha1.VersionInfo, cause v1alpha1.Cause, bypassed []string,
) v1alpha1.DeploymentHistoryEntry {
	id := int64(1)
	if h := s.head(); h != nil {
		id = entryID(h) + 1
	}
	e := v1alpha1.DeploymentHistoryEntry{
		ID: &id, Version: v, Timestamp: *ceil(s.Now), Cause: cause, BypassedGates: bypassed,
		TriggeredBy: s.trigger(cause), Message: s.message(cause, bypassed),
		Recovery: cause != v1alpha1.CauseAutomatic && s.unhealthy(),
	}
	if cause == v1alpha1.CauseAutomatic {
		s.recordOverrides(&e)
	}
	s.markKnown(&e)
	if cause == v1alpha1.CauseRollback {
		e.RollbackOf = s.head().ID
	}
	return e
}

// consumeAnnotations marks the annotations for the next deployment as used.
func (s *situation) consumeAnnotations() []Action {
	var actions []Action
	for _, key := range []string{
		v1alpha1.AnnotationForceDeploy, v1alpha1.AnnotationBypassGates, v1alpha1.AnnotationUnblockFailed,
		v1alpha1.AnnotationDeployMessage, v1alpha1.AnnotationDeployUser,
	} {
		if value, ok := s.annotation(key); ok {
			actions = append(actions, Handle{key, value})
		}
	}
	return actions
}

// recordOverrides records the Overrides that a deployment needs: recorded ones that are in force, and new ones.
func (s *situation) recordOverrides(e *v1alpha1.DeploymentHistoryEntry) {
	still := s.activeOverrides(e)
	added := without(s.neededOverrides(e.Version), still)
	e.Overrides = append(still, added...)
	e.Overrides = e.Overrides[:min(len(e.Overrides), maxOverrides)]
	e.Recovery = e.Recovery || s.unhealthy() && bypasses(e.Overrides, v1alpha1.BypassHealth)
	if len(added) == 0 {
		return
	}
	first := added[0]
	e.TriggeredBy = &v1alpha1.TriggeredBy{Kind: v1alpha1.TriggerUser, Name: version.Clean(first.User, 128)}
	message := version.Clean(text(e.Message)+", with Override "+first.Name+": "+version.Clean(first.Reason, 256), 512)
	e.Message = &message
}

// activeOverrides returns the recorded Overrides of a deployment that are still in force.
func (s *situation) activeOverrides(e *v1alpha1.DeploymentHistoryEntry) []v1alpha1.UsedOverride {
	return without(e.Overrides, without(e.Overrides, s.overrides(e.Version)))
}

// without returns the Overrides of a list that are not in another.
func without(list, other []v1alpha1.UsedOverride) []v1alpha1.UsedOverride {
	return slices.DeleteFunc(slices.Clone(list), func(o v1alpha1.UsedOverride) bool {
		return slices.ContainsFunc(other, func(p v1alpha1.UsedOverride) bool { return p.Name == o.Name && p.UID == o.UID })
	})
}

func (s *situation) trigger(cause v1alpha1.Cause) *v1alpha1.TriggeredBy {
	if user, ok := s.annotation(v1alpha1.AnnotationDeployUser); ok && user != "" && manual(cause) {
		return &v1alpha1.TriggeredBy{Kind: v1alpha1.TriggerUser, Name: version.Clean(user, 128)}
	}
	return &v1alpha1.TriggeredBy{Kind: v1alpha1.TriggerSystem, Name: system}
}

// message returns the message of a deployment, as in the published API: the text of a person, or the kind of the
// deployment.
func (s *situation) message(cause v1alpha1.Cause, bypassed []string) *string {
	if text, ok := s.annotation(v1alpha1.AnnotationDeployMessage); ok && text != "" && manual(cause) {
		text = version.Clean(text, 512)
		return &text
	}
	parts := s.kindOf(cause)
	if len(bypassed) > 0 {
		parts = append(parts, "with gate bypass"+s.bypassedSuffix(cause))
	}
	if cause == v1alpha1.CauseAutomatic && s.unblocks() {
		parts = append(parts, "with failed bake unblock")
	}
	text := strings.Join(parts, ", ")
	return &text
}

// kindOf describes the kind of a deployment.
func (s *situation) kindOf(cause v1alpha1.Cause) []string {
	switch cause {
	case v1alpha1.CausePin:
		return []string{"Manual deployment"}
	case v1alpha1.CauseForceDeploy:
		return []string{"Manual deployment", "with force deploy"}
	case v1alpha1.CauseRollback:
		return []string{"Rollback of " + s.head().Version.Tag}
	}
	return []string{"Automatic deployment"}
}

// unblocks reports whether a person unblocks a deployment that a failure would hold.
func (s *situation) unblocks() bool {
	h := s.head()
	return h != nil && halted(h) && s.unblocked()
}

func manual(cause v1alpha1.Cause) bool {
	return cause == v1alpha1.CausePin || cause == v1alpha1.CauseForceDeploy
}

// unblocked reports whether a person unblocks the next candidate after a failure.
func (s *situation) unblocked() bool {
	value, ok := s.annotation(v1alpha1.AnnotationUnblockFailed)
	return ok && value == "true"
}

// unhealthy reports whether any selected check is unhealthy.
func (s *situation) unhealthy() bool {
	for _, r := range s.Health.Reports {
		if r.State == v1alpha1.HealthUnhealthy {
			return true
		}
	}
	return false
}

func setStatus(e *v1alpha1.DeploymentHistoryEntry, status v1alpha1.BakeStatus, message string) {
	text, message := string(status), version.Clean(message, 512)
	e.BakeStatus, e.BakeStatusMessage = &text, &message
}

func describe(r health.Report) string {
	if r.Message == "" {
		return r.Name
	}
	return r.Name + ": " + r.Message
}

// unusedReason returns why an Override has no effect; empty if it is in force.
func (s *situation) unusedReason(o Override) string {
	switch o.State(s.Now, s.UnverifiedReason) {
	case OverrideUntrusted:
		return o.UntrustedReason
	case OverrideUnverified:
		return s.UnverifiedReason
	case OverrideExpired:
		return "it has expired"
	}
	return ""
}

// unusedOverrides describes the Overrides of a release that have no effect, for the message of a blocker.
func (s *situation) unusedOverrides(v v1alpha1.VersionInfo) string {
	words := ""
	for _, o := range s.Overrides {
		if why := s.unusedReason(o); o.Release == version.Identity(v) && why != "" && len(words) < 200 {
			words += "; Override " + o.Name + " does not count: " + why
		}
	}
	return words
}

// gates for people come last in the list
func (s *situation) gates() gate.Set {
	return gate.Set{Gates: s.Gates, Context: gate.Context{
		Now: s.Now, Approvals: s.Approvals, UnverifiedReason: s.UnverifiedReason, Authors: s.authors,
	}}
}

// authors returns the authors of a release as its image names them, and whether the image was read.
func (s *situation) authors(id v1alpha1.ReleaseIdentity) (string, bool) {
	for _, d := range s.Details {
		if d.Release == id {
			return d.Authors, true
		}
	}
	return "", false
}

// overrides returns the Overrides that are in force for a release.
func (s *situation) overrides(v v1alpha1.VersionInfo) []v1alpha1.UsedOverride {
	var list []v1alpha1.UsedOverride
	for _, o := range s.Overrides {
		if o.Release == version.Identity(v) && s.unusedReason(o) == "" && len(list) < maxOverrides {
			list = append(list, o.UsedOverride)
		}
	}
	return list
}

// bypasses reports whether any Override of a list has a bypass.
func bypasses(list []v1alpha1.UsedOverride, b v1alpha1.Bypass) bool {
	return slices.ContainsFunc(list, func(o v1alpha1.UsedOverride) bool { return slices.Contains(o.Bypass, b) })
}

// covered reports whether Overrides let a release skip a closed gate.
func (s *situation) covered(list []v1alpha1.UsedOverride, shut gate.Verdict) bool {
	i := slices.IndexFunc(s.Gates, func(g *v1alpha1.RolloutGate) bool { return g.Name == shut.Gate })
	if i >= 0 && gate.IsScheduled(s.Gates[i]) {
		return bypasses(list, v1alpha1.BypassSchedules)
	}
	return bypasses(list, v1alpha1.BypassGates)
}

// blockingGates returns the verdicts that are not open for a release and that no Override skips.
func (s *situation) blockingGates(v v1alpha1.VersionInfo) []gate.Verdict {
	list := s.overrides(v)
	return slices.DeleteFunc(s.gates().Closed(version.Identity(v)),
		func(g gate.Verdict) bool { return s.covered(list, g) })
}

// overridesAllGates reports whether Overrides let a release skip every gate that is closed for it.
func (s *situation) overridesAllGates(v v1alpha1.VersionInfo, shut []gate.Verdict) bool {
	list := s.overrides(v)
	return len(list) > 0 && !slices.ContainsFunc(shut, func(g gate.Verdict) bool { return !s.covered(list, g) })
}

// healthOverridden reports whether an Override lets the next release skip health. If gates hold every candidate, the
// next release is the one whose approval is requested first.
func (s *situation) healthOverridden() bool {
	next, _, ok := s.next()
	if !ok && len(s.candidates()) > 0 {
		next, ok = s.firstCandidate(), true
	}
	return ok && bypasses(s.overrides(next), v1alpha1.BypassHealth)
}

// requestApproval requests approval of a release once, when nothing else holds it.
func (s *situation) requestApproval(v v1alpha1.VersionInfo, shut []gate.Verdict) []Action {
	calls := len(shut) > 0 && shut[0].Reason == gate.ReasonAwaitingApproval // what needs nobody comes first in the list
	if !calls || slices.Contains(s.status.ApprovalRequested, version.Identity(v)) {
		return nil
	}
	c := s.candidates()
	asked := slices.DeleteFunc(slices.Clone(s.status.ApprovalRequested), func(id v1alpha1.ReleaseIdentity) bool {
		return version.Index(c, id) < 0
	})
	asked = append(asked, version.Identity(v))
	return []Action{Ask{Requested: asked[max(0, len(asked)-maxAsked):], Shut: shut}}
}

// neededOverrides returns the Overrides that a deployment needs. Gates that the annotation bypasses need none.
func (s *situation) neededOverrides(v v1alpha1.VersionInfo) []v1alpha1.UsedOverride {
	sick := len(s.healthBlockers()) > 0 || s.haltedByFailure()
	shut := s.gates().Closed(version.Identity(v))
	if tag, ok := s.annotation(v1alpha1.AnnotationBypassGates); ok && tag == v.Tag {
		shut = nil
	}
	return slices.DeleteFunc(s.overrides(v), func(o v1alpha1.UsedOverride) bool {
		alone := []v1alpha1.UsedOverride{o}
		mends := sick && bypasses(alone, v1alpha1.BypassHealth)
		opens := slices.ContainsFunc(shut, func(g gate.Verdict) bool { return s.covered(alone, g) })
		return !mends && !opens
	})
}

// excuses returns the reasons of Overrides.
func excuses(list []v1alpha1.UsedOverride) string {
	var reasons []string
	for _, o := range list {
		reasons = append(reasons, o.User+" with Override "+o.Name+": "+version.Clean(o.Reason, 128))
	}
	return strings.Join(reasons, "; ")
}

// coveredByWildcard reports whether the wildcard in bypassedGates covers a gate. With Overrides, it covers only their
// gates.
func (s *situation) coveredByWildcard(h *v1alpha1.DeploymentHistoryEntry, v gate.Verdict) bool {
	past := bypasses(h.Overrides, v1alpha1.BypassGates) || bypasses(h.Overrides, v1alpha1.BypassSchedules)
	return !past || s.covered(h.Overrides, v)
}

// mayBypass reports whether a deployment skips gates: a person bypasses them, or spec.initialDeployment does.
func (s *situation) mayBypass(h *v1alpha1.DeploymentHistoryEntry, shut []gate.Verdict) bool {
	tag, ok := s.annotation(v1alpha1.AnnotationBypassGates)
	return ok && tag == h.Version.Tag || s.running() == nil &&
		s.Spec.InitialDeployment == v1alpha1.InitialDeploymentSkipGates ||
		s.overridesAllGates(h.Version, shut)
}
