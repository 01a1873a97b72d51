package view

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Change is something that happened to a Rollout, in one line.
type Change struct {
	// Tone of what happened.
	Tone Tone
	// Text for people.
	Text string
}

// Changes says what happened between two readings of a Rollout, in the order in which it makes sense. Before is nil at the first.
func Changes(before, after *v1alpha1.Rollout) []Change {
	if before == nil {
		before = &v1alpha1.Rollout{}
	}
	return slices.Concat(discovered(before, after), deployments(before, after), quarantine(before, after), holds(before, after))
}

func discovered(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, v := range after.Status.AvailableReleases {
		if version.Index(before.Status.AvailableReleases, version.Identity(v)) >= 0 {
			continue
		}
		text := clean(v.Tag) + " is discovered"
		if v.Digest != "" {
			text += " (" + clean(short(v.Digest)) + ")"
		}
		list = append(list, Change{Idle, text})
	}
	return list
}

// short is as much of a digest as people compare.
func short(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex[:min(len(hex), 12)]
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

func quarantine(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, q := range after.Status.Quarantined {
		if !isolated(before, q.ReleaseIdentity) {
			list = append(list, Change{Bad, clean(q.Tag) + " is quarantined: it is never deployed automatically again"})
		}
	}
	for _, q := range before.Status.Quarantined {
		if !isolated(after, q.ReleaseIdentity) {
			list = append(list, Change{Idle, clean(q.Tag) + " is no longer quarantined"})
		}
	}
	return list
}

func isolated(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc(ro.Status.Quarantined, func(q v1alpha1.Quarantine) bool {
		return version.Matches(q.ReleaseIdentity, id)
	})
}

// holds says what a release that is not in flight waits for, each time that becomes something else.
func holds(before, after *v1alpha1.Rollout) []Change {
	st := after.Status
	if len(st.History) > 0 && release.InFlight(&st.History[0]) || slices.Equal(chain(before), chain(after)) {
		return nil
	}
	var list []Change
	for _, b := range st.BlockedBy {
		if st.PendingVersion == "" && b.Reason == v1alpha1.ReasonPreviousFailed {
			continue // that it failed was told
		}
		text := clean(b.Message)
		if b.Kind != "Rollout" {
			text = waitsFor(b) + ": " + text
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

// chain is what makes a list of blockers another one.
func chain(ro *v1alpha1.Rollout) []string {
	list := []string{ro.Status.PendingVersion}
	for _, b := range ro.Status.BlockedBy {
		list = append(list, b.Kind+"/"+b.Name+"/"+b.Reason)
	}
	return list
}
