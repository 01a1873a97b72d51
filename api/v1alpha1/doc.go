// Package v1alpha1 holds the kinds of kuberik.com/v1alpha1.
//
//   - Rollout defines what is released (an ImagePolicy), how long it bakes and what happens when it fails. Its status
//     is
//     the record: which releases are known, which were deployed, which wait, and why.
//   - Release is one version of one Rollout. The controller creates it when the version is discovered. Its spec is
//     immutable; its status reports its phase, with the evidence.
//   - RolloutGate holds the releases of a Rollout until a condition is met. A gate without a verdict holds them.
//   - Approval is the decision of one person about a release that waits at a manual gate.
//   - Override allows one release to skip gates, schedules or health, for a stated reason and at most a day.
//   - RolloutSchedule defines when the Rollouts of its namespace may release. It creates a RolloutGate for each of
//     them.
//   - ClusterRolloutSchedule does the same for the Rollouts of many namespaces.
//   - HealthCheck reports whether what runs is healthy, and for which revision.
//
// The kind Environment, which orders the environments of an application, is in environments.kuberik.com/v1alpha1.
//
// The package holds types only: no client, no clock, no decisions.
//
// +kubebuilder:object:generate=true
// +groupName=kuberik.com
package v1alpha1
