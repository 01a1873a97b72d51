package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GateState is what a gate says of one release. Everything but open holds it.
// +kubebuilder:validation:Enum=open;closed;pending
type GateState string

const (
	// GateOpen lets the release pass.
	GateOpen GateState = "open"
	// GateClosed holds the release.
	GateClosed GateState = "closed"
	// GatePending holds the release until somebody or something has answered.
	GatePending GateState = "pending"
)

// GateClassManual is the class of a gate that people open. It is the class of a gate that names none.
const GateClassManual = "manual"

// RolloutGateSpec says what a gate lets pass. A gate that says nothing lets nothing pass.
type RolloutGateSpec struct {
	// RolloutRef is the Rollout whose releases are held, in the same namespace.
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="rolloutRef.name is empty: name a Rollout of the same namespace"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`

	// Class says who answers for the gate: manual (the default), or the class of an external controller that writes
	// status.verdicts. A gate of a class that nobody answers for stays closed.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$`
	Class string `json:"class,omitempty"`

	// Passing false closes the gate for every release. True opens it, for every release or for those of allowedVersions. Unset:
	// only what allowedVersions lists passes.
	// +optional
	Passing *bool `json:"passing,omitempty"`

	// AllowedVersions lists the tags that pass. An empty list lets nothing pass.
	// +optional
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=128
	AllowedVersions *[]string `json:"allowedVersions,omitempty"`
}

// GateVerdict is what a gate says of one release.
type GateVerdict struct {
	// Release is the tag.
	Release string `json:"release"`
	// Digest that the verdict is for. A verdict without one counts for a release that has none.
	// +optional
	Digest string `json:"digest,omitempty"`
	// State is open, closed or pending.
	State GateState `json:"state"`
	// Reason in one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message for a person.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// Since when the state holds.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Until when the state holds at the least, if that is known.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// RolloutGateStatus is what the gate says of the releases that ask.
type RolloutGateStatus struct {
	// ObservedGeneration is the generation of the spec that the verdicts are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Verdicts for the releases that are candidates.
	// +optional
	// +kubebuilder:validation:MaxItems=200
	Verdicts []GateVerdict `json:"verdicts,omitempty"`
	// Conditions of the gate.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RolloutGate holds the releases of a Rollout until it is open for them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=gate,categories=kuberik
// +kubebuilder:selectablefield:JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.class`
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.status.verdicts[0].release`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.verdicts[0].state`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.verdicts[0].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RolloutGate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what passes.
	// +optional
	Spec RolloutGateSpec `json:"spec,omitzero"`
	// Status is what the gate says of the releases that ask.
	// +optional
	Status RolloutGateStatus `json:"status,omitempty"`
}

// RolloutGateList is a list of RolloutGates.
// +kubebuilder:object:root=true
type RolloutGateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RolloutGate `json:"items"`
}
