package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow kstatus, so that kubectl wait, Flux and kube-state-metrics
// interpret them correctly.
const (
	// ConditionReady is True while the Rollout works as intended, including while a release waits, is deployed or bakes.
	// It is False when the newest release has failed or is paused, when the spec is invalid, and when a write failed.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the controller retries what failed, such as a write to a Flux object.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the Rollout failed in a way that does not resolve by itself.
	ConditionStalled = "Stalled"
	// ConditionAvailable is True when the newest deployment has passed its bake. Wait for it with kubectl wait.
	ConditionAvailable = "Available"
	// ConditionHalted is True while automatic deployments are halted until a person acts: after a failure, while the
	// release that the ImagePolicy selects must not be deployed, or while the configuration is wrong. The message says
	// what to do. It is not True because a gate waits for people, or because a person asked for it: suspend, a pin, or a
	// manual deployment.
	ConditionHalted = "Halted"
	// ConditionReleasesUpdated reports whether the ImagePolicy was read.
	ConditionReleasesUpdated = "ReleasesUpdated"
	// ConditionGatesPassing reports whether every gate is open for the next release.
	ConditionGatesPassing = "GatesPassing"
	// ConditionDeploymentBlocked reports whether the health of what runs holds the next release.
	ConditionDeploymentBlocked = "DeploymentBlocked"
	// ConditionBakeFailureDisabled reports whether the running release was deployed manually into an environment that
	// was already unhealthy. The checks that were unhealthy then do not fail it until they have been healthy once.
	ConditionBakeFailureDisabled = "BakeFailureDisabled"
	// ConditionTargetsReady reports whether every Flux object that the Rollout writes to can carry the version.
	ConditionTargetsReady = "TargetsReady"
)

