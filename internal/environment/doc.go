// Package environment decides which releases may be promoted to an environment: those that became Available in its
// upstream environments, have been Available for long enough, and were neither quarantined nor rolled back there.
//
// Environments share their state through a Backend: the cluster, GitHub, or GitLab. A backend returns a Snapshot with
// its time, and marks the deployments that are no evidence. This package reads no clock and makes no requests.
package environment
