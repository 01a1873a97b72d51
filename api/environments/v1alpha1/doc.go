// Package v1alpha1 holds the kind of environments.kuberik.com/v1alpha1: Environment defines in which environment a
// Rollout runs (staging, production), which environments a release must pass before it, and where the environments of
// an application exchange their state.
//
// The package holds types only: no client, no clock, no decisions.
//
// +kubebuilder:object:generate=true
// +groupName=environments.kuberik.com
package v1alpha1
