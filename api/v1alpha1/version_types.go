package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VersionInfo identifies a release by its tag and, if the ImagePolicy reflects digests, its digest. The other fields
// are read from the annotations of the image. They arrive after the release is discovered and never delay it.
type VersionInfo struct {
	// Tag is the tag of the image.
	Tag string `json:"tag"`
	// Digest is the digest of the image, if the ImagePolicy reflects digests. The same tag with another digest is
	// another release.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Version is the image annotation org.opencontainers.image.version.
	// +optional
	Version *string `json:"version,omitempty"`
	// Revision is the image annotation org.opencontainers.image.revision, usually a commit.
	// +optional
	Revision *string `json:"revision,omitempty"`
	// Created is the image annotation org.opencontainers.image.created.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
}

// ReleaseIdentity identifies a release within its Rollout.
type ReleaseIdentity struct {
	// Tag is the tag of the image.
	Tag string `json:"tag"`
	// Digest is the digest of the image, if it is known.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// LiftedQuarantine records that a person took a release out of quarantine, and why.
type LiftedQuarantine struct {
	ReleaseIdentity `json:",inline"`
	// Reason is the reason that the person gave.
	Reason string `json:"reason"`
	// Since is when the quarantine was lifted.
	Since metav1.Time `json:"since"`
}

// Quarantine records that a release is not deployed automatically again, and why.
type Quarantine struct {
	ReleaseIdentity `json:",inline"`
	// Reason explains the quarantine to people.
	Reason string `json:"reason"`
	// Since is when the quarantine began.
	Since metav1.Time `json:"since"`
	// By is the controller or the person that caused it.
	// +optional
	By string `json:"by,omitempty"`
}
