package v1alpha1

// Reasons of the events of a Rollout.
const (
	// EventDeploying means that a deployment has started.
	EventDeploying = "Deploying"
	// EventBakeTimeStarted means that Flux has applied the version, every check is healthy, and the bake has started.
	EventBakeTimeStarted = "BakeTimeStarted"
	// EventDeploymentSucceeded means that the release became Available.
	EventDeploymentSucceeded = "DeploymentSucceeded"
	// EventRolloutFailed means that the release failed.
	//
	// To do: read the message, then release a newer version, retry, or deploy another version manually.
	EventRolloutFailed = "RolloutFailed"
	// EventBakeTimeCancelled means that the release was replaced manually while it was in flight.
	EventBakeTimeCancelled = "BakeTimeCancelled"
	// EventPaused means that a check failed and spec.onFailure is Pause.
	//
	// To do: retry the release, let it fail with the annotation rollout.kuberik.com/unblock-failed, or deploy another
	// version manually.
	EventPaused = "Paused"
	// EventApprovalRequested means that nothing but an approval holds the release.
	//
	// To do: approve or reject the release, as the message says.
	EventApprovalRequested = "ApprovalRequested"
	// EventOverridden means that an Override let the release skip what held it.
	EventOverridden = "Overridden"
	// EventDriftCorrected means that somebody changed the version on a Flux object, and that the controller restored it.
	//
	// To do: deploy versions through the Rollout, and keep the field out of manifests and charts.
	EventDriftCorrected = "DriftCorrected"
	// EventRetried means that a person retried the release.
	EventRetried = "Retried"
	// EventRetryIgnored means that there is no failed or paused release to retry.
	EventRetryIgnored = "RetryIgnored"
	// EventQuarantined means that a person quarantined the release, which is not deployed automatically any more.
	EventQuarantined = "Quarantined"
	// EventQuarantineIgnored means that the release is not known or is quarantined already, or that the request gives no
	// reason.
	//
	// To do: read the message.
	EventQuarantineIgnored = "QuarantineIgnored"
	// EventQuarantineLifted means that a person lifted the quarantine of a release, which may be deployed automatically
	// again.
	EventQuarantineLifted = "QuarantineLifted"
	// EventLiftQuarantineIgnored means that the release is not quarantined, or that the request gives no reason.
	//
	// To do: read the message.
	EventLiftQuarantineIgnored = "LiftQuarantineIgnored"
	// EventUnblockIgnored means that there is no failed release to unblock.
	EventUnblockIgnored = "UnblockIgnored"
	// EventForceDeployIgnored means that force-deploy was ignored.
	//
	// To do: read the message.
	EventForceDeployIgnored = "ForceDeployIgnored"
)
