package release

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/observed"
	"github.com/kuberik/kuberik/internal/version"
)

// Observation is everything a decision may depend on.
type Observation struct {
	// Now is the time of the observation.
	Now time.Time
	// SettleUntil is when a new Rollout may deploy for the first time. Zero: at once.
	SettleUntil time.Time
	// UID of the Rollout, its Name and the Generation of its spec.
	UID, Name  string
	Generation int64
	// Annotations that people put on the Rollout.
	Annotations map[string]string
	// Spec of the Rollout.
	Spec v1alpha1.RolloutSpec
	// Status as it is stored.
	Status v1alpha1.RolloutStatus
	// Policy is what the ImagePolicy says.
	Policy Policy
	// Gates of the Rollout.
	Gates []*v1alpha1.RolloutGate
	// Approvals of releases of the Rollout.
	Approvals []gate.Approval
	// UnverifiedReason says why nothing proves who approves; empty: it is proved.
	UnverifiedReason string
	// Overrides of the Rollout.
	Overrides []Override
	// Health of what runs.
	Health Health
	// Targets that the version is handed to.
	Targets []Target
	// Details of releases whose image was read.
	Details []Details
	// PinnedTag is what the registry says of a pinned tag that no release has.
	PinnedTag TagLookup
	// Elapsed is how much of the current Span was observed, on a clock that does not jump. Nil: the wall clock counts.
	Elapsed *time.Duration
	// IgnoreAnnotations turns the one-shot annotations off.
	IgnoreAnnotations bool
}

// TagLookup is what a registry says of a tag.
type TagLookup struct {
	// State is TagPending or TagNotFound. Empty: the tag is known, or the registry cannot say.
	State TagState
	// Until is when waiting for the registry ends.
	Until time.Time
}

// TagState is what is known of a tag in a registry.
type TagState string

const (
	// TagPending: the registry has not answered yet.
	TagPending TagState = "Pending"
	// TagNotFound: the registry has no such tag.
	TagNotFound TagState = "NotFound"
)

// Policy is what an ImagePolicy says.
type Policy struct {
	// Found reports whether the ImagePolicy exists.
	Found bool
	// Tag and Digest that it selected; empty if none.
	Tag, Digest string
	// Problem that the ImagePolicy reports, for a person. What it selected before may still stand beside it.
	Problem string
	// Order in which it puts tags; nil if that is not known.
	Order *version.Order
}

// Health is what the selected checks say.
type Health struct {
	// Reports of the checks, in the order of their names.
	Reports []health.Report
	// Problem says why the selection itself cannot be relied on; it holds a release.
	Problem string
}

// Target is one place that the version is handed to: a variable of a Kustomization, or the tag of an OCIRepository.
type Target struct {
	// Kind and Name of the Flux object, and the Variable of a Kustomization.
	Kind, Name, Variable string
	// Form of what it is to carry, and the Value that it carries.
	Form  version.Form
	Value string
	// Verified reports whether Flux says which content it fetched for the version, and Reached and Applied depend on that.
	Verified bool
	// Asked reports whether Flux was asked for the deployment that Token names.
	Asked bool
	// Reached reports whether Flux has taken that up and tried.
	Reached bool
	// Applied reports whether Flux has done it, as far as it can tell.
	Applied bool
	// Problem says why the value will never take effect, for a person; empty if nothing is wrong.
	Problem string
	// Suspended reports whether the Flux object, or a Kustomization made from it, is suspended.
	Suspended bool
	// Setup is what keeps Flux from applying any version, as ReasonTargetNotReady or ReasonTargetMisconfigured; empty if
	// nothing does, or if it may be the fault of the version.
	Setup string
	// Held is why what Flux has applied is not known to run, as ReasonWorkloadsNotReady or ReasonWorkloadsUnknown; empty
	// if it runs.
	Held string
	// Message of Flux, or why Flux will not apply the version.
	Message string
}

// SetupProblem returns why Flux will not apply the version before a person acts, as one of the ReasonTarget constants,
// or "" if Flux is at work. It is no verdict about the release.
func (t Target) SetupProblem() string {
	switch {
	case t.Problem != "":
		return v1alpha1.ReasonTargetOverridden
	case t.Suspended:
		return v1alpha1.ReasonTargetSuspended
	case t.Setup != "":
		return t.Setup
	case t.Held == v1alpha1.ReasonWorkloadsUnknown:
		return t.Held
	}
	return ""
}

