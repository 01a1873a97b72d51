// Package rollout brings Rollouts forward: it observes what a decision may depend on, lets internal/release decide,
// acts, and writes down what was decided. It decides nothing itself.
//
// The order of writes is what keeps a crash from doing harm. An intent is one status write, conditional on the Rollout
// that was read; only a later pass, which sees the stored intent, hands the version to Flux. A pass that has not just
// written asks the API server first whether the Rollout is still the one it decided on.
//
// What may lead to a write to Flux precedes what only changes a status: events of the latter kind are enqueued late
// (kube.Late).
package rollout
