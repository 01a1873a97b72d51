package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kuberik "github.com/kuberik/kuberik/api/v1alpha1"
)

// AnnotationURL on an Environment is the URL at which people find it. Defaults to the first host of the HTTPRoute
// with the name of its Rollout.
const AnnotationURL = "environments.kuberik.com/url"

// RelationshipType defines how an environment relates to another.
// +kubebuilder:validation:Enum=After;Parallel
type RelationshipType string

const (
	// After allows a release once it is Available in the other environment.
	After RelationshipType = "After"
	// Parallel allows the same releases as After. It tells people that the two environments are peers.
	Parallel RelationshipType = "Parallel"
)

// Relationship names one environment that comes before this one.
type Relationship struct {
	// Environment is the name of the other environment, as in its spec.environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Environment string `json:"environment"`
	// Type is After or Parallel.
	Type RelationshipType `json:"type"`
}

// Dependency is one environment in which a release must be Available first.
type Dependency struct {
	// Environment is the name of the other environment, as in its spec.environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Environment string `json:"environment"`
	// MinAvailableFor is how long the release must run there after it became Available. The time ends when another
	// release is deployed there. It is not negative. Defaults to 0s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('0s')",message="minAvailableFor is not negative"
	MinAvailableFor *kuberik.Duration `json:"minAvailableFor,omitempty"`
}

// BackendType defines where the environments of an application exchange their state.
// +kubebuilder:validation:Enum=cluster;github;gitlab
type BackendType string

const (
	// BackendCluster uses this cluster and needs nothing else.
	BackendCluster BackendType = "cluster"
	// BackendGitHub uses GitHub Deployments.
	BackendGitHub BackendType = "github"
	// BackendGitLab uses GitLab Environments and Deployments.
	BackendGitLab BackendType = "gitlab"
)

// Backend defines where the environments of an application exchange their state.
// +kubebuilder:validation:XValidation:rule="self.type == 'cluster' || (has(self.project) && size(self.project) > 0)",message="name the project: owner/repository, or for gitlab group/project"
// +kubebuilder:validation:XValidation:rule="self.type != 'github' || !has(self.project) || self.project.matches('^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$')",message="a GitHub project is owner/repository"
// +kubebuilder:validation:XValidation:rule="!has(self.secret) || !has(self.secretRef) || self.secret == self.secretRef.name",message="secret and secretRef name different Secrets: remove secret"
type Backend struct {
	// Type is cluster (environments of this cluster), github or gitlab.
	Type BackendType `json:"type"`
	// Project is owner/repository on GitHub, or group/project on GitLab. Required for github and gitlab.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Project string `json:"project,omitempty"`
	// Secret is the name of a Secret of the same namespace with the key token or, for a GitHub App, the keys
	// githubAppID, githubAppInstallationID and githubAppPrivateKey, as in Flux. Defaults to github-token or
	// gitlab-token.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`
	// SecretRef does the same as secret and is preferred. If both are set, they must name the same Secret.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="secretRef.name is empty: name a Secret of the same namespace"
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty"`
	// APIURL is the URL of GitHub Enterprise, such as https://github.example.com/api/v3/, or of a self-managed GitLab.
	// The Secret must allow its host, with the annotation kuberik.com/allowed-hosts. Defaults to github.com or
	// gitlab.com.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as https://github.example.com/api/v3/"
	APIURL string `json:"apiURL,omitempty"`
	// TrustedActors lists the logins whose deployments and statuses count as evidence, in addition to the login of the
	// credentials. A GitHub App is named like my-app[bot]. Anybody who may write deployments can create some; only those
	// of trusted logins promote a release. At most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	TrustedActors []string `json:"trustedActors,omitempty"`
	// SignatureKeyRef is a key of a Secret that the controllers of all environments share, at least 32 bytes. If it is
	// set, deployments without a valid signature are shown but promote nothing, except those of unsignedActors. Defaults
	// to no signatures.
	// +optional
	SignatureKeyRef *kuberik.KeyRef `json:"signatureKeyRef,omitempty"`
	// UnsignedActors lists logins that are trusted without a signature, for controllers that cannot sign. At most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	UnsignedActors []string `json:"unsignedActors,omitempty"`
}

