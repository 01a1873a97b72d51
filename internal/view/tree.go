package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// maxReleases is how many releases a tree shows: the newest.
const maxReleases = 8

// rollout is a Rollout at a moment.
type rollout struct {
	*v1alpha1.Rollout
	releases []v1alpha1.Release
	now      time.Time
}

// Tree shows what a Rollout runs, what waits, and why: the releases in the order of their discovery, one of them with
// what blocks it, then the gates, checks and Flux objects that block nothing. A release without an object is read from
// the Rollout.
func Tree(ro *v1alpha1.Rollout, releases []v1alpha1.Release, now time.Time) Node {
	r := rollout{ro, releases, now}
	root := Node{
		Tone: phaseTone(ro.Status.Phase), Title: "Rollout " + ro.Namespace + "/" + ro.Name, State: string(ro.Status.Phase),
		Note: clean(ro.Status.CurrentVersion),
	}
	blockers := slices.DeleteFunc(slices.Clone(ro.Status.BlockedBy), func(b v1alpha1.Blocker) bool {
		return b.Reason == v1alpha1.ReasonBaking // the line of the release says how long it has baked
	})
	why := blockerNodes(blockers, now)
	known := ro.Status.AvailableReleases
	known = known[max(0, len(known)-maxReleases):]
	at := version.Index(known, blocked(ro))
	for i, v := range known {
		n := r.release(v)
		if i == at && len(why) > 0 {
			n.Children, why = why, nil
		}
		root.Children = append(root.Children, n)
	}
	root.Children = append(root.Children, why...)
	for _, n := range slices.Concat(gates(ro), checks(ro), targets(ro)) {
		if !slices.ContainsFunc(blockers, func(b v1alpha1.Blocker) bool { return blockerName(b) == n.Title }) {
			root.Children = append(root.Children, n)
		}
	}
	return root
}

// blocked returns the release that the blockers of a Rollout are about: the one in flight, else the one that waits,
// else the one that was deployed last.
func blocked(ro *v1alpha1.Rollout) v1alpha1.ReleaseIdentity {
	h, pending := ro.Status.History, ro.Status.PendingVersion
	if len(h) > 0 && (release.InFlight(&h[0]) || pending == "") {
		return version.Identity(h[0].Version)
	}
	return v1alpha1.ReleaseIdentity{Tag: pending}
}

func (r rollout) release(v v1alpha1.VersionInfo) Node {
	rel := r.find(version.Identity(v))
	st := rel.Status
	n := Node{Tone: releaseTone(st.Phase), Title: clean(v.Tag), State: cmp.Or(string(st.Phase), "Discovered")}
	var notes []string
	if st.DeploymentID != nil {
		notes = append(notes, fmt.Sprintf("deployment %d", *st.DeploymentID))
	}
	notes = append(notes, r.progress(&st)...)
	if st.Quarantine != nil {
		notes = append(notes, "quarantined")
	}
	n.Note = strings.Join(notes, ", ")
	if why := clean(st.Message); why != "" && explains(st.Phase) {
		n.Children = []Node{{Note: why}}
	}
	return n
}

// explains reports whether the message of a release in this phase adds to the phase.
func explains(p v1alpha1.ReleasePhase) bool {
	return p == v1alpha1.ReleaseFailed || p == v1alpha1.ReleaseCancelled || p == v1alpha1.ReleaseSuperseded
}

// progress returns how far a release has got.
func (r rollout) progress(st *v1alpha1.ReleaseStatus) []string {
	now := metav1.NewTime(r.now)
	switch st.Phase {
	case v1alpha1.ReleaseDeploying:
		if d := between(st.DeployedAt, &now); d != "" {
			return []string{"for " + d}
		}
	case v1alpha1.ReleaseBaking:
		if d := between(st.BakeStartTime, &now); d != "" {
			return []string{"bakes for " + d + r.ofBakeTime()}
		}
	case v1alpha1.ReleaseAvailable:
		if d := between(st.BakeStartTime, st.BakeEndTime); d != "" {
			return []string{"baked for " + d}
		}
	}
	return nil
}

func (r rollout) ofBakeTime() string {
	if r.Spec.BakeTime == nil {
		return ""
	}
	return " of " + clean(string(*r.Spec.BakeTime))
}

