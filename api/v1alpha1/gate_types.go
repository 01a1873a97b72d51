package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GateState is the state of a gate for one release. Every state except open holds the release.
// +kubebuilder:validation:Enum=open;closed;pending
type GateState string

const (
	// GateOpen allows the release.
	GateOpen GateState = "open"
	// GateClosed holds the release.
	GateClosed GateState = "closed"
	// GatePending holds the release until a person or a system has answered.
	GatePending GateState = "pending"
)

// Classes of gates that Kuberik evaluates.
const (
	// GateClassManual is the class of a gate that people open. A gate without a class is manual.
	GateClassManual = "manual"
	// GateClassHTTP is the class of a gate that calls a URL for each release.
	GateClassHTTP = "http"
	// GateClassEnvironment is the class of a gate that an Environment owns.
	GateClassEnvironment = "environment"
)

// Approvers defines whose approvals count.
// +kubebuilder:validation:XValidation:rule="has(self.users) || has(self.groups)",message="name users, groups or both; leave from out to accept everybody who may create approvals"
type Approvers struct {
	// Users lists user names, as the API server knows them. 1 to 100.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Users []string `json:"users,omitempty"`
	// Groups lists groups, as the API server knows them. The approvals of their members count. 1 to 100.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`
}

// ApprovalPolicy defines whose approvals open a manual gate.
type ApprovalPolicy struct {
	// Required is how many different people must approve, from 1 to 100. Defaults to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Required int32 `json:"required,omitempty"`
	// From defines whose approvals count. Defaults to everybody who may create approvals.
	// +optional
	From *Approvers `json:"from,omitempty"`
	// ExpireAfter is how long an approval counts. It is more than 0. A release that was already deployed stays deployed.
	// Defaults to no limit.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) > duration('0s')",message="expireAfter is more than 0"
	ExpireAfter *Duration `json:"expireAfter,omitempty"`
	// AllowAuthor allows the author of the release to approve it. The image names its author in the annotation
	// com.kuberik.author or org.opencontainers.image.authors. If it names none, anybody may approve. Defaults to false.
	// +optional
	AllowAuthor bool `json:"allowAuthor,omitempty"`
}

// HTTPGate defines a request that is made for each release.
// +kubebuilder:validation:XValidation:rule="!has(self.body) || !has(self.bodyExpression)",message="give either body or bodyExpression"
type HTTPGate struct {
	HTTPRequest `json:",inline"`
	// Query adds parameters to the URL. Each value is a CEL expression over release (tag, digest, revision, rollout,
	// namespace), such as tag: release.tag. Values are escaped. At most 16, each with a name of at most 253 characters
	// and an expression of at most 2048.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && size(self[k]) <= 2048)",message="a parameter has a name of at most 253 characters and an expression of at most 2048"
	Query map[string]string `json:"query,omitempty"`
	// BodyExpression is a CEL expression over release that returns the body. Text is sent as it is, any other value as
	// JSON.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	BodyExpression string `json:"bodyExpression,omitempty"`
	// Success is a CEL expression that returns true if the release is allowed, over status (int), headers (map of text),
	// body (parsed JSON, or text) and release. Defaults to a status of 200 to 299.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success,omitempty"`
	// Interval is the time between two requests while the gate is not open. It is at least 1s. Without an answer, the
	// interval doubles each time, up to 2m. Defaults to 30s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('1s')",message="the interval is at least 1s"
	Interval *Duration `json:"interval,omitempty"`
	// Timeout is the limit for one request. It is more than 0 and at most 5m; above 30s, 30s is used. Defaults to 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) > duration('0s') && duration(self) <= duration('5m')",message="the timeout is more than 0 and at most 5m"
	Timeout *Duration `json:"timeout,omitempty"`
	// Retries is how often a request without an answer is repeated at once, with growing pauses, from 0 to 10. Defaults
	// to 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Retries *int32 `json:"retries,omitempty"`
}