// blocker says what a target waits for.
func (t Target) blocker() v1alpha1.Blocker {
	b := v1alpha1.Blocker{
		Kind: t.Kind, Name: t.Name, Reason: v1alpha1.ReasonTargetNotApplied, Message: t.Message, ClearedBy: "Flux",
	}
	switch {
	case t.Problem != "":
		b.Reason, b.Message, b.ClearedBy = v1alpha1.ReasonTargetOverridden, t.Problem, "whoever may edit the object"
	case t.Suspended:
		b.Reason, b.Message, b.ClearedBy = v1alpha1.ReasonTargetSuspended, cmp.Or(t.Message, "the "+t.Kind+" is suspended"),
			"flux resume"
	case t.Setup == v1alpha1.ReasonTargetNotReady:
		b.Reason, b.ClearedBy = t.Setup, "Flux, once the source and the dependencies of the object are ready"
	case t.Setup != "":
		b.Reason, b.ClearedBy = t.Setup, "whoever may edit the manifests or the object"
	case t.Held == v1alpha1.ReasonWorkloadsUnknown:
		b.Reason, b.ClearedBy = t.Held, "whoever may edit the object or grant the controller the right"
	case t.Held != "":
		b.Reason, b.ClearedBy = t.Held, "the workload"
	case b.Message == "":
		b.Message = "Flux has not applied the version yet"
	}
	return b
}

// NotSetUp reports whether no target exists or one has a SetupProblem. Then deployTimeout stands still.
func NotSetUp(targets []Target) bool {
	return len(targets) == 0 || slices.ContainsFunc(targets, func(t Target) bool { return t.SetupProblem() != "" })
}

// fluxCannotApply reports whether Flux cannot put the release into the cluster before a person acts.
func (s *situation) fluxCannotApply() bool {
	return len(s.Targets) == 0 ||
		slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Problem != "" || t.Suspended || t.Setup != "" })
}

// isOverwritten reports whether a target holds another version than a deployment, and what is written to it takes no
// effect.
func (s *situation) isOverwritten(h *v1alpha1.DeploymentHistoryEntry) bool {
	return slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Problem != "" && !t.shows(h.Version) })
}

// Details are what an image says of itself.
type Details struct {
	Release v1alpha1.ReleaseIdentity
	v1alpha1.ReleaseDetails
}

// Override lets one release past what holds it.
type Override struct {
	// Release that it is for.
	Release v1alpha1.ReleaseIdentity
	v1alpha1.UsedOverride
	// UntrustedReason says why it does not count; empty if it does.
	UntrustedReason string
}

// OverrideState is whether an Override is in force.
type OverrideState int

const (
	// OverrideInForce means that the Override skips what it lists.
	OverrideInForce OverrideState = iota
	// OverrideUntrusted means that it does not count, for its UntrustedReason.
	OverrideUntrusted
	// OverrideUnverified means that nothing proves who created it.
	OverrideUnverified
	// OverrideExpired means that its time is over.
	OverrideExpired
)

// State returns whether an Override is in force at a time. The unverifiedReason is that of the Observation.
func (o Override) State(now time.Time, unverifiedReason string) OverrideState {
	switch {
	case o.UntrustedReason != "":
		return OverrideUntrusted
	case unverifiedReason != "":
		return OverrideUnverified
	case !now.Before(o.ExpiresAt.Time):
		return OverrideExpired
	}
	return OverrideInForce
}

// Token names a deployment towards Flux. It changes with each deployment and each retry, and nothing else.
func Token(uid string, e *v1alpha1.DeploymentHistoryEntry) string {
	retry := int64(0)
	if e.LastRetryTimestamp != nil {
		retry = e.LastRetryTimestamp.Unix()
	}
	return fmt.Sprintf("%s/%d/%d", uid, entryID(e), retry)
}

// Cutoff is the time from which on reports count for a deployment: its own, or that of its last retry.
func Cutoff(e *v1alpha1.DeploymentHistoryEntry) time.Time {
	if e.LastRetryTimestamp != nil && e.LastRetryTimestamp.After(e.Timestamp.Time) {
		return e.LastRetryTimestamp.Time
	}
	return e.Timestamp.Time
}

// handedOver reports whether a deployment has reached Flux: a target was asked for it. The value alone says nothing, it
// may have been there before; but what is retried was handed over in its first attempt.
func (o *Observation) handedOver(e *v1alpha1.DeploymentHistoryEntry) bool {
	return slices.ContainsFunc(o.Targets, func(t Target) bool {
		return t.Asked || e.LastRetryTimestamp != nil && !withheld(e) && (!ByHand(e) || t.shows(e.Version))
	})
}

// stage is where a deployment stands between the decision and its end.
type stage int

const (
	// stageNone: nothing was deployed yet.
	stageNone stage = iota
	// stageRecorded: the deployment is decided, and no target was asked for it.
	stageRecorded
	// stageWithheld: as stageRecorded, and something holds it, which the record says.
	stageWithheld
	// stageHandedOver: a target was asked for it, and its bake has not started.
	stageHandedOver
	// stageBaking: Flux has applied it, every check is healthy, and the bake time runs.
	stageBaking
	// stageInterrupted: the bake waits for a check or for Flux, and starts again from the beginning.
	stageInterrupted
	// stagePaused: it waits for a person.
	stagePaused
	// stageEnded: it succeeded, failed, or was cancelled.
	stageEnded
)

