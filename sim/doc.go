// Package sim is a world in which the decision core is tried: a store with resource versions, caches that lag behind it, a Flux
// that takes its time, gates and checks that change their minds, people who do as they like, a clock that jumps, and a process
// that dies between any two effects.
//
// Everything that happens follows from a seed or from a script, so every run can be repeated. After every step a monitor judges
// what has really happened, without asking the core. After the chaos the world falls quiet, and the Rollout has to come to rest
// where it must.
//
// The package touches no cluster, no network, and no clock.
package sim
