package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Selection says which of several candidates is deployed.
// +kubebuilder:validation:Enum=Latest;Every
type Selection string

const (
	// SelectLatest takes the newest release that every gate admits; those in between are superseded.
	SelectLatest Selection = "Latest"
	// SelectEvery takes the oldest first, so that each is verified in turn.
	SelectEvery Selection = "Every"
)

// OnFailure says what happens to a release that fails.
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

// AfterFailure says what may be deployed automatically after a failure.
// +kubebuilder:validation:Enum=Block;AllowNewer
type AfterFailure string

const (
	// AfterFailureBlock deploys nothing until a person acts.
	AfterFailureBlock AfterFailure = "Block"
	// AfterFailureAllowNewer lets a release through that is newer than the failed one.
	AfterFailureAllowNewer AfterFailure = "AllowNewer"
)

// InitialDeployment says how the first deployment of a Rollout is treated.
// +kubebuilder:validation:Enum=Gated;SkipGates
type InitialDeployment string

const (
	// InitialDeploymentGated treats the first deployment like any other.
	InitialDeploymentGated InitialDeployment = "Gated"
	// InitialDeploymentSkipGates lets the first deployment past every gate.
	InitialDeploymentSkipGates InitialDeployment = "SkipGates"
)

// OnDowngrade defines what happens when the ImagePolicy selects a release that is lower, in its own order, than the one that runs.
// +kubebuilder:validation:Enum=Hold;Follow
type OnDowngrade string

const (
	// OnDowngradeHold leaves what runs until a person deploys the lower release.
	OnDowngradeHold OnDowngrade = "Hold"
	// OnDowngradeFollow deploys what the ImagePolicy selects, through gates and health like any other release.
	OnDowngradeFollow OnDowngrade = "Follow"
)

