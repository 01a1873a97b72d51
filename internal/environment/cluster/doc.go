// Package cluster is the backend for Environments of the same cluster. The state of an environment is the status of its
// Rollout, which only the controller writes. So there is nothing to publish, and a snapshot is always current.
package cluster
