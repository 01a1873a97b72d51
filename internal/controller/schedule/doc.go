// Package schedule keeps the gates of RolloutSchedules and ClusterRolloutSchedules: one for each Rollout that a schedule has a say in,
// open or closed as internal/schedule says. It writes them at the second at which that changes, puts back what others change, and
// deletes those of Rollouts that no longer match, wherever they are.
//
// A gate is found by its owner, or by its labels if it has none, so that gates which the public controller made go on. A new one has a
// name that follows from the schedule and the Rollout: two passes never make two.
//
// A schedule that cannot be evaluated keeps its gates, closed.
package schedule
