package sim

import (
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
)

// bindGates plays the gate controller: it records the digests that spec.allowedVersions of the gates stands for, by the Rollout as its
// cache shows it. It reports whether it changed anything.
func (w *World) bindGates() (changed bool) {
	known := w.rollout.cached().status.AvailableReleases
	list := slices.Clone(w.gates.live())
	for i, g := range list {
		bound := gate.BindDigests(g, known)
		if slices.Equal(bound, g.Status.AllowedVersions) {
			continue
		}
		list[i] = g.DeepCopy()
		list[i].Status.AllowedVersions, changed = bound, true
	}
	if changed {
		w.gates.set(list, w.faults.Lag && !w.quiet && w.gateRng.oneIn(2))
		w.mon.gatesBound()
	}
	return changed
}

// late says whether the gate controller has not come to a change yet.
func (w *World) late() bool { return w.faults.Lag && !w.quiet && w.gateRng.oneIn(3) }

// gatesBound is invariant 2 for spec.allowedVersions: while a gate lists a tag, the tag stands for one digest, the first that was known.
func (m *monitor) gatesBound() {
	bound := map[string]string{}
	for _, g := range m.w.gates.live() {
		for _, a := range g.Status.AllowedVersions {
			key := g.Name + " " + a.Tag
			if old := m.bound[key]; old != "" && old != a.Digest && lists(g, a.Tag) {
				m.breaks(2, "gate %s lists %s, which stood for %s and now for %s", g.Name, a.Tag, old, a.Digest)
			}
			if earlier := m.earlier(a); m.bound[key] == "" && earlier != "" {
				m.breaks(2, "gate %s takes %s for %s, and it was known as %s before", g.Name, a.Tag, a.Digest, earlier)
			}
			bound[key] = a.Digest
		}
	}
	m.bound = bound
}

// earlier is a digest of the tag that was known before, and still is; "" if there is none.
func (m *monitor) earlier(a v1alpha1.AllowedVersion) string {
	at := m.order[v1alpha1.ReleaseIdentity(a)]
	for _, v := range m.w.rollout.live().status.AvailableReleases {
		if v.Tag == a.Tag && v.Digest != "" && m.order[identity(v)] < at {
			return v.Digest
		}
	}
	return ""
}

func lists(g *v1alpha1.RolloutGate, entry string) bool {
	return g.Spec.AllowedVersions != nil && slices.Contains(*g.Spec.AllowedVersions, entry)
}

// listed says whether a gate lists a release: with its digest, or by a tag that stands for its digest.
func listed(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
	if id.Digest != "" && lists(g, id.Tag+"@"+id.Digest) {
		return true
	}
	stands := ""
	for _, a := range g.Status.AllowedVersions {
		if a.Tag == id.Tag {
			stands = a.Digest
		}
	}
	return lists(g, id.Tag) && stands == id.Digest
}

// newestDigest takes each tag of spec.allowedVersions for the newest digest that is known.
func newestDigest(o *release.Observation) {
	o.Gates = slices.Clone(o.Gates)
	for i, g := range o.Gates {
		g = g.DeepCopy()
		for j, a := range g.Status.AllowedVersions {
			for _, v := range o.Status.AvailableReleases {
				if v.Tag == a.Tag {
					g.Status.AllowedVersions[j].Digest = v.Digest
				}
			}
		}
		o.Gates[i] = g
	}
}

// withDigest adds the digest to a tag now and then, as a careful person does.
func (w *World) withDigest(tag string) string {
	if p := w.policy.live(); tag == p.Tag && p.Digest != "" && !strings.Contains(p.Digest, "md5") && w.gateRng.oneIn(3) {
		return tag + "@" + p.Digest
	}
	return tag
}
