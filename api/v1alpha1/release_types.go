package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReleasePhase is the phase of a Release.
// +kubebuilder:validation:Enum=Pending;Deploying;Baking;Available;Failed;Superseded;Cancelled
type ReleasePhase string

const (
	// ReleasePending means that the release is discovered and not deployed.
	ReleasePending ReleasePhase = "Pending"
	// ReleaseDeploying means that the release was handed to Flux and is not yet applied and healthy.
	ReleaseDeploying ReleasePhase = "Deploying"
	// ReleaseBaking means that the bake time runs.
	ReleaseBaking ReleasePhase = "Baking"
	// ReleaseAvailable means that the release passed its bake.
	ReleaseAvailable ReleasePhase = "Available"
	// ReleaseFailed means that the release failed.
	ReleaseFailed ReleasePhase = "Failed"
	// ReleaseSuperseded means that a newer release was deployed instead.
	ReleaseSuperseded ReleasePhase = "Superseded"
	// ReleaseCancelled means that the release was replaced manually while it was in flight.
	ReleaseCancelled ReleasePhase = "Cancelled"
)

// ReleaseSpec identifies a release. It is immutable.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Release cannot be changed: it is the record of what was discovered"
type ReleaseSpec struct {
	// RolloutRef is the Rollout of the release, in the same namespace.
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`
	// Version is the version that was discovered.
	Version VersionInfo `json:"version"`
}

// ReleaseDetails holds what the annotations of the image say.
type ReleaseDetails struct {
	// Digest is the digest of the manifest that was read.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Version is the value of org.opencontainers.image.version.
	// +optional
	Version string `json:"version,omitempty"`
	// Revision is the value of org.opencontainers.image.revision.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Created is the value of org.opencontainers.image.created.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
	// Source is the value of org.opencontainers.image.source.
	// +optional
	Source string `json:"source,omitempty"`
	// Title is the value of org.opencontainers.image.title.
	// +optional
	Title string `json:"title,omitempty"`
	// Description is the value of org.opencontainers.image.description.
	// +optional
	Description string `json:"description,omitempty"`
	// Authors is the value of com.kuberik.author or org.opencontainers.image.authors.
	// +optional
	Authors string `json:"authors,omitempty"`
	// ArtifactType is the artifact type of the image.
	// +optional
	ArtifactType string `json:"artifactType,omitempty"`
	// RollbackFloor is the value of com.kuberik.rollback-floor: the oldest version that may be rolled back to after this
	// release was deployed.
	// +optional
	RollbackFloor string `json:"rollbackFloor,omitempty"`
}

// GateEvidence is the state of a gate for the release.
type GateEvidence struct {
	// Name is the name of the RolloutGate.
	Name string `json:"name"`
	// State is open, closed or pending.
	State GateState `json:"state"`
	// Reason is one word for programs.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message explains the state to people.
	// +optional
	Message string `json:"message,omitempty"`
}

// ReleaseStatus reports the phase of the release and why. Only the controller writes it.
type ReleaseStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is Pending, Deploying, Baking, Available, Failed, Superseded or Cancelled.
	// +optional
	Phase ReleasePhase `json:"phase,omitempty"`
	// Reason is one word for programs.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message explains the phase to people.
	// +optional
	Message string `json:"message,omitempty"`
	// Running is true for the release that was last handed to Flux.
	// +optional
	Running bool `json:"running,omitempty"`
	// ShortDigest is the first 12 hexadecimal digits of the digest.
	// +optional
	ShortDigest string `json:"shortDigest,omitempty"`
	// DeploymentID is the ID of the latest deployment of the release in the history of the Rollout.
	// +optional
	DeploymentID *int64 `json:"deploymentID,omitempty"`
	// Gates lists the state of each gate, or, once the release is deployed, its state at that time.
	// +optional
	Gates []GateEvidence `json:"gates,omitempty"`
	// Checks lists what the health checks report while the release is in flight. The list is kept when it ends.
	// +optional
	Checks []CheckEvidence `json:"checks,omitempty"`
	// DeployedAt is when the latest deployment of the release was decided.
	// +optional
	DeployedAt *metav1.Time `json:"deployedAt,omitempty"`
	// BakeStartTime is when the bake of the release started.
	// +optional
	BakeStartTime *metav1.Time `json:"bakeStartTime,omitempty"`
	// BakeEndTime is when the bake of the release ended.
	// +optional
	BakeEndTime *metav1.Time `json:"bakeEndTime,omitempty"`
	// Quarantine is set when the release is not deployed automatically again.
	// +optional
	Quarantine *ReleaseQuarantine `json:"quarantine,omitempty"`
	// QuarantineLifted is set when a person took the release out of quarantine.
	// +optional
	QuarantineLifted *ReleaseQuarantine `json:"quarantineLifted,omitempty"`
	// Details holds what the annotations of the image say, once they are read.
	// +optional
	Details *ReleaseDetails `json:"details,omitempty"`
	// Conditions of the Release: Ready and DetailsRead.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReleaseQuarantine explains why a release is not deployed automatically again.
type ReleaseQuarantine struct {
	// Reason explains the quarantine to people.
	Reason string `json:"reason"`
	// Since is when the quarantine began.
	Since metav1.Time `json:"since"`
	// By is the controller or the person that caused it.
	// +optional
	By string `json:"by,omitempty"`
}

// ConditionDetailsRead reports whether the annotations of the image were read from the registry.
const ConditionDetailsRead = "DetailsRead"

// Reasons of ConditionDetailsRead.
const (
	// ReasonDetailsRead means that the image was read.
	ReasonDetailsRead = "Read"
	// ReasonDetailsNotRead means that the image could not be read. The controller retries.
	//
	// To do: read the message.
	ReasonDetailsNotRead = "NotRead"
	// ReasonImageNotFound means that the registry has no such image. The controller retries with growing pauses.
	//
	// To do: push the image, or correct the image of the ImageRepository.
	ReasonImageNotFound = "ImageNotFound"
)

// Release is one version of one Rollout, from its discovery on.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rel,categories=kuberik
// +kubebuilder:selectablefield:JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Tag",type=string,JSONPath=`.spec.version.tag`
// +kubebuilder:printcolumn:name="Short digest",type=string,JSONPath=`.status.shortDigest`
// +kubebuilder:printcolumn:name="Running",type=boolean,JSONPath=`.status.running`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Deployed",type=date,JSONPath=`.status.deployedAt`
// +kubebuilder:printcolumn:name="Digest",type=string,JSONPath=`.spec.version.digest`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec identifies the release.
	Spec ReleaseSpec `json:"spec"`
	// Status reports the phase of the release and why.
	// +optional
	Status ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