// stageOf returns the stage of the newest deployment.
func (o *Observation) stageOf(h *v1alpha1.DeploymentHistoryEntry) stage {
	switch {
	case h == nil:
		return stageNone
	case !InFlight(h):
		return stageEnded
	case h.PausedTime != nil:
		return stagePaused
	case statusOf(h) == v1alpha1.BakeInProgress:
		return bakeStage(h)
	case o.handedOver(h):
		return stageHandedOver
	case withheld(h):
		return stageWithheld
	}
	return stageRecorded
}

func bakeStage(h *v1alpha1.DeploymentHistoryEntry) stage {
	if h.InterruptedTime != nil {
		return stageInterrupted
	}
	return stageBaking
}

// reachedFlux reports whether the newest deployment was handed to Flux, as far as is known.
func (s *situation) reachedFlux() bool {
	switch s.stage {
	case stageNone, stageRecorded, stageWithheld:
		return false
	case stagePaused, stageEnded:
		return s.handedOver(s.head()) || !withheld(s.head())
	}
	return true
}

// wasHandedOver reports whether the newest deployment was ever handed to Flux, also if the targets that took it are
// gone.
func (s *situation) wasHandedOver() bool {
	h := s.head()
	return h.BakeStartTime != nil || s.handedOver(h) || !ByHand(h) && s.reachedFlux()
}

// withheld reports whether the record says that a deployment was kept from Flux.
func withheld(e *v1alpha1.DeploymentHistoryEntry) bool {
	return e.InterruptedTime != nil && e.BakeStartTime == nil
}

// InFlight reports whether a deployment is Deploying or Baking.
func InFlight(e *v1alpha1.DeploymentHistoryEntry) bool {
	s := statusOf(e)
	return s == v1alpha1.BakeDeploying || s == v1alpha1.BakeInProgress
}

// ByHand reports whether a person chose the version: for its deployment, or by a pin to what had been deployed.
func ByHand(e *v1alpha1.DeploymentHistoryEntry) bool {
	if e.PinnedTime != nil {
		return true
	}
	switch e.Cause {
	case v1alpha1.CausePin, v1alpha1.CauseForceDeploy:
		return true
	case "":
		// Entries that an older controller wrote have no cause; it named a user where there was one.
		return e.TriggeredBy != nil && e.TriggeredBy.Kind == v1alpha1.TriggerUser
	}
	return false
}

func statusOf(e *v1alpha1.DeploymentHistoryEntry) v1alpha1.BakeStatus {
	if e.BakeStatus == nil {
		return v1alpha1.BakeSucceeded
	}
	status := v1alpha1.BakeStatus(*e.BakeStatus)
	if status == v1alpha1.BakeInProgress && e.BakeStartTime == nil {
		return v1alpha1.BakeDeploying // a bake that has not started
	}
	return status
}

func entryID(e *v1alpha1.DeploymentHistoryEntry) int64 {
	if e.ID == nil {
		return 0
	}
	return *e.ID
}

// matches is version.Matches for versions.
func matches(a, b v1alpha1.VersionInfo) bool {
	return version.Matches(version.Identity(a), version.Identity(b))
}

// PinnedUnknown returns the tag that spec.wantedVersion pins if no release that is known and no deployment has it.
func PinnedUnknown(ro *v1alpha1.Rollout) (tag string, ok bool) {
	if ro.Spec.WantedVersion == nil || version.CheckTag(*ro.Spec.WantedVersion) != nil {
		return "", false
	}
	id := v1alpha1.ReleaseIdentity{Tag: *ro.Spec.WantedVersion}
	return id.Tag, version.Index(ro.Status.AvailableReleases, id) < 0 && lastAttempt(ro.Status.History, id) < 0
}

// pinnedOnly reports whether a release exists only because spec.wantedVersion names its tag.
func pinnedOnly(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	tag, ok := PinnedUnknown(ro)
	return ok && id.Tag == tag && id.Digest == ""
}

// Span is what is measured of the newest deployment: its bake, or the wait for the bake to start or to go on, which
// deployTimeout bounds. False: nothing is.
func Span(spec v1alpha1.RolloutSpec, status v1alpha1.RolloutStatus) (observed.Span, bool) {
	if len(status.History) == 0 || !InFlight(&status.History[0]) || status.History[0].PausedTime != nil {
		return observed.Span{}, false
	}
	return span(spec, &status.History[0]), true
}

func span(spec v1alpha1.RolloutSpec, h *v1alpha1.DeploymentHistoryEntry) observed.Span {
	switch {
	case statusOf(h) == v1alpha1.BakeDeploying:
		return observed.Span{Name: "deploying", Start: Cutoff(h), Length: duration(spec.DeployTimeout)}
	case h.InterruptedTime != nil:
		return observed.Span{Name: "interrupted", Start: h.InterruptedTime.Time, Length: duration(spec.DeployTimeout)}
	}
	return observed.Span{Name: "baking", Start: h.BakeStartTime.Time, Length: duration(spec.BakeTime), CountPast: true}
}

// elapsed is how much of the current span has passed.
func (s *situation) elapsed(h *v1alpha1.DeploymentHistoryEntry) time.Duration {
	if s.Elapsed != nil {
		return *s.Elapsed
	}
	return s.Now.Sub(span(s.Spec, h).Start)
}
