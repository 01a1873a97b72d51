// Package gate writes into the status of each RolloutGate that Kuberik answers for what it says of the releases that wait. It is
// for people to read: the Rollout controller asks internal/gate itself. Gates of other classes belong to their controllers.
package gate