// RolloutGateSpec defines which releases the gate allows. A gate that defines nothing holds every release.
// +kubebuilder:validation:XValidation:rule="!has(self.http) || !has(self.class) || self.class == 'http'",message="the field http is for class http"
// +kubebuilder:validation:XValidation:rule="!has(self.class) || self.class != 'http' || has(self.http)",message="class http needs the field http"
// +kubebuilder:validation:XValidation:rule="!has(self.approvals) || !has(self.passing) || !self.passing",message="passing: true opens the gate for everybody: leave it out where approvals are asked for"
// +kubebuilder:validation:XValidation:rule="!has(self.approvals) || (!has(self.http) && (!has(self.class) || self.class == 'manual'))",message="the field approvals is for class manual"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutRef)",fieldPath=".rolloutRef",reason=FieldValueRequired,message="name the Rollout that the gate is for: rolloutRef.name"
type RolloutGateSpec struct {
	// RolloutRef is the Rollout whose releases the gate holds, in the same namespace. Required.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="rolloutRef.name is empty: name a Rollout of the same namespace"
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`

	// Class names who answers for the gate: manual, http, environment (created by an Environment), or the class of an
	// external controller that writes status.verdicts. A gate of a class that nobody answers for stays closed. Defaults
	// to http if the field http is set, otherwise to manual.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$')",message="write the class in lower case: manual, http, or the class of the controller that answers, such as checks.example.com"
	Class string `json:"class,omitempty"`

	// Passing false closes the gate for every release. Passing true opens it for every release or, if allowedVersions is
	// set, for those. If unset, only the versions in allowedVersions are allowed.
	// +optional
	Passing *bool `json:"passing,omitempty"`

	// AllowedVersions lists the versions that are allowed, each as a tag (1.2.0) or a tag and its digest
	// (1.2.0@sha256:…). A tag without a digest stands for the first digest that Kuberik knew it with, which
	// status.allowedVersions records: a tag that is pushed again must be listed with its digest. An empty list allows
	// nothing. At most 1000.
	// +optional
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=264
	// +kubebuilder:validation:XValidation:rule="self.all(v, !v.contains('@') || v.matches('^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$'))",message="write a tag such as 1.2.0, or a tag and its whole digest such as 1.2.0@sha256:d8c1…: kubectl get rel shows the digest"
	AllowedVersions *[]string `json:"allowedVersions,omitempty"`

	// Approvals defines whose Approvals open a manual gate.
	// +optional
	Approvals *ApprovalPolicy `json:"approvals,omitempty"`

	// HTTP defines a request that is made for each release.
	// +optional
	HTTP *HTTPGate `json:"http,omitempty"`
}

// GateVerdict is the state of a gate for one release.
type GateVerdict struct {
	// Release is the tag of the release.
	// +kubebuilder:validation:MaxLength=1024
	Release string `json:"release"`
	// Digest is the digest of the release. A verdict without a digest counts only for a release without one.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Digest string `json:"digest,omitempty"`
	// State is open, closed or pending.
	State GateState `json:"state"`
	// Reason is one word for programs.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// Message explains the state to people, in at most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// Since is when the gate entered the state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Until is the earliest time at which the state can change by itself. Unset if that is unknown.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// AllowedVersion is a tag of spec.allowedVersions and the digest that it stands for.
type AllowedVersion struct {
	// Tag is the tag as it is listed.
	// +kubebuilder:validation:MaxLength=1024
	Tag string `json:"tag"`
	// Digest is the digest that the tag stands for while it is listed.
	// +kubebuilder:validation:MaxLength=1024
	Digest string `json:"digest"`
}

// RolloutGateStatus is the state of the gate for each candidate.
type RolloutGateStatus struct {
	// ObservedGeneration is the generation of the spec that the verdicts are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// AllowedVersions records, for each tag that spec.allowedVersions lists without a digest, the digest that it stands
	// for: the first that Kuberik knew the tag with. It remains while the tag is listed.
	// +optional
	// +listType=map
	// +listMapKey=tag
	// +kubebuilder:validation:MaxItems=1000
	AllowedVersions []AllowedVersion `json:"allowedVersions,omitempty"`
	// Verdicts lists the state of the gate for each candidate. At most 200.
	// +optional
	// +kubebuilder:validation:MaxItems=200
	Verdicts []GateVerdict `json:"verdicts,omitempty"`
	// Conditions of the gate: Ready, and those of an external controller.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=64
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
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.verdicts[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the RolloutGate has no spec: name the Rollout whose releases it holds in spec.rolloutRef.name"
type RolloutGate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines the Rollout of the gate and the condition under which it opens. It is required.
	// +optional
	Spec RolloutGateSpec `json:"spec,omitzero"`
	// Status is the state of the gate for each candidate.
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