// HealthCheckSelector chooses the health checks that a release is judged by.
// +kubebuilder:validation:XValidation:rule="has(self.selector)",message="healthCheckSelector needs a selector: write healthCheckSelector.selector.matchLabels (healthCheckSelector.matchLabels is not read), or selector: {} for every HealthCheck of the namespace"
type HealthCheckSelector struct {
	// Selector chooses by label. An empty selector chooses every HealthCheck.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// NamespaceSelector chooses health checks of other namespaces. Unset: the namespace of the Rollout. A controller that does
	// not allow other namespaces holds the release and says so.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// RolloutSpec says what is released and how.
// +kubebuilder:validation:XValidation:rule="has(self.releasesImagePolicy)",fieldPath=".releasesImagePolicy",reason=FieldValueRequired,message="name an ImagePolicy of the same namespace: releasesImagePolicy.name"
type RolloutSpec struct {
	// ReleasesImagePolicy is the Flux ImagePolicy, in the same namespace, whose latest tag becomes a release.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="releasesImagePolicy.name is empty: name an ImagePolicy of the same namespace"
	ReleasesImagePolicy corev1.LocalObjectReference `json:"releasesImagePolicy"`

	// WantedVersion pins the Rollout to a tag. It is deployed past gates and health, and automation leaves it alone until the
	// pin is removed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="wantedVersion is not a legal image tag: up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'; remove the field to unpin"
	WantedVersion *string `json:"wantedVersion,omitempty"`

	// VersionHistoryLimit is how many deployments status.history keeps. At most 40 are kept whatever it says.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	VersionHistoryLimit *int32 `json:"versionHistoryLimit,omitempty"`

	// AvailableReleasesRetentionDays is how long a release stays listed after it was made, in days.
	// +optional
	// +kubebuilder:default=7
	// +kubebuilder:validation:Minimum=1
	AvailableReleasesRetentionDays *int32 `json:"availableReleasesRetentionDays,omitempty"`

	// AvailableReleasesMinCount is how many releases stay listed however old they are. At most 200 are listed.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	AvailableReleasesMinCount *int32 `json:"availableReleasesMinCount,omitempty"`

	// BakeTime is how long every health check has to stay healthy before a release is Available. Unset: Available as soon as
	// Flux has applied it and every check is healthy.
	// +optional
	BakeTime *Duration `json:"bakeTime,omitempty"`

	// DeployTimeout bounds the wait for the bake to start: from the deployment until Flux has applied it and every check is
	// healthy. It bounds an interruption of the bake by a check without a verdict just the same. Only time in which the
	// controller could observe the cluster counts. Unset: no bound.
	// +optional
	DeployTimeout *Duration `json:"deployTimeout,omitempty"`

	// HealthCheckSelector chooses the health checks that a release is judged by. Unset: none.
	// +optional
	HealthCheckSelector *HealthCheckSelector `json:"healthCheckSelector,omitempty"`

	// Suspend freezes the Rollout: nothing is decided or written to Flux, everything is still reported.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// Selection says which of several candidates is deployed. Default Latest.
	// +optional
	// +kubebuilder:default=Latest
	Selection Selection `json:"selection,omitempty"`

	// OnFailure says what happens to a release that fails. Default Halt.
	// +optional
	// +kubebuilder:default=Halt
	OnFailure OnFailure `json:"onFailure,omitempty"`

	// AfterFailure says what may be deployed automatically after a failure. Default Block.
	// +optional
	// +kubebuilder:default=Block
	AfterFailure AfterFailure `json:"afterFailure,omitempty"`

	// InitialDeployment says whether the first deployment waits for gates. Default Gated.
	// +optional
	// +kubebuilder:default=Gated
	InitialDeployment InitialDeployment `json:"initialDeployment,omitempty"`

	// RequiredGates names the RolloutGates, in the same namespace, that have to exist before anything is deployed automatically. A
	// gate of the list that does not exist, or that is for another Rollout, is closed. Gates that are not listed count as well.
	// Set it where the Rollout and its gates are created by separate requests, so that the first release cannot go out
	// between them. Defaults to none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	RequiredGates []string `json:"requiredGates,omitempty"`

	// OnDowngrade defines what happens when the ImagePolicy selects a release that is lower, in its own order, than the one that runs:
	// a tag was deleted, a range was narrowed, or a page of the registry was missing. Hold keeps what runs and says so in
	// status.blockedBy. Follow deploys what is selected, also if it was known before. What a person deployed is never undone.
	// Default Hold.
	// +optional
	// +kubebuilder:default=Hold
	OnDowngrade OnDowngrade `json:"onDowngrade,omitempty"`

	// RollbackFloor is the tag of the oldest release that may be rolled back to. Unset: any.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$')",message="rollbackFloor is not a legal image tag"
	RollbackFloor string `json:"rollbackFloor,omitempty"`
}

// Phase says what a Rollout does now.
type Phase string

const (
	// PhaseWaiting: nothing was deployed yet, or the newest release was selected and a gate closed before it was handed to Flux.
	PhaseWaiting Phase = "Waiting"
	// PhaseDeploying: the version was handed to Flux and the bake has not started.
	PhaseDeploying Phase = "Deploying"
	// PhaseBaking: the bake time runs.
	PhaseBaking Phase = "Baking"
	// PhaseAvailable: the release passed.
	PhaseAvailable Phase = "Available"
	// PhaseFailed: the release failed and was halted.
	PhaseFailed Phase = "Failed"
	// PhasePaused: a check failed and a person decides.
	PhasePaused Phase = "Paused"
	// PhaseCancelled: the last deployment was replaced and nothing followed it.
	PhaseCancelled Phase = "Cancelled"
	// PhaseSuspended: spec.suspend is true.
	PhaseSuspended Phase = "Suspended"
)

// BakeStatus is the state of one deployment, in the words of the published interface.
type BakeStatus string

const (
	// BakeDeploying is PhaseDeploying.
	BakeDeploying BakeStatus = "Deploying"
	// BakeInProgress is PhaseBaking.
	BakeInProgress BakeStatus = "InProgress"
	// BakeSucceeded is PhaseAvailable.
	BakeSucceeded BakeStatus = "Succeeded"
	// BakeFailed is PhaseFailed.
	BakeFailed BakeStatus = "Failed"
	// BakeCancelled is PhaseCancelled.
	BakeCancelled BakeStatus = "Cancelled"
)

// Cause says why a version was deployed.
type Cause string

const (
	// CauseAutomatic: selection chose it.
	CauseAutomatic Cause = "Automatic"
	// CausePin: spec.wantedVersion.
	CausePin Cause = "Pin"
	// CauseForceDeploy: the force-deploy annotation.
	CauseForceDeploy Cause = "ForceDeploy"
	// CauseRollback: the release before failed and spec.onFailure is Rollback.
	CauseRollback Cause = "Rollback"
)

// TriggeredBy says who is behind a deployment.
type TriggeredBy struct {
	// Kind is User or System.
	// +kubebuilder:validation:Enum=User;System
	Kind string `json:"kind"`
	// Name of the user or of the controller.
	Name string `json:"name"`
}

// FailedHealthCheck names a check that failed a deployment.
type FailedHealthCheck struct {
	// Name of the HealthCheck.
	Name string `json:"name"`
	// Namespace of the HealthCheck.
	Namespace string `json:"namespace"`
	// Message the check gave.
	// +optional
	Message *string `json:"message,omitempty"`
}

// DeploymentHistoryEntry is one deployment. It is stored before anything outside is touched.
type DeploymentHistoryEntry struct {
	// ID grows by one with each deployment.
	// +optional
	ID *int64 `json:"id,omitempty"`
	// Version that is deployed.
	Version VersionInfo `json:"version"`
	// Timestamp of the decision.
	Timestamp metav1.Time `json:"timestamp"`
	// Message for people.
	// +optional
	Message *string `json:"message,omitempty"`
	// TriggeredBy says who is behind it.
	// +optional
	TriggeredBy *TriggeredBy `json:"triggeredBy,omitempty"`
	// BakeStatus is Deploying, InProgress, Succeeded, Failed or Cancelled.
	// +optional
	BakeStatus *string `json:"bakeStatus,omitempty"`
	// BakeStatusMessage explains BakeStatus.
	// +optional
	BakeStatusMessage *string `json:"bakeStatusMessage,omitempty"`
	// BakeStartTime is when every check was healthy for this deployment.
	// +optional
	BakeStartTime *metav1.Time `json:"bakeStartTime,omitempty"`
	// BakeEndTime is when the deployment ended, in any way.
	// +optional
	BakeEndTime *metav1.Time `json:"bakeEndTime,omitempty"`
	// FailedHealthChecks are the checks that failed it.
	// +optional
	FailedHealthChecks []FailedHealthCheck `json:"failedHealthChecks,omitempty"`
	// LastRetryTimestamp is when it was last run again; failures from before do not count.
	// +optional
	LastRetryTimestamp *metav1.Time `json:"lastRetryTimestamp,omitempty"`
	// Cause says why this version was deployed: Automatic, Pin, ForceDeploy or Rollback.
	// +optional
	Cause Cause `json:"cause,omitempty"`
	// NewestKnown is the newest release that was known at the time, or when the version was pinned. After a deployment by hand, automation goes on with
	// releases that came later.
	// +optional
	NewestKnown *ReleaseIdentity `json:"newestKnown,omitempty"`
	// BypassedGates are the gates that were not open and that a person let this deployment past.
	// +optional
	BypassedGates []string `json:"bypassedGates,omitempty"`
	// Overrides are those that let this deployment past what held it.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	Overrides []UsedOverride `json:"overrides,omitempty"`
	// Recovery says that it was deployed by hand, or as a rollback, while checks were unhealthy already: they do not count
	// against it before they have been healthy.
	// +optional
	Recovery bool `json:"recovery,omitempty"`
	// RollbackOf is the id of the failed deployment that this one takes back.
	// +optional
	RollbackOf *int64 `json:"rollbackOf,omitempty"`
	// PausedTime is when a failing check stopped the clock, with spec.onFailure Pause.
	// +optional
	PausedTime *metav1.Time `json:"pausedTime,omitempty"`
	// InterruptedTime is since when a check has had no verdict in the middle of the bake. The bake starts anew when it has.
	// +optional
	InterruptedTime *metav1.Time `json:"interruptedTime,omitempty"`
	// PinnedTime is when spec.wantedVersion was last set to the version of this deployment, if it was deployed already. From then on a person
	// has chosen it.
	// +optional
	PinnedTime *metav1.Time `json:"pinnedTime,omitempty"`
	// UnpinnedTime is when spec.wantedVersion was removed or set to another version, if it was the version of this deployment.
	// +optional
	UnpinnedTime *metav1.Time `json:"unpinnedTime,omitempty"`
}

// UsedOverride is the record of an Override that let a deployment past what held it. It stays when the Override is deleted.
type UsedOverride struct {
	// Name of the Override, and its UID.
	Name string `json:"name"`
	// +optional
	UID string `json:"uid,omitempty"`
	// User who broke the glass, as the API server knows them.
	User string `json:"user"`
	// Reason that the user gave.
	Reason string `json:"reason"`
	// Bypass is what it goes past.
	Bypass []Bypass `json:"bypass"`
	// ExpiresAt is when it ends.
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// RolloutGateStatusSummary is what a gate says of the next release.
type RolloutGateStatusSummary struct {
	// Name of the RolloutGate.
	Name string `json:"name"`
	// Passing is whether the gate is open for the next release.
	// +optional
	Passing *bool `json:"passing,omitempty"`
	// State is open, closed or pending.
	// +optional
	State GateState `json:"state,omitempty"`
	// Reason in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// AllowedVersions as the gate lists them. No list and an empty list differ.
	// +optional
	AllowedVersions []string `json:"allowedVersions,omitempty"`
	// Message explains it.
	// +optional
	Message string `json:"message,omitempty"`
	// BypassGates is true when a person let the release past the gates.
	// +optional
	BypassGates bool `json:"bypassGates,omitempty"`
}

// Blocker is one thing that the next step waits for.
type Blocker struct {
	// Kind of the thing: Rollout, ImagePolicy, RolloutGate, HealthCheck, Kustomization, OCIRepository.
	Kind string `json:"kind"`
	// Name of the thing, with its namespace before a slash if that is another.
	// +optional
	Name string `json:"name,omitempty"`
	// Reason in one word.
	Reason string `json:"reason"`
	// Message for a person.
	Message string `json:"message"`
	// Since when it blocks.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Until is when it ends by itself at the earliest, if it does.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// ClearedBy says who or what can clear it.
	// +optional
	ClearedBy string `json:"clearedBy,omitempty"`
}

// SkippedRelease is a known release that automation passes over.
type SkippedRelease struct {
	ReleaseIdentity `json:",inline"`
	// Reason in one word: Superseded, TagMoved, NoDigest, Withdrawn, Downgrade, NotNewer, DeployedByHand, Quarantined, or that of
	// the gate that refuses it.
	Reason string `json:"reason"`
	// Message for a person.
	// +optional
	Message string `json:"message,omitempty"`
	// ClearedBy says who or what makes it a candidate, or deploys it.
	// +optional
	ClearedBy string `json:"clearedBy,omitempty"`
}

// CheckEvidence is what a health check says, and for which revision.
type CheckEvidence struct {
	// Name of the HealthCheck, with its namespace before a slash if that is another.
	Name string `json:"name"`
	// State is Healthy, Unhealthy, Pending or Unknown.
	State string `json:"state"`
	// Revision that the check speaks for.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Current is whether that is the revision that was deployed.
	Current bool `json:"current"`
	// Since when the state holds.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Message the check gave.
	// +optional
	Message string `json:"message,omitempty"`
}

// TargetStatus is a Flux object that the Rollout writes to.
type TargetStatus struct {
	// Kind is Kustomization or OCIRepository.
	Kind string `json:"kind"`
	// Name of the object.
	Name string `json:"name"`
	// Variable of the Kustomization.
	// +optional
	Variable string `json:"variable,omitempty"`
	// Value that the object carries: the tag, the digest, or tag@digest, as its annotations ask for.
	// +optional
	Value string `json:"value,omitempty"`
	// Applied is whether Flux has applied the deployed version.
	Applied bool `json:"applied"`
	// Message says what is wrong, or what is waited for.
	// +optional
	Message string `json:"message,omitempty"`
}

// RolloutStatus is the record of a Rollout. Only the controller writes it.
type RolloutStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase says what the Rollout does now.
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
	// WaitsFor names the first entry of blockedBy and how many more there are. If nothing blocks, it says what
	// happens to the deployment in flight or the pending release. Empty: nothing waits.
	// +optional
	WaitsFor string `json:"waitsFor,omitempty"`
	// History lists the deployments, newest first.
	// +optional
	History []DeploymentHistoryEntry `json:"history,omitempty"`
	// AvailableReleases lists the known releases in the order of their discovery, oldest first.
	// +optional
	AvailableReleases []VersionInfo `json:"availableReleases,omitempty"`
	// Skipped lists the known releases that were never deployed and that automation passes over, newest first, and why. Releases
	// that are merely older than a deployed one are not listed. At most 50 are listed.
	// +optional
	Skipped []SkippedRelease `json:"skipped,omitempty"`
	// ReleaseCandidates lists the releases that could be deployed next, newest first.
	// +optional
	ReleaseCandidates []VersionInfo `json:"releaseCandidates,omitempty"`
	// GatedReleaseCandidates lists the candidates that every gate admits, newest first.
	// +optional
	GatedReleaseCandidates []VersionInfo `json:"gatedReleaseCandidates,omitempty"`
	// Gates lists what each gate says of the next release.
	// +optional
	Gates []RolloutGateStatusSummary `json:"gates,omitempty"`
	// Checks lists what the selected health checks say of the deployed version. At most 50 are listed.
	// +optional
	Checks []CheckEvidence `json:"checks,omitempty"`
	// Targets lists the Flux objects that carry the version. At most 50 are listed.
	// +optional
	Targets []TargetStatus `json:"targets,omitempty"`
	// Quarantined lists the releases that are not deployed automatically again.
	// +optional
	Quarantined []Quarantine `json:"quarantined,omitempty"`
	// QuarantineLifted lists the releases that people took out of quarantine, with the reason they gave, newest last. At most 20 are listed.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	QuarantineLifted []LiftedQuarantine `json:"quarantineLifted,omitempty"`
	// ApprovalRequested lists the candidates that people were asked to approve; nobody is asked twice.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	ApprovalRequested []ReleaseIdentity `json:"approvalRequested,omitempty"`
	// HandledAnnotations holds the one-shot annotations that were acted upon and are not yet removed, with their values.
	// +optional
	HandledAnnotations map[string]string `json:"handledAnnotations,omitempty"`
	// ArtifactType of the newest release whose image could be read.
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
	// Conditions of the Rollout.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Rollout releases what a Flux ImagePolicy finds: through gates, into Flux, and past a bake.
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
	// Status is the record.
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
