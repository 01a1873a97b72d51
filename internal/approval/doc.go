// Package approval reads the Approvals and Overrides of a Rollout's releases. It returns only objects that refer to the
// Release as it is now. It also verifies the admission policies that check the user of each Approval and Override:
// without these policies, anybody can claim to be anybody.
package approval
