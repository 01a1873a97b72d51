package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kuberik "github.com/kuberik/kuberik/api/v1alpha1"
)

// AnnotationURL on an Environment says where a person finds it. Default: the first host of the HTTPRoute that is called like its Rollout.
const AnnotationURL = "environments.kuberik.com/url"

// RelationshipType says how an environment stands to another.
// +kubebuilder:validation:Enum=After;Parallel
type RelationshipType string

const (
	// After takes a release once it is Available in the other environment.
	After RelationshipType = "After"
	// Parallel takes the same releases as After does; it says that the two are peers, for people who look at them.
	Parallel RelationshipType = "Parallel"
)

// Relationship names one environment that comes before this one.
type Relationship struct {
	// Environment is its name, as in its spec.environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Environment string `json:"environment"`
	// Type is After or Parallel.
	Type RelationshipType `json:"type"`
}

// Dependency is one environment that a release has to be Available in first.
type Dependency struct {
	// Environment is its name, as in its spec.environment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Environment string `json:"environment"`
	// MinAvailableFor is how long the release has to run there after it became Available. The time ends when another release is deployed
	// there. Not negative. Defaults to 0s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('0s')",message="minAvailableFor is not negative"
	MinAvailableFor *kuberik.Duration `json:"minAvailableFor,omitempty"`
}

// BackendType says where the environments of an application meet.
// +kubebuilder:validation:Enum=cluster;github;gitlab
type BackendType string

const (
	// BackendCluster is this cluster itself; it needs nothing else.
	BackendCluster BackendType = "cluster"
	// BackendGitHub is GitHub Deployments.
	BackendGitHub BackendType = "github"
	// BackendGitLab is GitLab Environments and Deployments.
	BackendGitLab BackendType = "gitlab"
)

// Backend is where the environments of an application meet.
// +kubebuilder:validation:XValidation:rule="self.type == 'cluster' || (has(self.project) && size(self.project) > 0)",message="name the project: owner/repository, or for gitlab group/project"
// +kubebuilder:validation:XValidation:rule="self.type != 'github' || !has(self.project) || self.project.matches('^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$')",message="a GitHub project is owner/repository"
type Backend struct {
	// Type is cluster (environments of this cluster), github or gitlab.
	Type BackendType `json:"type"`
	// Project is owner/repository at GitHub, group/project at GitLab.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Project string `json:"project,omitempty"`
	// Secret of the same namespace with the key token; or, for a GitHub App, the keys githubAppID, githubAppInstallationID and
	// githubAppPrivateKey, as Flux has them. Default: github-token or gitlab-token.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret,omitempty"`
	// APIURL of GitHub Enterprise or of a GitLab of your own, as in https://github.example.com/api/v3/. The Secret has to allow its
	// host, with the annotation kuberik.com/allowed-hosts.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as https://github.example.com/api/v3/"
	APIURL string `json:"apiURL,omitempty"`
	// TrustedActors are the logins whose deployments and statuses count as evidence, besides the one of the credentials themselves. A
	// GitHub App is named like my-app[bot]. Whoever may write deployments can make some; only those of the trusted promote.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	TrustedActors []string `json:"trustedActors,omitempty"`
	// SignatureFrom is a key that the controllers of all environments share, at least 32 bytes. Where it is given, what does not carry
	// its signature is shown but promotes nothing, except that of unsignedActors.
	// +optional
	SignatureFrom *kuberik.KeyRef `json:"signatureFrom,omitempty"`
	// UnsignedActors are trusted without a signature: controllers that cannot sign.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=100
	UnsignedActors []string `json:"unsignedActors,omitempty"`
}

// EnvironmentSpec says where a Rollout runs, and after whom.
// +kubebuilder:validation:XValidation:rule="has(self.name)",fieldPath=".name",reason=FieldValueRequired,message="name the application; all of its environments have the same name"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutRef)",fieldPath=".rolloutRef",reason=FieldValueRequired,message="name the Rollout whose releases run here: rolloutRef.name"
type EnvironmentSpec struct {
	// RolloutRef is the Rollout whose releases run here, in the same namespace.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.name) && size(self.name) > 0",message="rolloutRef.name is empty: name a Rollout of the same namespace"
	RolloutRef corev1.LocalObjectReference `json:"rolloutRef"`
	// Name of the application, the same in all of its environments.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Name string `json:"name"`
	// Environment is the name of this one, such as staging or production. Two environments of one application differ in it.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="!self.contains('/')",message="an environment name has no slash: write staging, not app/staging"
	Environment string `json:"environment,omitempty"`
	// Relationship names an environment that a release has to be Available in before it comes here.
	// +optional
	Relationship *Relationship `json:"relationship,omitempty"`
	// DependsOn names several, which all have to hold; with relationship, that too.
	// +optional
	// +listType=map
	// +listMapKey=environment
	// +kubebuilder:validation:MaxItems=20
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// Backend is where the environments meet. Default: this cluster.
	// +optional
	Backend *Backend `json:"backend,omitempty"`
	// RequeueInterval is how often an outside backend is asked for news. Default 1m, at least 10s.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",message="write a duration such as 90s, 15m or 1h30m"
	RequeueInterval *string `json:"requeueInterval,omitempty"`
}

// EnvironmentInfo is what is known of one environment of the application.
type EnvironmentInfo struct {
	// Environment is its name.
	Environment string `json:"environment"`
	// EnvironmentURL is where a person finds it.
	// +optional
	EnvironmentURL string `json:"environmentUrl,omitempty"`
	// Relationship that it has itself.
	// +optional
	Relationship *Relationship `json:"relationship,omitempty"`
	// DependsOn are the environments that come before it.
	// +optional
	DependsOn []string `json:"dependsOn,omitempty"`
	// History of its deployments, newest first. Filled are id, version, timestamp, bakeStatus and bakeStatusMessage.
	// +optional
	History []kuberik.DeploymentHistoryEntry `json:"history,omitempty"`
}

// EnvironmentStatus is what is known of the environment and of those around it.
type EnvironmentStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// CurrentVersion is what runs here: the revision of the newest deployment, or its tag where the image names no revision.
	// +optional
	CurrentVersion string `json:"currentVersion,omitempty"`
	// CurrentTag is the tag of it.
	// +optional
	CurrentTag string `json:"currentTag,omitempty"`
	// CurrentState is how that deployment stands: Deploying, InProgress, Succeeded, Failed or Cancelled.
	// +optional
	CurrentState string `json:"currentState,omitempty"`
	// EnvironmentInfos are the environments of the application that this one is connected with, those that come first first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	EnvironmentInfos []EnvironmentInfo `json:"environmentInfos,omitempty"`
	// RolloutGateRef is the gate that holds releases until they may come here.
	// +optional
	RolloutGateRef *corev1.LocalObjectReference `json:"rolloutGateRef,omitempty"`
	// LastStatusChangeTime is when anything here changed.
	// +optional
	LastStatusChangeTime *metav1.Time `json:"lastStatusChangeTime,omitempty"`
	// Conditions of the environment.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Environment says where a Rollout runs, and after which others.
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
	// Status is what is known of it and of those around it.
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
