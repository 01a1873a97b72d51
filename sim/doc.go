// Package sim simulates a cluster around the decision core: an API server with resource versions, caches that lag, a
// slow Flux, gates and checks whose results change, people who change everything, a clock that jumps, and a controller
// that may crash between any two writes.
//
// Everything follows from a seed or from a script, so every run can be repeated. After every step, a monitor checks the
// invariants against its own records, without asking the core. At the end of a run the faults stop, and the Rollout has
// to reach the state that the cluster implies and stay there.
//
// The package uses no cluster, no network and no real clock.
package sim
