package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// MaxCandidates is the maximum number of candidates that a gate evaluates.
const MaxCandidates = 20

// Candidates returns the candidates of a Rollout that gates evaluate, newest first: those that would be deployed next.
// The slice is part of the status.
func Candidates(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
	candidates := ro.Status.ReleaseCandidates
	n := min(len(candidates), MaxCandidates)
	if ro.Spec.Selection == v1alpha1.SelectEvery { // deploys the oldest first
		return candidates[len(candidates)-n:]
	}
	return candidates[:n]
}