// EnvironmentSpec defines which Rollout runs in the environment, and which environments come before it.
// +kubebuilder:validation:XValidation:rule="has(self.name)",fieldPath=".name",reason=FieldValueRequired,message="name the application; all of its environments have the same name"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutRef)",fieldPath=".rolloutRef",reason=FieldValueRequired,message="name the Rollout whose releases run here: rolloutRef.name"
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !has(self.requeueInterval) || self.interval == self.requeueInterval",message="interval and requeueInterval differ: remove requeueInterval"
type EnvironmentSpec struct {
	// RolloutRef is the Rollout whose releases run here, in the same namespace. Required.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="rolloutRef.name is empty: name a Rollout of the same namespace"
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`
	// Name is the name of the application. It is the same in all of its environments. At most 100 characters. Required.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Name string `json:"name"`
	// Environment is the name of this environment, such as staging or production. It is unique within an application. It
	// has no slash and at most 100 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="!self.contains('/')",message="an environment name has no slash: write staging, not app/staging"
	Environment string `json:"environment,omitempty"`
	// Relationship names an environment in which a release must be Available before it comes here. Defaults to none.
	// +optional
	Relationship *Relationship `json:"relationship,omitempty"`
	// DependsOn lists environments in which a release must be Available before it comes here. All of them, and
	// relationship if it is set, must hold. At most 20.
	// +optional
	// +listType=map
	// +listMapKey=environment
	// +kubebuilder:validation:MaxItems=20
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// Backend defines where the environments exchange their state. Defaults to this cluster.
	// +optional
	Backend *Backend `json:"backend,omitempty"`
	// RequeueInterval is the time between two reads of an outside backend. It is at least 10s. Defaults to 1m.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="write a duration such as 90s, 15m or 1h30m"
	RequeueInterval *string `json:"requeueInterval,omitempty"`
	// Interval does the same as requeueInterval and is preferred. If both are set, they must be equal.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('10s')",message="the interval is at least 10s"
	Interval *kuberik.Duration `json:"interval,omitempty"`
}

// EnvironmentInfo is what is known of one environment of the application.
type EnvironmentInfo struct {
	// Environment is the name of the environment.
	Environment string `json:"environment"`
	// EnvironmentURL is the URL at which people find it.
	// +optional
	EnvironmentURL string `json:"environmentUrl,omitempty"`
	// Relationship is the relationship of that environment.
	// +optional
	Relationship *Relationship `json:"relationship,omitempty"`
	// DependsOn lists the environments that come before that environment.
	// +optional
	DependsOn []string `json:"dependsOn,omitempty"`
	// History lists its deployments, newest first. Only id, version, timestamp, bakeStatus and bakeStatusMessage are
	// set.
	// +optional
	History []kuberik.DeploymentHistoryEntry `json:"history,omitempty"`
}

// EnvironmentStatus is what is known of the environment and of those that it is connected with.
type EnvironmentStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// CurrentVersion is the revision of the newest deployment, or its tag if the image names no revision.
	// +optional
	CurrentVersion string `json:"currentVersion,omitempty"`
	// CurrentTag is the tag of the newest deployment.
	// +optional
	CurrentTag string `json:"currentTag,omitempty"`
	// CurrentState is the state of the newest deployment: Deploying, InProgress, Succeeded, Failed or Cancelled.
	// +optional
	CurrentState kuberik.BakeStatus `json:"currentState,omitempty"`
	// EnvironmentInfos lists the environments of the application that this one is connected with, in the order of
	// promotion. At most 100.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	EnvironmentInfos []EnvironmentInfo `json:"environmentInfos,omitempty"`
	// RolloutGateRef is the gate that holds releases until they may come here.
	// +optional
	RolloutGateRef *corev1.LocalObjectReference `json:"rolloutGateRef,omitempty"`
	// LastStatusChangeTime is when this status last changed.
	// +optional
	LastStatusChangeTime *metav1.Time `json:"lastStatusChangeTime,omitempty"`
	// Conditions of the environment: Ready and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Environment defines in which environment a Rollout runs, and which environments come before it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=env,categories=kuberik
// +kubebuilder:selectablefield:JSONPath=`.spec.rolloutRef.name`
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.currentTag`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.currentState`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the Environment has no spec: write spec.rolloutRef.name, spec.name (the application) and spec.environment"
type Environment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines the Rollout, its environment, and the environments that come before it. It is required.
	// +optional
	Spec EnvironmentSpec `json:"spec"`
	// Status is what is known of the environment and of those that it is connected with.
	// +optional
	Status EnvironmentStatus `json:"status,omitempty"`
}

// EnvironmentList is a list of Environments.
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Environment `json:"items"`
}