// find returns the object of a release, or one that is derived from the Rollout if there is none yet.
func (r rollout) find(id v1alpha1.ReleaseIdentity) v1alpha1.Release {
	for i := range r.releases {
		if version.Identity(r.releases[i].Spec.Version) == id {
			return r.releases[i]
		}
	}
	rel := v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: id.Tag, Digest: id.Digest}}}
	rel.Status = release.StatusOf(r.Rollout, &rel)
	return rel
}

func gates(ro *v1alpha1.Rollout) []Node {
	var nodes []Node
	for _, g := range ro.Status.Gates {
		n := Node{Tone: Held, Title: "RolloutGate " + clean(g.Name), State: "closed", Note: clean(g.Message)}
		if g.Passing != nil && *g.Passing {
			n.Tone, n.State = Good, "open"
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func checks(ro *v1alpha1.Rollout) []Node {
	var nodes []Node
	for _, c := range ro.Status.Checks {
		n := Node{Tone: Held, Title: "HealthCheck " + clean(c.Name), State: clean(string(c.State)), Note: clean(c.Message)}
		switch {
		case c.State == v1alpha1.HealthUnhealthy:
			n.Tone = Bad
		case c.State == v1alpha1.HealthHealthy && c.Current:
			n.Tone = Good
		case c.State == v1alpha1.HealthHealthy:
			n.Note = "not yet for the version that was deployed"
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func targets(ro *v1alpha1.Rollout) []Node {
	var nodes []Node
	for _, t := range ro.Status.Targets {
		n := Node{Tone: Good, Title: t.Kind + " " + clean(t.Name), State: "applied", Note: clean(t.Message)}
		if t.Variable != "" && t.Applied {
			n.Note = clean(t.Variable + "=" + shortDigest(cmp.Or(t.Value, ro.Status.CurrentVersion)))
		}
		if !t.Applied {
			n.Tone, n.State = Held, "waits"
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// shortDigest shortens a digest, or the one behind a tag, to what people compare.
func shortDigest(value string) string {
	if colon := strings.IndexByte(value, ':'); colon >= 0 { // no tag contains one
		return value[:min(len(value), colon+13)]
	}
	return value
}

func phaseTone(p v1alpha1.Phase) Tone {
	return map[v1alpha1.Phase]Tone{
		v1alpha1.PhaseWaiting: Held, v1alpha1.PhaseDeploying: Busy, v1alpha1.PhaseBaking: Busy, v1alpha1.PhaseAvailable: Good,
		v1alpha1.PhaseFailed: Bad, v1alpha1.PhasePaused: Held, v1alpha1.PhaseCancelled: Idle, v1alpha1.PhaseSuspended: Held,
	}[p]
}

func releaseTone(p v1alpha1.ReleasePhase) Tone {
	tone, ok := map[v1alpha1.ReleasePhase]Tone{
		v1alpha1.ReleasePending: Held, v1alpha1.ReleaseDeploying: Busy, v1alpha1.ReleaseBaking: Busy,
		v1alpha1.ReleaseAvailable: Good,
		v1alpha1.ReleaseFailed:    Bad,
	}[p]
	if !ok {
		return Idle
	}
	return tone
}

// blockerNodes shows blockers in their order: what blocks, why, for how long, how long it will last, and who or what
// can clear it.
func blockerNodes(blockers []v1alpha1.Blocker, now time.Time) []Node {
	var nodes []Node
	for _, b := range blockers {
		n := Node{Tone: Held, Title: blockerName(b), Note: clean(b.Message)}
		var facts []string
		if b.Since != nil {
			facts = append(facts, "for "+age(now.Sub(b.Since.Time)))
		}
		if b.Until != nil {
			facts = append(facts, age(b.Until.Sub(now))+" left")
		}
		if b.ClearedBy != "" {
			facts = append(facts, "cleared by "+clean(b.ClearedBy))
		}
		if len(facts) > 0 {
			n.Children = []Node{{Note: strings.Join(facts, ", ")}}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// blockerName returns the kind and name of a blocker. A Rollout that blocks itself goes by the reason.
func blockerName(b v1alpha1.Blocker) string {
	if b.Kind == "Rollout" {
		return clean(b.Reason)
	}
	return strings.TrimSpace(clean(b.Kind) + " " + clean(b.Name))
}
