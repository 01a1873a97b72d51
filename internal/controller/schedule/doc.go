// Package schedule implements the controllers of RolloutSchedules and ClusterRolloutSchedules. They keep one
// RolloutGate for each Rollout to which a schedule applies, and open and close it as internal/schedule evaluates the
// schedule. Gates are written at the time of each transition. Changes by others are reverted, and the gates of
// Rollouts that no longer match are deleted in every namespace.
//
// A gate is found by its owner, or by its labels if it has none, so that gates of the published controller are
// adopted. The name of a new gate is derived from the schedule and the Rollout, so that two reconciles never create
// two gates.
//
// A schedule that cannot be evaluated keeps its gates and closes them.
package schedule
