package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Selection defines which of several candidates is deployed.
// +kubebuilder:validation:Enum=Latest;Every
type Selection string

const (
	// SelectLatest deploys the newest release that every gate allows. The releases between are superseded.
	SelectLatest Selection = "Latest"
	// SelectEvery deploys the oldest release first, so that each is verified in turn.
	SelectEvery Selection = "Every"
)

// OnFailure defines what happens to a release that fails.
// +kubebuilder:validation:Enum=Halt;Rollback;Pause
type OnFailure string

const (
	// OnFailureHalt leaves the failed version in place and stops.
	OnFailureHalt OnFailure = "Halt"
	// OnFailureRollback deploys the last Available release again, once.
	OnFailureRollback OnFailure = "Rollback"
	// OnFailurePause stops the clock and leaves the verdict to a person.
	OnFailurePause OnFailure = "Pause"
)

// AfterFailure defines what may be deployed automatically after a failure.
// +kubebuilder:validation:Enum=Block;AllowNewer
type AfterFailure string

const (
	// AfterFailureBlock deploys nothing until a person acts.
	AfterFailureBlock AfterFailure = "Block"
	// AfterFailureAllowNewer deploys a release that is newer than the failed one.
	AfterFailureAllowNewer AfterFailure = "AllowNewer"
)

// InitialDeployment defines whether the first deployment of a Rollout waits for gates.
// +kubebuilder:validation:Enum=Gated;SkipGates
type InitialDeployment string

const (
	// InitialDeploymentGated treats the first deployment like any other.
	InitialDeploymentGated InitialDeployment = "Gated"
	// InitialDeploymentSkipGates skips every gate for the first deployment.
	InitialDeploymentSkipGates InitialDeployment = "SkipGates"
)

// OnDowngrade defines what happens when the ImagePolicy selects a release that is lower, in its own order, than the one
// that runs.
// +kubebuilder:validation:Enum=Hold;Follow
type OnDowngrade string

const (
	// OnDowngradeHold keeps what runs until a person deploys the lower release.
	OnDowngradeHold OnDowngrade = "Hold"
	// OnDowngradeFollow deploys what the ImagePolicy selects, subject to gates and health like any other release.
	OnDowngradeFollow OnDowngrade = "Follow"
)

// HealthCheckSelector selects the health checks that decide about a release.
// +kubebuilder:validation:XValidation:rule="has(self.selector)",message="healthCheckSelector needs a selector: write healthCheckSelector.selector.matchLabels (healthCheckSelector.matchLabels is not read), or selector: {} for every HealthCheck of the namespace"
type HealthCheckSelector struct {
	// Selector selects health checks by label. An empty selector selects every HealthCheck. Required.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
	// NamespaceSelector selects the namespaces of the health checks by label. A controller that does not allow other
	// namespaces holds the release and reports that. Defaults to the namespace of the Rollout.
	// +optional
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
}

