package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus, so that kubectl wait, Flux and kube-state-metrics read them rightly.
const (
	// ConditionReady is True while the Rollout does its work: also while a release waits, is deployed or bakes. It is False when the newest
	// release has failed or is paused, when the spec cannot be followed, and when a write failed.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the controller tries again what failed, such as a write to a Flux object.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the Rollout has failed in a way that does not pass by itself.
	ConditionStalled = "Stalled"
	// ConditionAvailable is True when the newest deployment has passed its bake. Wait for it with kubectl wait.
	ConditionAvailable = "Available"
	// ConditionHalted is True while automatic deployments rest until a person acts: after a failure, while what the ImagePolicy selects cannot or
	// must not go out, or while the set-up is wrong. The message says what to do. A gate that waits for people does not count, nor what a person
	// asked for: suspend, a pin, or a version by hand.
	ConditionHalted = "Halted"
	// ConditionReleasesUpdated says whether the ImagePolicy could be read.
	ConditionReleasesUpdated = "ReleasesUpdated"
	// ConditionGatesPassing says whether a gate holds the next release.
	ConditionGatesPassing = "GatesPassing"
	// ConditionDeploymentBlocked says whether the health of what runs holds the next release.
	ConditionDeploymentBlocked = "DeploymentBlocked"
	// ConditionBakeFailureDisabled says whether the running release was deployed by hand into an environment that was
	// unhealthy already, so that those checks do not fail it before they have been healthy once.
	ConditionBakeFailureDisabled = "BakeFailureDisabled"
	// ConditionTargetsReady says whether every Flux object that the Rollout writes to can carry the version.
	ConditionTargetsReady = "TargetsReady"
)

