// Package gate writes into the status of each RolloutGate that Kuberik answers for what it says of the releases that wait. What it
// writes of gates that people open is for people to read: the Rollout controller asks internal/gate itself. What it writes of gates
// that ask a URL counts, for one release and one spec. Gates of other classes belong to their controllers.
package gate