// RolloutSpec defines what is released and how.
// +kubebuilder:validation:XValidation:rule="has(self.releasesImagePolicy)",fieldPath=".releasesImagePolicy",reason=FieldValueRequired,message="name an ImagePolicy of the same namespace: releasesImagePolicy.name"
type RolloutSpec struct {
	// ReleasesImagePolicy is the Flux ImagePolicy, in the same namespace, whose latest tag becomes a release. Required.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="releasesImagePolicy.name is empty: name an ImagePolicy of the same namespace"
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	ReleasesImagePolicy corev1.LocalObjectReference `json:"releasesImagePolicy"`

	// WantedVersion pins the Rollout to a tag. The tag is deployed and skips gates and health, and nothing else is
	// deployed automatically until the field is removed. Defaults to no pin.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="wantedVersion is not a legal image tag: up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'; remove the field to unpin"
	WantedVersion *string `json:"wantedVersion,omitempty"`

	// VersionHistoryLimit is how many deployments status.history keeps. It is at least 1; above 40, 40 are kept.
	// Defaults to 10.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	VersionHistoryLimit *int32 `json:"versionHistoryLimit,omitempty"`

	// AvailableReleasesRetentionDays is how many days a release stays listed after it was created. It is at least 1.
	// Defaults to 7.
	// +optional
	// +kubebuilder:default=7
	// +kubebuilder:validation:Minimum=1
	AvailableReleasesRetentionDays *int32 `json:"availableReleasesRetentionDays,omitempty"`

	// AvailableReleasesMinCount is how many releases stay listed regardless of their age. It is at least 1; above 200,
	// 200 are listed. Defaults to 30.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	AvailableReleasesMinCount *int32 `json:"availableReleasesMinCount,omitempty"`

	// BakeTime is how long every health check must stay healthy before a release is Available. Defaults to 0s: the
	// release is Available as soon as Flux has applied it and every check is healthy.
	// +optional
	BakeTime *Duration `json:"bakeTime,omitempty"`

	// DeployTimeout limits the wait for the bake to start, from the deployment until Flux has applied it and every check
	// is healthy. It equally limits an interruption of the bake by a check without a verdict. Only time in which the
	// controller could observe the cluster counts. Defaults to no limit.
	// +optional
	DeployTimeout *Duration `json:"deployTimeout,omitempty"`

	// HealthCheckSelector selects the health checks that decide about a release. Defaults to none.
	// +optional
	HealthCheckSelector *HealthCheckSelector `json:"healthCheckSelector,omitempty"`

	// Suspend freezes the Rollout. The controller decides nothing and writes nothing to Flux, and still reports.
	// Defaults to false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// Selection defines which of several candidates is deployed: Latest or Every. Defaults to Latest.
	// +optional
	// +kubebuilder:default=Latest
	Selection Selection `json:"selection,omitempty"`

	// OnFailure defines what happens to a release that fails: Halt, Rollback or Pause. Defaults to Halt.
	// +optional
	// +kubebuilder:default=Halt
	OnFailure OnFailure `json:"onFailure,omitempty"`

	// AfterFailure defines what may be deployed automatically after a failure: Block or AllowNewer. Defaults to Block.
	// +optional
	// +kubebuilder:default=Block
	AfterFailure AfterFailure `json:"afterFailure,omitempty"`

	// InitialDeployment defines whether the first deployment waits for gates: Gated or SkipGates. Defaults to Gated.
	// +optional
	// +kubebuilder:default=Gated
	InitialDeployment InitialDeployment `json:"initialDeployment,omitempty"`

	// RequiredGates names the RolloutGates, in the same namespace, that must exist before anything is deployed
	// automatically. A listed gate that does not exist, or that is for another Rollout, is closed. Gates that are not
	// listed count as well. Set it where the Rollout and its gates are created by separate requests, so that the first
	// release cannot be deployed between them. At most 20. Defaults to none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	RequiredGates []string `json:"requiredGates,omitempty"`

	// OnDowngrade defines what happens when the ImagePolicy selects a release that is lower, in its own order, than the
	// running one: a tag was deleted, a range was narrowed, or a page of the registry was missing. Hold keeps what runs
	// and reports that in status.blockedBy. Follow deploys what is selected, even if it was known before. A manual
	// deployment is never undone. Defaults to Hold.
	// +optional
	// +kubebuilder:default=Hold
	OnDowngrade OnDowngrade `json:"onDowngrade,omitempty"`

	// RollbackFloor is the tag of the oldest release that may be rolled back to. Defaults to any release.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="rollbackFloor is not a legal image tag"
	RollbackFloor string `json:"rollbackFloor,omitempty"`
}

// Phase is what a Rollout does now.
type Phase string

const (
	// PhaseWaiting means that nothing was deployed yet, or that the newest release was selected and a gate closed before
	// it was handed to Flux.
	PhaseWaiting Phase = "Waiting"
	// PhaseDeploying means that the version was handed to Flux and the bake has not started.
	PhaseDeploying Phase = "Deploying"
	// PhaseBaking means that the bake time runs.
	PhaseBaking Phase = "Baking"
	// PhaseAvailable means that the release passed its bake.
	PhaseAvailable Phase = "Available"
	// PhaseFailed means that the release failed.
	PhaseFailed Phase = "Failed"
	// PhasePaused means that a check failed and a person decides.
	PhasePaused Phase = "Paused"
	// PhaseCancelled means that the last deployment was cancelled and nothing followed it.
	PhaseCancelled Phase = "Cancelled"
	// PhaseSuspended means that spec.suspend is true.
	PhaseSuspended Phase = "Suspended"
)

// BakeStatus is the state of one deployment. Its values are those of the published interface.
type BakeStatus string

const (
	// BakeDeploying corresponds to PhaseDeploying.
	BakeDeploying BakeStatus = "Deploying"
	// BakeInProgress corresponds to PhaseBaking.
	BakeInProgress BakeStatus = "InProgress"
	// BakeSucceeded corresponds to PhaseAvailable.
	BakeSucceeded BakeStatus = "Succeeded"
	// BakeFailed corresponds to PhaseFailed.
	BakeFailed BakeStatus = "Failed"
	// BakeCancelled corresponds to PhaseCancelled.
	BakeCancelled BakeStatus = "Cancelled"
)

// Cause is why a version was deployed.
type Cause string

