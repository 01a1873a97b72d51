package sim

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// userObjects are the Approvals and Overrides of people.
type userObjects struct {
	approvals []gate.Approval
	overrides []release.Override
}

// someRelease returns a known release, if there is one.
func (w *Cluster) someRelease() (v1alpha1.ReleaseIdentity, bool) {
	known := w.rollout.live().status.AvailableReleases
	if len(known) == 0 {
		return v1alpha1.ReleaseIdentity{}, false
	}
	return version.Identity(pick(&w.rng, known)), true
}

// createApproval lets a person approve or reject a release.
func (w *Cluster) createApproval() {
	id, ok := w.someRelease()
	if !ok {
		return
	}
	a := gate.Approval{Release: id, User: pick(&w.rng, []string{"ann", "bob", "cem"}), Decision: v1alpha1.Approve, At: w.wall.Truncate(time.Second)}
	if w.rng.oneIn(5) {
		a.Decision = v1alpha1.Reject
	}
	w.editUserObjects(func(p *userObjects) { p.approvals = append(slices.Clip(p.approvals), a) })
	w.note("person", "%s: %s %s", a.User, a.Decision, id.Tag)
}

// breakGlass lets a person create an Override.
func (w *Cluster) breakGlass() {
	id, ok := w.someRelease()
	if !ok {
		return
	}
	w.names++
	o := release.Override{Release: id, UsedOverride: v1alpha1.UsedOverride{
		Name: fmt.Sprintf("override-%d", w.names), User: "ann", Reason: "an incident",
		Bypass:    pick(&w.rng, [][]v1alpha1.Bypass{{v1alpha1.BypassGates}, {v1alpha1.BypassHealth}, {v1alpha1.BypassGates, v1alpha1.BypassHealth}, {v1alpha1.BypassSchedules}}),
		ExpiresAt: metav1.NewTime(w.wall.Truncate(time.Second).Add(w.rng.seconds(1, 60))),
	}}
	w.editUserObjects(func(p *userObjects) { p.overrides = append(slices.Clip(p.overrides), o) })
	w.note("person", "overrides %v for %s", o.Bypass, id.Tag)
}

// withdraw lets people delete Approvals and Overrides.
func (w *Cluster) withdraw() {
	w.editUserObjects(func(p *userObjects) {
		if n := len(p.approvals); n > 0 {
			p.approvals = slices.Delete(slices.Clone(p.approvals), w.rng.below(n), n)
		}
		if n := len(p.overrides); n > 0 {
			p.overrides = slices.Delete(slices.Clone(p.overrides), w.rng.below(n), n)
		}
	})
	w.note("person", "deletes Approvals and Overrides")
}

func (w *Cluster) editUserObjects(edit func(*userObjects)) {
	p := w.userObjects.live()
	edit(&p)
	w.userObjects.set(p, w.lagging())
}

// approved reports whether a release is approved at a gate, by the newest decision of each person.
func (p userObjects) approved(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
	last := map[string]gate.Approval{}
	for _, a := range p.approvals {
		old, ok := last[a.User]
		if a.Release == id && (!ok || a.At.After(old.At) || a.At.Equal(old.At) && old.Decision == v1alpha1.Approve) {
			last[a.User] = a
		}
	}
	wanted := 1
	if g.Spec.Approvals != nil {
		wanted = int(g.Spec.Approvals.Required)
	}
	for _, a := range last {
		if a.Decision == v1alpha1.Reject {
			return false
		}
	}
	return len(last) >= wanted
}

// overridden reports whether an Override of a release includes a bypass at a time.
func (p userObjects) overridden(id v1alpha1.ReleaseIdentity, b v1alpha1.Bypass, at time.Time) bool {
	return slices.ContainsFunc(p.overrides, func(o release.Override) bool {
		return o.Release == id && slices.Contains(o.Bypass, b) && at.Before(o.ExpiresAt.Time)
	})
}

// observedUserObjects returns the objects of an observation.
func observedUserObjects(o release.Observation) userObjects {
	return userObjects{approvals: o.Approvals, overrides: o.Overrides}
}
