package v1alpha1

// Reasons of the conditions of an Environment and, while it cannot be evaluated, of the verdicts of its gate.
const (
	// ReasonSynced means that the environments were read and the deployments of this one are published.
	ReasonSynced = "Synced"
	// ReasonProgressing means that nothing prevents the Environment from being evaluated.
	ReasonProgressing = "Progressing"
	// ReasonBackendFails means that the backend could not be read or written. The controller retries.
	//
	// To do: read the message.
	ReasonBackendFails = "BackendFails"
	// ReasonBackendWaits means that the backend is not called until the time in the message, because of its rate limit.
	ReasonBackendWaits = "BackendWaits"
	// ReasonBackendRefuses means that the backend or its configuration does not allow what the Environment needs.
	//
	// To do: correct spec.backend or its Secret, as the message says.
	ReasonBackendRefuses = "BackendRefuses"
	// ReasonDeploymentRefused means that a deployment cannot be published.
	//
	// To do: read the message.
	ReasonDeploymentRefused = "DeploymentRefused"
	// ReasonRolloutNotFound means that the Rollout does not exist in the namespace of the Environment.
	//
	// To do: create the Rollout, or correct spec.rolloutRef.
	ReasonRolloutNotFound = "RolloutNotFound"
	// ReasonNoName means that spec.environment is missing.
	//
	// To do: set spec.environment.
	ReasonNoName = "NoName"
	// ReasonInvalidSpec means that a field of the spec is invalid.
	//
	// To do: correct the field that the message names.
	ReasonInvalidSpec = "InvalidSpec"
)