const (
	// CauseAutomatic means that the controller selected the version.
	CauseAutomatic Cause = "Automatic"
	// CausePin means that spec.wantedVersion names the version.
	CausePin Cause = "Pin"
	// CauseForceDeploy means that the annotation force-deploy names the version.
	CauseForceDeploy Cause = "ForceDeploy"
	// CauseRollback means that the previous release failed and spec.onFailure is Rollback.
	CauseRollback Cause = "Rollback"
)

// TriggerKind is the kind of the originator of a deployment.
// +kubebuilder:validation:Enum=User;System
type TriggerKind string

const (
	// TriggerUser means that a person caused the deployment.
	TriggerUser TriggerKind = "User"
	// TriggerSystem means that the controller caused the deployment.
	TriggerSystem TriggerKind = "System"
)

// TriggeredBy identifies who caused a deployment.
type TriggeredBy struct {
	// Kind is User or System.
	Kind TriggerKind `json:"kind"`
	// Name is the name of the user or of the controller.
	Name string `json:"name"`
}

// FailedHealthCheck identifies a check that failed a deployment.
type FailedHealthCheck struct {
	// Name is the name of the HealthCheck.
	Name string `json:"name"`
	// Namespace is the namespace of the HealthCheck.
	Namespace string `json:"namespace"`
	// Message is the message of the check at that time.
	// +optional
	Message *string `json:"message,omitempty"`
}

// DeploymentHistoryEntry is one deployment. It is stored before anything is written to Flux.
type DeploymentHistoryEntry struct {
	// ID identifies the deployment. It grows by one with each deployment.
	// +optional
	ID *int64 `json:"id,omitempty"`
	// Version is the version that is deployed.
	Version VersionInfo `json:"version"`
	// Timestamp is when the deployment was decided.
	Timestamp metav1.Time `json:"timestamp"`
	// Message explains the deployment to people.
	// +optional
	Message *string `json:"message,omitempty"`
	// TriggeredBy identifies who caused the deployment.
	// +optional
	TriggeredBy *TriggeredBy `json:"triggeredBy,omitempty"`
	// BakeStatus is Deploying, InProgress, Succeeded, Failed or Cancelled.
	// +optional
	BakeStatus *string `json:"bakeStatus,omitempty"`
	// BakeStatusMessage explains bakeStatus to people.
	// +optional
	BakeStatusMessage *string `json:"bakeStatusMessage,omitempty"`
	// BakeStartTime is when every check was healthy for this deployment and its bake started.
	// +optional
	BakeStartTime *metav1.Time `json:"bakeStartTime,omitempty"`
	// BakeEndTime is when the deployment ended, with any outcome.
	// +optional
	BakeEndTime *metav1.Time `json:"bakeEndTime,omitempty"`
	// FailedHealthChecks lists the checks that failed the deployment.
	// +optional
	FailedHealthChecks []FailedHealthCheck `json:"failedHealthChecks,omitempty"`
	// LastRetryTimestamp is when the deployment was last retried. Earlier failures do not count.
	// +optional
	LastRetryTimestamp *metav1.Time `json:"lastRetryTimestamp,omitempty"`
	// Cause is why this version was deployed: Automatic, Pin, ForceDeploy or Rollback.
	// +optional
	Cause Cause `json:"cause,omitempty"`
	// NewestKnown is the newest release that was known when the deployment was decided, or when the version was pinned.
	// After a manual deployment, only releases that are discovered later are deployed automatically.
	// +optional
	NewestKnown *ReleaseIdentity `json:"newestKnown,omitempty"`
	// BypassedGates lists the gates that were not open and that a person let this deployment skip.
	// +optional
	BypassedGates []string `json:"bypassedGates,omitempty"`
	// Overrides lists the Overrides that let this deployment skip what held it. At most 10.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	Overrides []UsedOverride `json:"overrides,omitempty"`
	// Recovery is true if the version was deployed manually, or as a rollback, while checks were already unhealthy.
	// Those checks do not fail it until they have been healthy once.
	// +optional
	Recovery bool `json:"recovery,omitempty"`
	// RollbackOf is the ID of the failed deployment that this deployment rolls back.
	// +optional
	RollbackOf *int64 `json:"rollbackOf,omitempty"`
	// PausedTime is when a failing check stopped the clock, with spec.onFailure Pause.
	// +optional
	PausedTime *metav1.Time `json:"pausedTime,omitempty"`
	// InterruptedTime is when a check lost its verdict during the bake. The bake starts again when the check has a
	// verdict.
	// +optional
	InterruptedTime *metav1.Time `json:"interruptedTime,omitempty"`
	// PinnedTime is when spec.wantedVersion was last set to the version of this deployment after it was deployed. From
	// then on the deployment counts as manual.
	// +optional
	PinnedTime *metav1.Time `json:"pinnedTime,omitempty"`
	// UnpinnedTime is when spec.wantedVersion was last changed from the version of this deployment, or removed.
	// +optional
	UnpinnedTime *metav1.Time `json:"unpinnedTime,omitempty"`
}

