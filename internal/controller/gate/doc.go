// Package gate writes the verdicts of each RolloutGate that Kuberik implements to its status. Those of manual gates are
// for people to read: the Rollout controller evaluates these gates itself. Those of gates that call a URL count, for
// one release and one spec. Gates of other classes belong to their controllers.
package gate
