// Package environment decides which releases an environment may take from those before it: a release that became Available upstream, has
// been so for long enough, and has been neither quarantined nor rolled back there.
//
// Environments meet in a Backend: this cluster, GitHub, or GitLab. A backend returns a snapshot with its time, and says which deployments
// in it are evidence. The package reads no clock and makes no requests.
package environment
