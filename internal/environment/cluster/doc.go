// Package cluster lets the Environments of one cluster meet without an outside service. The state of an environment is the status of its
// Rollout, which only the controller writes, so there is nothing to publish, and a snapshot is always current.
package cluster
