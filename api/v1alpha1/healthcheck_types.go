package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HealthState is the verdict of a HealthCheck.
type HealthState string

const (
	// HealthHealthy: what runs is well.
	HealthHealthy HealthState = "Healthy"
	// HealthUnhealthy: what runs is not well. It fails a release in flight.
	HealthUnhealthy HealthState = "Unhealthy"
	// HealthPending: no verdict yet. It holds a release.
	HealthPending HealthState = "Pending"
)

// HealthClassKustomization is the class that looks at a Flux Kustomization and everything in its inventory.
const HealthClassKustomization = "kustomization"

// HealthCheckSpec says how health is found out.
// +kubebuilder:validation:XValidation:rule="!has(self.class) || size(self.class) > 0",message="class is empty: write kustomization, or the class of the controller that reports this check"
type HealthCheckSpec struct {
	// Class says who reports: kustomization, or the class of an external controller that writes the status. A check that
	// nobody reports on holds the releases it is selected for.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Class *string `json:"class,omitempty"`
}

// HealthCheckStatus is the last verdict.
type HealthCheckStatus struct {
	// ObservedGeneration is the generation this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Status is Healthy, Unhealthy or Pending.
	// +optional
	Status HealthState `json:"status,omitempty"`
	// Message for a person.
	// +optional
	Message *string `json:"message,omitempty"`
	// LastErrorTime is when the check last became unhealthy.
	// +optional
	LastErrorTime *metav1.Time `json:"lastErrorTime,omitempty"`
	// LastChangeTime is when Status last changed.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`
	// ObservedRevision is what the verdict speaks for. For class kustomization: the generation of the Kustomization and the
	// revision that Flux applied. A verdict for another revision than the deployed one counts for nothing.
	// +optional
	ObservedRevision string `json:"observedRevision,omitempty"`
	// Conditions of the check.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// HealthCheck says whether what runs is well.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hc,categories=kuberik
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.class`
// +kubebuilder:printcolumn:name="Health",type=string,JSONPath=`.status.status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.lastChangeTime`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.observedRevision`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HealthCheck struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says how health is found out.
	// +optional
	Spec HealthCheckSpec `json:"spec,omitempty"`
	// Status is the last verdict.
	// +optional
	Status HealthCheckStatus `json:"status,omitempty"`
}

// HealthCheckList is a list of HealthChecks.
// +kubebuilder:object:root=true
type HealthCheckList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HealthCheck `json:"items"`
}
