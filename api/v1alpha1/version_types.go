package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VersionInfo identifies a release: the tag and, where the ImagePolicy reflects it, the digest. The rest is what the image
// says of itself; it arrives later than the release and never holds it up.
type VersionInfo struct {
	// Tag of the image.
	Tag string `json:"tag"`
	// Digest of the image, if the ImagePolicy reflects digests. The same tag with another digest is another release.
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

// ReleaseIdentity names a release within its Rollout.
type ReleaseIdentity struct {
	// Tag of the image.
	Tag string `json:"tag"`
	// Digest of the image, if known.
	// +optional
	Digest string `json:"digest,omitempty"`
}

// LiftedQuarantine records that a person took a release out of quarantine, and why.
type LiftedQuarantine struct {
	ReleaseIdentity `json:",inline"`
	// Reason that the person gave.
	Reason string `json:"reason"`
	// Since when automation may deploy the release again.
	Since metav1.Time `json:"since"`
}

// Quarantine says that a release is never deployed automatically again, and why.
type Quarantine struct {
	ReleaseIdentity `json:",inline"`
	// Reason why, for a person.
	Reason string `json:"reason"`
	// Since when.
	Since metav1.Time `json:"since"`
	// By whom: the controller, or a person.
	// +optional
	By string `json:"by,omitempty"`
}
