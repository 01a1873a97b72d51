package gate

import "github.com/kuberik/kuberik/api/v1alpha1"

// Most is about how many candidates a gate speaks.
const Most = 20

// Next lists the candidates of a Rollout that gates are asked about: as many as a gate speaks about, of those that would be deployed next,
// newest first. The list is part of the status.
func Next(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
	candidates := ro.Status.ReleaseCandidates
	n := min(len(candidates), Most)
	if ro.Spec.Selection == v1alpha1.SelectEvery { // the oldest goes first
		return candidates[len(candidates)-n:]
	}
	return candidates[:n]
}
