// Command bench measures what a release costs: how long after Flux has selected a tag the Kustomization carries it, how
// many releases at once the controller carries, and what that costs the API server and the controller.
//
// It runs the controller as a process of its own. Beside it, in the same run and on the same cluster, it measures the
// floor: a minimal program that writes the status of the Rollout and patches the Kustomization, and does nothing else.
// Absolute numbers drift with the machine, so the ratios to the floor are what counts.
//
// Flux's controllers are simulated: every Kustomization that was asked for a reconcile is reported as applied at once.
package main
