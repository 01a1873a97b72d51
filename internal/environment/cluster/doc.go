// Package cluster lets the Environments of one cluster meet without anything outside it. What an environment says of itself is what is on
// record in its Rollout, which nobody but the controller writes; so there is nothing to publish, and nothing is ever out of date.
package cluster
