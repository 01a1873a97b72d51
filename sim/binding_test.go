package sim

import (
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
)

// bindGates simulates the gate controller: it records the digests of spec.allowedVersions from the cached Rollout. It
// reports whether it changed anything.
func (w *Cluster) bindGates() (changed bool) {
	known := w.rollout.cached().status.AvailableReleases
	list := slices.Clone(w.gates.live())
	for i, g := range list {
		boundDigests := gate.BindDigests(g, known)
		if slices.Equal(boundDigests, g.Status.AllowedVersions) {
			continue
		}
		list[i] = g.DeepCopy()
		list[i].Status.AllowedVersions, changed = boundDigests, true
	}
	if changed {
		w.gates.set(list, w.faults.Lag && !w.stable && w.gateRng.oneIn(2))
		w.mon.checkBoundDigests()
	}
	return changed
}

// gateControllerLags reports whether the gate controller has not processed a change yet.
func (w *Cluster) gateControllerLags() bool { return w.faults.Lag && !w.stable && w.gateRng.oneIn(3) }

// checkBoundDigests checks invariant 2 for spec.allowedVersions: while a gate lists a tag, the tag stands for the
// digest that was known first.
func (m *monitor) checkBoundDigests() {
	boundDigests := map[string]string{}
	for _, g := range m.w.gates.live() {
		for _, a := range g.Status.AllowedVersions {
			key := g.Name + " " + a.Tag
			if old := m.boundDigests[key]; old != "" && old != a.Digest && lists(g, a.Tag) {
				m.violate(2, "gate %s lists %s, which stood for %s and now for %s", g.Name, a.Tag, old, a.Digest)
			}
			if earlier := m.earlier(a); m.boundDigests[key] == "" && earlier != "" {
				m.violate(2, "gate %s takes %s for %s, and it was known as %s before", g.Name, a.Tag, a.Digest, earlier)
			}
			boundDigests[key] = a.Digest
		}
	}
	m.boundDigests = boundDigests
}

// earlier returns a digest of the tag that was known before and still is; empty if there is none.
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

// listed reports whether a gate lists a release: with its digest, or by a tag that stands for its digest.
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

// newestDigest replaces the digest of each tag of spec.allowedVersions with the newest digest of that tag.
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

// withDigest sometimes adds the digest to a tag, as a careful person does.
func (w *Cluster) withDigest(tag string) string {
	if p := w.policy.live(); tag == p.Tag && p.Digest != "" && !strings.Contains(p.Digest, "md5") && w.gateRng.oneIn(3) {
		return tag + "@" + p.Digest
	}
	return tag
}
