// Package v1alpha1 holds the kinds of kuberik.com/v1alpha1.
//
//   - Rollout says what is released (an ImagePolicy), how long it bakes and what happens when it fails. Its status is
//     the record: what is known, what was deployed, what waits, and why.
//   - Release is one version of one Rollout. The controller makes it when the version is discovered; its spec never
//     changes, its status tells where it stands, with the evidence.
//   - RolloutGate holds the releases of a Rollout until a condition is met. A gate that says nothing blocks.
//   - HealthCheck says whether what runs is well, and for which revision it says so.
//
// The package holds types only: no client, no clock, no decision.
//
// +kubebuilder:object:generate=true
// +groupName=kuberik.com
package v1alpha1