// Reasons of Rollout conditions and of entries in blockedBy.
const (
	// ReasonAvailable means that the running release has passed its bake.
	ReasonAvailable = "Available"
	// ReasonDeploying means that the version was handed to Flux and is not yet applied and healthy.
	ReasonDeploying = "Deploying"
	// ReasonBaking means that every check is healthy and the bake time runs.
	ReasonBaking = "Baking"
	// ReasonFailed means that the release failed.
	//
	// To do: read the message, then release a newer version, retry, or deploy another version manually.
	ReasonFailed = "Failed"
	// ReasonPaused means that a check failed and spec.onFailure is Pause.
	//
	// To do: retry the release, or deploy another version manually.
	ReasonPaused = "Paused"
	// ReasonCancelled means that the release was replaced manually while it was in flight.
	ReasonCancelled = "Cancelled"
	// ReasonSuspended means that spec.suspend is true.
	//
	// To do: set spec.suspend to false.
	ReasonSuspended = "Suspended"
	// ReasonInvalidSpec means that the spec is invalid.
	//
	// To do: correct the field that the message names.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonNoReleases means that the ImagePolicy has not selected a tag yet.
	//
	// To do: push an image that the ImagePolicy selects.
	ReasonNoReleases = "NoReleases"
	// ReasonNormal means that nothing is out of the ordinary.
	ReasonNormal = "Normal"
	// ReasonPending means that a release waits to be deployed.
	//
	// To do: read status.blockedBy of the Rollout.
	ReasonPending = "Pending"
	// ReasonImagePolicyNotFound means that the ImagePolicy does not exist.
	//
	// To do: create it, or correct spec.releasesImagePolicy.name.
	ReasonImagePolicyNotFound = "ImagePolicyNotFound"
	// ReasonImagePolicyNotReady means that Flux cannot report what the ImagePolicy selects.
	//
	// To do: read the conditions of the ImagePolicy and of its ImageRepository.
	ReasonImagePolicyNotReady = "ImagePolicyNotReady"
	// ReasonIllegalTag means that the ImagePolicy selected text that is not a legal OCI tag or digest.
	//
	// To do: read the status of the ImagePolicy.
	ReasonIllegalTag = "IllegalTag"
	// ReasonReleasesUpdated means that the ImagePolicy was read.
	ReasonReleasesUpdated = "ReleasesUpdated"
	// ReasonAllGatesPassing means that every gate is open for the next release.
	ReasonAllGatesPassing = "AllGatesPassing"
	// ReasonSomeGatesBlocking means that a gate is closed or pending.
	//
	// To do: read status.gates of the Rollout.
	ReasonSomeGatesBlocking = "SomeGatesBlocking"
	// ReasonNoAllowedVersions means that gates are open, but for other versions than the candidates.
	//
	// To do: read status.gates of the Rollout.
	ReasonNoAllowedVersions = "NoAllowedVersions"
	// ReasonGatesBypassed means that a person allowed a release to skip the gates.
	ReasonGatesBypassed = "GatesBypassed"
	// ReasonHealthChecksHealthy means that no selected check is unhealthy.
	ReasonHealthChecksHealthy = "HealthChecksHealthy"
	// ReasonUnhealthyHealthChecks means that a selected check is unhealthy.
	//
	// To do: read status.checks of the Rollout, and mend what the check reports.
	ReasonUnhealthyHealthChecks = "UnhealthyHealthChecks"
	// ReasonDeployedWithUnhealthyHealthChecks means that the release was deployed manually while checks were unhealthy.
	ReasonDeployedWithUnhealthyHealthChecks = "DeployedWithUnhealthyHealthChecks"
	// ReasonSettling means that the Rollout is new, and its gates and health checks may still be about to be created. It
	// passes within seconds.
	ReasonSettling = "Settling"
	// ReasonPreviousFailed means that the previous release failed and spec.afterFailure is Block.
	//
	// To do: retry it, deploy another version manually, or annotate the Rollout with
	// rollout.kuberik.com/unblock-failed=true.
	ReasonPreviousFailed = "PreviousFailed"
	// ReasonRolledBack means that the previous release failed and was rolled back, and spec.afterFailure is Block.
	//
	// To do: deploy another version manually, or annotate the Rollout with rollout.kuberik.com/unblock-failed=true.
	ReasonRolledBack = "RolledBack"
	// ReasonPinned means that spec.wantedVersion holds the version.
	//
	// To do: remove spec.wantedVersion.
	ReasonPinned = "Pinned"
	// ReasonDeployedByHand means that a person chose the running version while newer ones were known.
	//
	// To do: deploy the release manually, or wait for a newer one.
	ReasonDeployedByHand = "DeployedByHand"
	// ReasonWithdrawn means that the ImagePolicy no longer selects the release.
	ReasonWithdrawn = "Withdrawn"
	// ReasonDowngrade means that the release is lower than the running one in the order of the ImagePolicy, and
	// spec.onDowngrade is Hold.
	//
	// To do: deploy it manually, or set spec.onDowngrade to Follow.
	ReasonDowngrade = "Downgrade"
	// ReasonNotNewer means that the ImagePolicy selects a release that was discovered before the one that was deployed
	// last.
	//
	// To do: deploy it manually, or wait for a newer one.
	ReasonNotNewer = "NotNewer"
	// ReasonQuarantined means that the release failed before.
	//
	// To do: release a newer version, or lift the quarantine with the annotation rollout.kuberik.com/lift-quarantine.
	ReasonQuarantined = "Quarantined"
	// ReasonUnknownVersion means that spec.wantedVersion names a tag that no release has, and that the registry does not
	// have or has not confirmed yet.
	//
	// To do: push the tag, or correct spec.wantedVersion.
	ReasonUnknownVersion = "UnknownVersion"
	// ReasonBelowRollbackFloor means that no release is left that may be rolled back to.
	//
	// To do: release a newer version, or deploy one manually.
	ReasonBelowRollbackFloor = "BelowRollbackFloor"
	// ReasonTagMoved means that the tag was pushed again, and a Flux object carries the tag without a digest.
	//
	// To do: push a new tag, or let the Flux object carry the digest.
	ReasonTagMoved = "TagMoved"
	// ReasonNoDigest means that a Flux object carries the digest, and the release has none.
	//
	// To do: let the ImagePolicy reflect digests, with spec.digestReflectionPolicy.
	ReasonNoDigest = "NoDigest"
	// ReasonNoTargets means that no Flux object carries the version of the Rollout.
	//
	// To do: annotate a Kustomization or an OCIRepository, as the guide to rollouts describes.
	ReasonNoTargets = "NoTargets"
	// ReasonTargetNotApplied means that Flux has not applied the version yet.
	ReasonTargetNotApplied = "NotApplied"
	// ReasonTargetOverridden means that another field of the Flux object, or another writer of the same field, wins over
	// what the Rollout writes.
	//
	// To do: remove the field or the writer that the message names.
	ReasonTargetOverridden = "Overridden"
	// ReasonWorkloadsNotReady means that Flux has applied the version, and a Deployment, StatefulSet or DaemonSet has
	// not rolled out yet.
	ReasonWorkloadsNotReady = "WorkloadsNotReady"
	// ReasonWorkloadsUnknown means that Flux has applied the version, and the controller cannot see whether the
	// workloads run it.
	//
	// To do: give the controller the access that the message names.
	ReasonWorkloadsUnknown = "WorkloadsUnknown"
	// ReasonTargetSuspended means that the Flux object is suspended.
	//
	// To do: resume it with flux resume.
	ReasonTargetSuspended = "FluxSuspended"
	// ReasonTargetNotReady means that the source or a dependency of the Flux object is not ready.
	//
	// To do: read the conditions of the Flux object.
	ReasonTargetNotReady = "FluxNotReady"
	// ReasonTargetMisconfigured means that Flux cannot apply any version, because of the manifests or of the Flux object
	// itself.
	//
	// To do: read the message, and correct the manifests or the Flux object.
	ReasonTargetMisconfigured = "FluxMisconfigured"
	// ReasonTargetsApplied means that every Flux object carries the version.
	ReasonTargetsApplied = "Applied"
	// ReasonWriteFailed means that the API server refused a write to a Flux object. The controller retries.
	//
	// To do: read the message.
	ReasonWriteFailed = "WriteFailed"
	// ReasonCheckPending means that a check has no verdict for the deployed revision.
	ReasonCheckPending = "CheckPending"
	// ReasonCheckUnhealthy means that a check is unhealthy.
	//
	// To do: mend what the check reports.
	ReasonCheckUnhealthy = "CheckUnhealthy"
	// ReasonNoChecks means that spec.healthCheckSelector is set and selects no check.
	//
	// To do: create a HealthCheck with the labels, or correct the selector.
	ReasonNoChecks = "NoHealthChecks"
	// ReasonSuperseded means that a newer release was deployed instead.
	ReasonSuperseded = "Superseded"
)
