package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReleasePhase says where a Release stands.
// +kubebuilder:validation:Enum=Pending;Deploying;Baking;Available;Failed;Superseded;Cancelled
type ReleasePhase string

const (
	// ReleasePending: discovered, not deployed.
	ReleasePending ReleasePhase = "Pending"
	// ReleaseDeploying: handed to Flux, not yet applied and healthy.
	ReleaseDeploying ReleasePhase = "Deploying"
	// ReleaseBaking: the bake time runs.
	ReleaseBaking ReleasePhase = "Baking"
	// ReleaseAvailable: passed.
	ReleaseAvailable ReleasePhase = "Available"
	// ReleaseFailed: failed and halted.
	ReleaseFailed ReleasePhase = "Failed"
	// ReleaseSuperseded: a newer release was taken instead.
	ReleaseSuperseded ReleasePhase = "Superseded"
	// ReleaseCancelled: replaced by hand while in flight.
	ReleaseCancelled ReleasePhase = "Cancelled"
)

// ReleaseSpec identifies a release. It never changes.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Release cannot be changed: it is the record of what was discovered"
type ReleaseSpec struct {
	// RolloutRef is the Rollout, in the same namespace.
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`
	// Version that was discovered.
	Version VersionInfo `json:"version"`
}

// ReleaseDetails is what the image says of itself.
type ReleaseDetails struct {
	// Digest of the manifest that was read.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Version is org.opencontainers.image.version.
	// +optional
	Version string `json:"version,omitempty"`
	// Revision is org.opencontainers.image.revision.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Created is org.opencontainers.image.created.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
	// Source is org.opencontainers.image.source.
	// +optional
	Source string `json:"source,omitempty"`
	// Title is org.opencontainers.image.title.
	// +optional
	Title string `json:"title,omitempty"`
	// Description is org.opencontainers.image.description.
	// +optional
	Description string `json:"description,omitempty"`
	// Authors is com.kuberik.author or org.opencontainers.image.authors.
	// +optional
	Authors string `json:"authors,omitempty"`
	// ArtifactType of the image.
	// +optional
	ArtifactType string `json:"artifactType,omitempty"`
	// RollbackFloor is com.kuberik.rollback-floor: the oldest version that may be rolled back to once this one was deployed.
	// +optional
	RollbackFloor string `json:"rollbackFloor,omitempty"`
}

// GateEvidence is what a gate says of a release.
type GateEvidence struct {
	// Name of the RolloutGate.
	Name string `json:"name"`
	// State is open, closed or pending.
	State GateState `json:"state"`
	// Reason in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message for a person.
	// +optional
	Message string `json:"message,omitempty"`
}

// ReleaseStatus tells where a release stands and why. Only the controller writes it.
type ReleaseStatus struct {
	// ObservedGeneration is the generation this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase says where it stands.
	// +optional
	Phase ReleasePhase `json:"phase,omitempty"`
	// Reason in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message for a person.
	// +optional
	Message string `json:"message,omitempty"`
	// Running is true for the release that was last handed to Flux.
	// +optional
	Running bool `json:"running,omitempty"`
	// ShortDigest is the start of the digest of the release: 12 hexadecimal digits.
	// +optional
	ShortDigest string `json:"shortDigest,omitempty"`
	// DeploymentID is the id of its last deployment in the history of the Rollout.
	// +optional
	DeploymentID *int64 `json:"deploymentID,omitempty"`
	// Gates lists what each gate says, or said when it was deployed.
	// +optional
	Gates []GateEvidence `json:"gates,omitempty"`
	// Checks is the evidence of the health checks while it was in flight, and at the verdict.
	// +optional
	Checks []CheckEvidence `json:"checks,omitempty"`
	// DeployedAt is when its last deployment was decided.
	// +optional
	DeployedAt *metav1.Time `json:"deployedAt,omitempty"`
	// BakeStartTime is when its bake started.
	// +optional
	BakeStartTime *metav1.Time `json:"bakeStartTime,omitempty"`
	// BakeEndTime is when its bake ended.
	// +optional
	BakeEndTime *metav1.Time `json:"bakeEndTime,omitempty"`
	// Quarantine is set when it is never deployed automatically again.
	// +optional
	Quarantine *ReleaseQuarantine `json:"quarantine,omitempty"`
	// QuarantineLifted is set when a person took it out of quarantine.
	// +optional
	QuarantineLifted *ReleaseQuarantine `json:"quarantineLifted,omitempty"`
	// Details is what the image says of itself, once it was read.
	// +optional
	Details *ReleaseDetails `json:"details,omitempty"`
	// Conditions of the Release: Ready, and DetailsRead.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReleaseQuarantine says why a release is never deployed automatically again.
type ReleaseQuarantine struct {
	// Reason why.
	Reason string `json:"reason"`
	// Since when.
	Since metav1.Time `json:"since"`
	// By whom.
	// +optional
	By string `json:"by,omitempty"`
}

// ConditionDetailsRead says whether the annotations of the image could be read from the registry.
const ConditionDetailsRead = "DetailsRead"

// Reasons of ConditionDetailsRead.
const (
	// ReasonDetailsRead: the image was read.
	ReasonDetailsRead = "Read"
	// ReasonDetailsNotRead: the image could not be read; the message says why. It is tried again.
	ReasonDetailsNotRead = "NotRead"
	// ReasonImageNotFound: the registry has no such image. It is asked again, less and less often.
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
	// Status tells where it stands.
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
