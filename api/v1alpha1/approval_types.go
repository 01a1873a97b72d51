package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApprovalDecision is what a person decides about a release.
// +kubebuilder:validation:Enum=Approve;Reject
type ApprovalDecision string

const (
	// Approve counts towards the number of approvals that the gate requires.
	Approve ApprovalDecision = "Approve"
	// Reject closes the gate for the release.
	Reject ApprovalDecision = "Reject"
)

// ReleaseReference refers to a Release of the same namespace.
// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="releaseRef.name is empty: name a Release of the same namespace"
type ReleaseReference struct {
	// Name of the Release. Required.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// UID of the Release. It prevents an Approval or Override from counting for a Release that is created again under the
	// same name. Without it, an Approval or Override does not count if it was created in the same second as the Release,
	// because it may be older.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// ApprovalSpec identifies a release and holds the decision of one person. It is immutable: to withdraw an Approval,
// delete it.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an Approval cannot be changed: delete it and make another"
// +kubebuilder:validation:XValidation:rule="has(self.user)",fieldPath=".user",reason=FieldValueRequired,message="name yourself, as kubectl auth whoami does"
// +kubebuilder:validation:XValidation:rule="has(self.decision)",fieldPath=".decision",reason=FieldValueRequired,message="write Approve or Reject"
// +kubebuilder:validation:XValidation:rule="has(self.releaseRef)",fieldPath=".releaseRef",reason=FieldValueRequired,message="name the Release that the Approval is about: releaseRef.name; kubectl get rel lists them"
type ApprovalSpec struct {
	// ReleaseRef is the Release, in the same namespace. A Release is bound to a digest, and so is its Approval. Required.
	// +optional
	ReleaseRef ReleaseReference `json:"releaseRef"`
	// GateRef is the RolloutGate that the Approval is for, in the same namespace. Defaults to every manual gate of the
	// Rollout.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="gateRef.name is longer than 253 characters"
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="gateRef.name is empty: name a RolloutGate of the same namespace, or leave out gateRef"
	GateRef *corev1.LocalObjectReference `json:"gateRef,omitempty"`
	// Decision is Approve or Reject. Required.
	// +optional
	Decision ApprovalDecision `json:"decision"`
	// Comment explains the decision to others. It is one line of at most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="comment is one line of text: it holds a control character, or one that changes the direction of text"
	Comment string `json:"comment,omitempty"`
	// User is the person who decides. It must be the name by which the API server knows you; kubectl auth whoami shows
	// it. Required.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="user is one line of text: it holds a control character, or one that changes the direction of text"
	User string `json:"user"`
	// Groups lists the groups for which the decision is given. You must be a member of each. Name the groups that the
	// gate asks for. At most 100.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="a group is one line of text: it holds a control character, or one that changes the direction of text"
	Groups []string `json:"groups,omitempty"`
}

// GateName returns the name of the gate; empty for every manual gate of the Rollout.
func (s *ApprovalSpec) GateName() string {
	if s.GateRef == nil {
		return ""
	}
	return s.GateRef.Name
}

// ApprovalStatus reports whether a gate counts the Approval. Only the controller writes it, and no decision depends
// on it.
type ApprovalStatus struct {
	// Conditions of the Approval: Counted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConditionCounted is True if a manual gate counts the Approval, and False if none does. The message names the gates
// and says what to do. On an Override, it is True if the Override is in force for its Release.
const ConditionCounted = "Counted"

// Approval is the decision of one person about a release that waits at a manual gate. The right to create approvals
// is the right to approve.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=appr,categories=kuberik
// +kubebuilder:selectablefield:JSONPath=`.spec.releaseRef.name`
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.spec.releaseRef.name`
// +kubebuilder:printcolumn:name="Gate",type=string,JSONPath=`.spec.gateRef.name`
// +kubebuilder:printcolumn:name="Decision",type=string,JSONPath=`.spec.decision`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Counted",type=string,JSONPath=`.status.conditions[?(@.type=="Counted")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Counted")].message`
// +kubebuilder:printcolumn:name="Comment",type=string,JSONPath=`.spec.comment`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the Approval has no spec: write spec.releaseRef.name, spec.decision (Approve or Reject) and spec.user"
type Approval struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec identifies the release and holds the decision and its author. It is required.
	// +optional
	Spec ApprovalSpec `json:"spec"`
	// Status reports whether the Approval is counted.
	// +optional
	Status ApprovalStatus `json:"status,omitempty"`
}

// ApprovalList is a list of Approvals.
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Approval `json:"items"`
}

// Bypass names one kind of obstacle that an Override skips.
// +kubebuilder:validation:Enum=Gates;Schedules;Health
type Bypass string

const (
	// BypassGates skips every gate that was not created by a schedule.
	BypassGates Bypass = "Gates"
	// BypassSchedules skips gates that were created by schedules, including freezes.
	BypassSchedules Bypass = "Schedules"
	// BypassHealth skips the health of what runs before the deployment. It does not weaken the bake.
	BypassHealth Bypass = "Health"
)

// OverrideSpec allows one release to skip what holds it. It is immutable: to withdraw an Override, delete it.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an Override cannot be changed: delete it and make another"
// +kubebuilder:validation:XValidation:rule="has(self.user)",fieldPath=".user",reason=FieldValueRequired,message="name yourself, as kubectl auth whoami does"
// +kubebuilder:validation:XValidation:rule="has(self.expiresAt)",fieldPath=".expiresAt",reason=FieldValueRequired,message="say when the Override ends, at most 24 hours ahead, such as 2030-01-31T12:00:00Z"
// +kubebuilder:validation:XValidation:rule="has(self.reason)",fieldPath=".reason",reason=FieldValueRequired,message="give a reason, at least 8 characters long"
// +kubebuilder:validation:XValidation:rule="has(self.bypass)",fieldPath=".bypass",reason=FieldValueRequired,message="list what the Override skips: Gates, Schedules, Health"
// +kubebuilder:validation:XValidation:rule="has(self.releaseRef)",fieldPath=".releaseRef",reason=FieldValueRequired,message="name the Release that the Override is for: releaseRef.name; kubectl get rel lists them"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutRef)",fieldPath=".rolloutRef",reason=FieldValueRequired,message="name the Rollout that the Override is for: rolloutRef.name"
type OverrideSpec struct {
	// RolloutRef is the Rollout, in the same namespace. Required.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="rolloutRef.name is longer than 253 characters"
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="rolloutRef.name is empty: name a Rollout of the same namespace"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`
	// ReleaseRef is the Release that the Override is for, in the same namespace. Required.
	// +optional
	ReleaseRef ReleaseReference `json:"releaseRef"`
	// Bypass lists what the Override skips: Gates, Schedules or Health. At least one is required.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	Bypass []Bypass `json:"bypass"`
	// Reason explains why the Override is needed. It is one line of 8 to 1024 characters. Required.
	// +optional
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="reason is one line of text: it holds a control character, or one that changes the direction of text"
	Reason string `json:"reason"`
	// ExpiresAt is when the Override ends. It is at most 24 hours ahead. Required.
	// +optional
	ExpiresAt metav1.Time `json:"expiresAt"`
	// User is the person who creates the Override. It must be the name by which the API server knows you; kubectl auth
	// whoami shows it. Required.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="user is one line of text: it holds a control character, or one that changes the direction of text"
	User string `json:"user"`
	// Groups lists the groups of the user that are recorded with the Override. You must be a member of each. At most
	// 100.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="!self.matches(r'[\\p{Cc}\\x{61C}\\x{180E}\\x{200B}\\x{200E}\\x{200F}\\x{2028}-\\x{202E}\\x{2060}-\\x{2069}\\x{FEFF}]')",message="a group is one line of text: it holds a control character, or one that changes the direction of text"
	Groups []string `json:"groups,omitempty"`
}

// OverrideStatus reports whether an Override is in force. Only the controller writes it, and no decision depends on it.
type OverrideStatus struct {
	// Conditions of the Override: Counted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Override allows one release to skip gates, schedules or health, for a stated reason and a limited time. The right
// to create overrides is the right to break the glass.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=kuberik
// +kubebuilder:selectablefield:JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.spec.releaseRef.name`
// +kubebuilder:printcolumn:name="Bypass",type=string,JSONPath=`.spec.bypass`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.spec.user`
// +kubebuilder:printcolumn:name="Counted",type=string,JSONPath=`.status.conditions[?(@.type=="Counted")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Counted")].message`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the Override has no spec: write spec.rolloutRef.name, spec.releaseRef.name, spec.bypass, spec.reason, spec.expiresAt and spec.user"
type Override struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec identifies the release and defines what the Override skips, why, and until when. It is required.
	// +optional
	Spec OverrideSpec `json:"spec"`
	// Status says whether it is in force.
	// +optional
	Status OverrideStatus `json:"status,omitempty"`
}

// OverrideList is a list of Overrides.
// +kubebuilder:object:root=true
type OverrideList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Override `json:"items"`
}
