// Package v1alpha1 holds the kind of environments.kuberik.com/v1alpha1: Environment says where a Rollout runs (staging, production),
// after which other environments a release may come there, and where the environments of an application meet.
//
// The package holds types only: no client, no clock, no decision.
//
// +kubebuilder:object:generate=true
// +groupName=environments.kuberik.com
package v1alpha1