// Reasons of Rollout conditions and of entries in blockedBy.
const (
	// ReasonAvailable: the release that runs has passed its bake.
	ReasonAvailable = "Available"
	// ReasonDeploying: the version was handed to Flux, and is not yet applied and healthy.
	ReasonDeploying = "Deploying"
	// ReasonBaking: every check is healthy and the bake time runs.
	ReasonBaking = "Baking"
	// ReasonFailed: the release failed and was halted.
	ReasonFailed = "Failed"
	// ReasonPaused: a check failed and spec.onFailure is Pause; a person decides.
	ReasonPaused = "Paused"
	// ReasonCancelled: the release was replaced by hand while it was in flight.
	ReasonCancelled = "Cancelled"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonInvalidSpec: the spec cannot be followed as it stands.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonNoReleases: the ImagePolicy has not selected a tag yet.
	ReasonNoReleases = "NoReleases"
	// ReasonNormal: nothing is out of the ordinary.
	ReasonNormal = "Normal"
	// ReasonPending: a release waits.
	ReasonPending = "Pending"
	// ReasonImagePolicyNotFound: the ImagePolicy does not exist.
	ReasonImagePolicyNotFound = "ImagePolicyNotFound"
	// ReasonImagePolicyNotReady: Flux cannot say what the ImagePolicy selects.
	ReasonImagePolicyNotReady = "ImagePolicyNotReady"
	// ReasonIllegalTag: the ImagePolicy selected text that is not a legal OCI tag or digest.
	ReasonIllegalTag = "IllegalTag"
	// ReasonReleasesUpdated: the ImagePolicy was read.
	ReasonReleasesUpdated = "ReleasesUpdated"
	// ReasonAllGatesPassing: no gate holds anything.
	ReasonAllGatesPassing = "AllGatesPassing"
	// ReasonSomeGatesBlocking: a gate is closed or pending.
	ReasonSomeGatesBlocking = "SomeGatesBlocking"
	// ReasonNoAllowedVersions: gates are open for other versions than the candidates.
	ReasonNoAllowedVersions = "NoAllowedVersions"
	// ReasonGatesBypassed: a person let a release past the gates.
	ReasonGatesBypassed = "GatesBypassed"
	// ReasonHealthChecksHealthy: no selected check is unhealthy.
	ReasonHealthChecksHealthy = "HealthChecksHealthy"
	// ReasonUnhealthyHealthChecks: a selected check is unhealthy.
	ReasonUnhealthyHealthChecks = "UnhealthyHealthChecks"
	// ReasonDeployedWithUnhealthyHealthChecks: deployed by hand while checks were red.
	ReasonDeployedWithUnhealthyHealthChecks = "DeployedWithUnhealthyHealthChecks"
	// ReasonSettling: the Rollout is new, and its gates and health checks may still be about to be created.
	ReasonSettling = "Settling"
	// ReasonPreviousFailed: the release before failed, and spec.afterFailure is Block.
	ReasonPreviousFailed = "PreviousFailed"
	// ReasonRolledBack: the release before failed and was rolled back, and spec.afterFailure is Block.
	ReasonRolledBack = "RolledBack"
	// ReasonPinned: spec.wantedVersion holds the version.
	ReasonPinned = "Pinned"
	// ReasonDeployedByHand: a person chose the version that runs while newer ones were known.
	ReasonDeployedByHand = "DeployedByHand"
	// ReasonWithdrawn: the ImagePolicy does not select the release any more.
	ReasonWithdrawn = "Withdrawn"
	// ReasonDowngrade: the release is lower than the one that runs, in the order of the ImagePolicy, and spec.onDowngrade is Hold.
	ReasonDowngrade = "Downgrade"
	// ReasonNotNewer: the ImagePolicy selects a release that was discovered before the one that was deployed last.
	ReasonNotNewer = "NotNewer"
	// ReasonQuarantined: the release failed before.
	ReasonQuarantined = "Quarantined"
	// ReasonUnknownVersion: spec.wantedVersion names a tag that no release has and that the registry does not have, or has yet to confirm.
	ReasonUnknownVersion = "UnknownVersion"
	// ReasonBelowRollbackFloor: nothing that may be rolled back to is left.
	ReasonBelowRollbackFloor = "BelowRollbackFloor"
	// ReasonTagMoved: the tag of what runs was pushed again, and a Flux object carries the tag alone.
	ReasonTagMoved = "TagMoved"
	// ReasonNoDigest: a Flux object takes the digest, and the release has none.
	ReasonNoDigest = "NoDigest"
	// ReasonNoTargets: no Flux object asks for the version.
	ReasonNoTargets = "NoTargets"
	// ReasonTargetNotApplied: Flux has not applied the version yet.
	ReasonTargetNotApplied = "NotApplied"
	// ReasonTargetOverridden: another field of the Flux object, or somebody else who writes the same field, wins over what is written.
	ReasonTargetOverridden = "Overridden"
	// ReasonWorkloadsNotReady: Flux has applied the version, and a Deployment, StatefulSet or DaemonSet has not rolled out yet.
	ReasonWorkloadsNotReady = "WorkloadsNotReady"
	// ReasonWorkloadsUnknown: Flux has applied the version, and the controller cannot see whether the workloads run it.
	ReasonWorkloadsUnknown = "WorkloadsUnknown"
	// ReasonTargetSuspended: the Flux object is suspended.
	ReasonTargetSuspended = "FluxSuspended"
	// ReasonTargetNotReady: the source or a dependency of the Flux object is not ready.
	ReasonTargetNotReady = "FluxNotReady"
	// ReasonTargetMisconfigured: Flux can apply no version, because of the manifests or of the Flux object itself.
	ReasonTargetMisconfigured = "FluxMisconfigured"
	// ReasonTargetsApplied: every Flux object carries the version.
	ReasonTargetsApplied = "Applied"
	// ReasonWriteFailed: the API server refused a write to a Flux object.
	ReasonWriteFailed = "WriteFailed"
	// ReasonCheckPending: a check has no verdict for the revision that was deployed.
	ReasonCheckPending = "CheckPending"
	// ReasonCheckUnhealthy: a check is unhealthy.
	ReasonCheckUnhealthy = "CheckUnhealthy"
	// ReasonNoChecks: a selector was given and selects nothing.
	ReasonNoChecks = "NoHealthChecks"
	// ReasonDeployTimeout: spec.deployTimeout passed before the bake could start.
	ReasonDeployTimeout = "DeployTimeout"
	// ReasonSuperseded: a newer release was taken instead.
	ReasonSuperseded = "Superseded"
)