// UsedOverride records an Override that let a deployment skip what held it. The record is kept when the Override is
// deleted.
type UsedOverride struct {
	// Name is the name of the Override.
	Name string `json:"name"`
	// UID is the UID of the Override.
	// +optional
	UID string `json:"uid,omitempty"`
	// User is who created the Override, as the API server knows them.
	User string `json:"user"`
	// Reason is the reason that the user gave.
	Reason string `json:"reason"`
	// Bypass lists what the Override skips: Gates, Schedules or Health.
	Bypass []Bypass `json:"bypass"`
	// ExpiresAt is when the Override ends.
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// RolloutGateStatusSummary is the state of a gate for the next release.
type RolloutGateStatusSummary struct {
	// Name is the name of the RolloutGate.
	Name string `json:"name"`
	// Passing is true if the gate is open for the next release.
	// +optional
	Passing *bool `json:"passing,omitempty"`
	// State is open, closed or pending.
	// +optional
	State GateState `json:"state,omitempty"`
	// Reason is one word for programs.
	// +optional
	Reason string `json:"reason,omitempty"`
	// AllowedVersions lists the versions that the gate allows. An unset list and an empty list differ.
	// +optional
	AllowedVersions []string `json:"allowedVersions,omitempty"`
	// Message explains the state to people.
	// +optional
	Message string `json:"message,omitempty"`
	// BypassGates is true if a person let the release skip the gates.
	// +optional
	BypassGates bool `json:"bypassGates,omitempty"`
}

// Blocker is one thing that the next step waits for.
type Blocker struct {
	// Kind of the object: Rollout, ImagePolicy, RolloutGate, HealthCheck, Kustomization or OCIRepository.
	Kind string `json:"kind"`
	// Name of the object, or namespace/name if it is in another namespace.
	// +optional
	Name string `json:"name,omitempty"`
	// Reason is one word for programs.
	Reason string `json:"reason"`
	// Message explains the reason to people.
	Message string `json:"message"`
	// Since is when the object began to block.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Until is the earliest time at which it stops blocking by itself. Unset if it does not.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// ClearedBy names who or what can clear it.
	// +optional
	ClearedBy string `json:"clearedBy,omitempty"`
}

// SkippedRelease is a known release that is not deployed automatically.
type SkippedRelease struct {
	ReleaseIdentity `json:",inline"`
	// Reason is one word for programs: Superseded, TagMoved, NoDigest, Withdrawn, Downgrade, NotNewer, DeployedByHand,
	// Quarantined, or the reason of the gate that refuses it.
	Reason string `json:"reason"`
	// Message explains the reason to people.
	// +optional
	Message string `json:"message,omitempty"`
	// ClearedBy names who or what makes it a candidate, or deploys it.
	// +optional
	ClearedBy string `json:"clearedBy,omitempty"`
}

// CheckEvidence is what a health check reports, and for which revision.
type CheckEvidence struct {
	// Name of the HealthCheck, or namespace/name if it is in another namespace.
	Name string `json:"name"`
	// State is Healthy, Unhealthy, Pending or Unknown.
	// +kubebuilder:validation:Enum=Healthy;Unhealthy;Pending;Unknown
	State HealthState `json:"state"`
	// Revision is the revision that the verdict applies to.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Current is true if that is the deployed revision.
	Current bool `json:"current"`
	// Since is when the check entered the state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Message is the message of the check.
	// +optional
	Message string `json:"message,omitempty"`
}

// TargetStatus is the state of a Flux object that the Rollout writes to.
type TargetStatus struct {
	// Kind is Kustomization or OCIRepository.
	Kind string `json:"kind"`
	// Name of the object.
	Name string `json:"name"`
	// Variable is the variable of the Kustomization that carries the version.
	// +optional
	Variable string `json:"variable,omitempty"`
	// Value is what the object carries: the tag, the digest, or tag@digest, as its annotations define.
	// +optional
	Value string `json:"value,omitempty"`
	// Applied is true if Flux has applied the deployed version.
	Applied bool `json:"applied"`
	// Message explains what is wrong, or what the object waits for.
	// +optional
	Message string `json:"message,omitempty"`
}

// RolloutStatus is the record of a Rollout. Only the controller writes it.
type RolloutStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is Waiting, Deploying, Baking, Available, Failed, Paused, Cancelled or Suspended.
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// CurrentVersion is the tag that was last handed to Flux.
	// +optional
	CurrentVersion string `json:"currentVersion,omitempty"`
	// PendingVersion is the tag of the release that waits to be deployed.
	// +optional
	PendingVersion string `json:"pendingVersion,omitempty"`
	// BlockedBy lists, in order, what the next step waits for.
	// +optional
	BlockedBy []Blocker `json:"blockedBy,omitempty"`
	// WaitsFor names the first entry of blockedBy and how many more there are. If nothing blocks, it describes the
	// progress of the deployment in flight or of the pending release. It is empty if nothing waits.
	// +optional
	WaitsFor string `json:"waitsFor,omitempty"`
	// History lists the deployments, newest first.
	// +optional
	History []DeploymentHistoryEntry `json:"history,omitempty"`
	// AvailableReleases lists the known releases in the order of their discovery, oldest first.
	// +optional
	AvailableReleases []VersionInfo `json:"availableReleases,omitempty"`
	// Skipped lists the known releases that were never deployed and are not deployed automatically, newest first, and
	// why. Releases that are merely older than a deployed one are not listed. At most 50.
	// +optional
	Skipped []SkippedRelease `json:"skipped,omitempty"`
	// ReleaseCandidates lists the releases that could be deployed next, newest first.
	// +optional
	ReleaseCandidates []VersionInfo `json:"releaseCandidates,omitempty"`
	// GatedReleaseCandidates lists the candidates that every gate allows, newest first.
	// +optional
	GatedReleaseCandidates []VersionInfo `json:"gatedReleaseCandidates,omitempty"`
	// Gates lists the state of each gate for the next release.
	// +optional
	Gates []RolloutGateStatusSummary `json:"gates,omitempty"`
	// Checks lists what the selected health checks report for the deployed version. At most 50.
	// +optional
	Checks []CheckEvidence `json:"checks,omitempty"`
	// Targets lists the Flux objects that carry the version. At most 50.
	// +optional
	Targets []TargetStatus `json:"targets,omitempty"`
	// Quarantined lists the releases that are not deployed automatically again.
	// +optional
	Quarantined []Quarantine `json:"quarantined,omitempty"`
	// QuarantineLifted lists the releases that people took out of quarantine, with the reason they gave, newest last. At
	// most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	QuarantineLifted []LiftedQuarantine `json:"quarantineLifted,omitempty"`
	// ApprovalRequested lists the candidates for which an approval was requested, so that each request is made once. At
	// most 100.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	ApprovalRequested []ReleaseIdentity `json:"approvalRequested,omitempty"`
	// HandledAnnotations holds the one-shot annotations that were handled and are not yet removed, with their values.
	// +optional
	HandledAnnotations map[string]string `json:"handledAnnotations,omitempty"`
	// ArtifactType is the artifact type of the newest release whose image was read.
	// +optional
	ArtifactType *string `json:"artifactType,omitempty"`
	// Source is the image annotation org.opencontainers.image.source of that release.
	// +optional
	Source *string `json:"source,omitempty"`
	// Title is the image annotation org.opencontainers.image.title of that release.
	// +optional
	Title *string `json:"title,omitempty"`
	// Description is the image annotation org.opencontainers.image.description of that release.
	// +optional
	Description *string `json:"description,omitempty"`
	// Conditions of the Rollout: Ready, Reconciling, Stalled, Available, Halted, ReleasesUpdated, GatesPassing,
	// DeploymentBlocked, BakeFailureDisabled and TargetsReady.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Rollout releases the versions that a Flux ImagePolicy selects: through gates, into Flux, and through a bake.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ro,categories=kuberik
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.currentVersion`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Pending",type=string,JSONPath=`.status.pendingVersion`
// +kubebuilder:printcolumn:name="Waits for",type=string,JSONPath=`.status.waitsFor`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="BakeStatus",type=string,JSONPath=`.status.history[0].bakeStatus`,priority=1
// +kubebuilder:printcolumn:name="Gates",type=string,JSONPath=`.status.conditions[?(@.type=="GatesPassing")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the Rollout has no spec: name the ImagePolicy whose tags it releases in spec.releasesImagePolicy.name"
type Rollout struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines what is released and how. It is required.
	// +optional
	Spec RolloutSpec `json:"spec"`
	// Status is the record of the Rollout.
	// +optional
	Status RolloutStatus `json:"status,omitempty"`
}

// RolloutList is a list of Rollouts.
// +kubebuilder:object:root=true
type RolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Rollout `json:"items"`
}
