package view

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Change is something that happened to a Rollout, in one line.
type Change struct {
	// Tone of the line.
	Tone Tone
	// Text of the line, without a sign.
	Text string
}

// Changes returns what happened between two observations of a Rollout: discoveries, deployments, quarantines, then
// blockers. Before is nil for the first observation.
func Changes(before, after *v1alpha1.Rollout) []Change {
	if before == nil {
		before = &v1alpha1.Rollout{}
	}
	return slices.Concat(discovered(before, after), deployments(before, after), quarantines(before, after), waits(before, after))
}

func discovered(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, v := range after.Status.AvailableReleases {
		if version.Index(before.Status.AvailableReleases, version.Identity(v)) >= 0 {
			continue
		}
		text := clean(v.Tag) + " is discovered"
		if v.Digest != "" {
			text += " (" + clean(shortDigest(v.Digest)) + ")"
		}
		list = append(list, Change{Idle, text})
	}
	return list
}

func deployments(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, e := range release.Events(after.Spec, before.Status, after.Status, release.Decision{}) {
		c := Change{Busy, clean(e.Message)}
		switch {
		case e.Type == corev1.EventTypeWarning:
			c.Tone = Bad
		case e.Reason == "DeploymentSucceeded":
			c.Tone = Good
		}
		list = append(list, c)
	}
	return list
}

func quarantines(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, q := range after.Status.Quarantined {
		if !quarantined(before, q.ReleaseIdentity) {
			list = append(list, Change{Bad, clean(q.Tag) + " is quarantined: it is never deployed automatically again"})
		}
	}
	for _, q := range before.Status.Quarantined {
		if !quarantined(after, q.ReleaseIdentity) {
			list = append(list, Change{Idle, clean(q.Tag) + " is no longer quarantined"})
		}
	}
	return list
}

func quarantined(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc(ro.Status.Quarantined, func(q v1alpha1.Quarantine) bool {
		return version.Matches(q.ReleaseIdentity, id)
	})
}

// waits returns what a release that is not in flight waits for, if that changed.
func waits(before, after *v1alpha1.Rollout) []Change {
	st := after.Status
	if len(st.History) > 0 && release.InFlight(&st.History[0]) || slices.Equal(blockerKeys(before), blockerKeys(after)) {
		return nil
	}
	var list []Change
	for _, b := range st.BlockedBy {
		if st.PendingVersion == "" && b.Reason == v1alpha1.ReasonPreviousFailed {
			continue // the failure is a change of its own
		}
		text := clean(b.Message)
		if b.Kind != "Rollout" {
			text = blockerName(b) + ": " + text
		}
		if st.PendingVersion != "" {
			text = clean(st.PendingVersion) + " waits: " + text
		}
		if b.ClearedBy != "" {
			text += " (cleared by " + clean(b.ClearedBy) + ")"
		}
		list = append(list, Change{Held, text})
	}
	return list
}

// blockerKeys identifies the pending version and its blockers, whatever their messages are.
func blockerKeys(ro *v1alpha1.Rollout) []string {
	list := []string{ro.Status.PendingVersion}
	for _, b := range ro.Status.BlockedBy {
		list = append(list, b.Kind+"/"+b.Name+"/"+b.Reason)
	}
	return list
}
