package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Search says which release is looked for. Empty fields match every release.
type Search struct {
	// Rollout is the name of the Rollout, with or without a namespace before a slash.
	Rollout string
	Tag     string
	// Commit and Digest are the beginnings of the commit and of the digest.
	Commit, Digest string
}

// minCommit is how many digits identify a commit.
const minCommit = 7

// ParseSearch reads what people look for: a commit of 7 digits or more, a digest, a tag, or ROLLOUT@TAG. Text that
// could be a commit as well as a tag is both: it is looked for as a tag first.
func ParseSearch(text string) Search {
	if rollout, ver, found := strings.Cut(text, "@"); found && rollout != "" {
		s := ParseSearch(ver)
		s.Rollout, s.Commit = rollout, ""
		if s.Digest == "" {
			s.Tag = ver
		}
		return s
	}
	text = strings.TrimPrefix(text, "@")
	if strings.HasPrefix(text, "sha256:") || strings.HasPrefix(text, "sha512:") {
		return Search{Digest: strings.ToLower(text)}
	}
	s := Search{Tag: text}
	isHex := !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	if isHex && len(text) >= minCommit {
		s.Commit = strings.ToLower(text)
	}
	return s
}

// Find returns the releases that a search matches.
func (s Search) Find(releases []v1alpha1.Release) []v1alpha1.Release {
	var byTag, byCommit []v1alpha1.Release
	for i := range releases {
		r := &releases[i]
		name := r.Spec.RolloutRef.Name
		if s.Rollout != "" && s.Rollout != name && s.Rollout != r.Namespace+"/"+name ||
			!strings.HasPrefix(Digest(r), s.Digest) {
			continue
		}
		if s.Tag == "" || r.Spec.Version.Tag == s.Tag {
			byTag = append(byTag, *r)
		} else if s.Commit != "" && strings.HasPrefix(Commit(r), s.Commit) {
			byCommit = append(byCommit, *r)
		}
	}
	if len(byTag) > 0 {
		return byTag
	}
	return byCommit
}

// Place is how far a release has got in one environment.
type Place struct {
	// Environment is the name of the environment. A Rollout without one goes by its own name.
	Environment string `json:"environment"`
	// Rollout is namespace/name. It is empty for an environment of another cluster.
	Rollout  string       `json:"rollout,omitempty"`
	Tag      string       `json:"tag,omitempty"`
	State    string       `json:"state"`
	Standing Standing     `json:"standing"`
	Message  string       `json:"message,omitempty"`
	Since    *metav1.Time `json:"since,omitempty"`
	// NotBefore is when the release can be deployed at the earliest.
	NotBefore *metav1.Time `json:"notBefore,omitempty"`
	// News is when another cluster was last heard of.
	News *metav1.Time `json:"news,omitempty"`
}

// Whereabouts says where a release is.
type Whereabouts struct {
	Meta    `json:",inline"`
	Subject string  `json:"subject"`
	Tag     string  `json:"tag"`
	Digest  string  `json:"digest,omitempty"`
	Commit  string  `json:"commit,omitempty"`
	Author  string  `json:"author,omitempty"`
	Places  []Place `json:"places"`
}

// World is everything that is known of a cluster.
type World struct {
	Rollouts     []v1alpha1.Rollout
	Releases     []v1alpha1.Release
	Gates        []v1alpha1.RolloutGate
	Environments []environments.Environment
	Clock        Clock
}

// Where says in which environments a release is. It takes the releases that Search.Find found: one release of an
// application is in several Rollouts. It returns one answer for each application.
func Where(w World, found []v1alpha1.Release) []Whereabouts {
	answers := map[string]*Whereabouts{}
	var order []string
	for i := range found {
		rel := &found[i]
		app := w.application(rel.Namespace, rel.Spec.RolloutRef.Name)
		key := app + "\x00" + cmp.Or(Digest(rel), rel.Spec.Version.Tag)
		if answers[key] != nil {
			continue
		}
		a := &Whereabouts{
			Meta: NewMeta("Whereabouts"), Subject: rel.Namespace + "/" + rel.Spec.RolloutRef.Name, Tag: rel.Spec.Version.Tag,
			Digest: Digest(rel),
			Commit: Commit(rel), Places: w.places(app, rel),
		}
		if rel.Status.Details != nil {
			a.Author = rel.Status.Details.Authors
		}
		answers[key], order = a, append(order, key)
	}
	list := []Whereabouts{}
	for _, key := range order {
		list = append(list, *answers[key])
	}
	return list
}

// environmentOf returns the Environment of a Rollout. It returns nil if there is none.
func (w World) environmentOf(namespace, rollout string) *environments.Environment {
	for i := range w.Environments {
		if e := &w.Environments[i]; e.Namespace == namespace && e.Spec.RolloutRef.Name == rollout {
			return e
		}
	}
	return nil
}

// application identifies the application of a Rollout: the name in its Environment, else the Rollout alone.
func (w World) application(namespace, rollout string) string {
	if e := w.environmentOf(namespace, rollout); e != nil {
		return "application/" + e.Spec.Name
	}
	return namespace + "/" + rollout
}

// places returns the environments of an application, with what is known of a release there, in the order of promotion.
func (w World) places(app string, rel *v1alpha1.Release) []Place {
	var list []Place
	local := map[string]bool{}
	for i := range w.Rollouts {
		ro := &w.Rollouts[i]
		if w.application(ro.Namespace, ro.Name) != app {
			continue
		}
		p := w.place(ro, rel)
		local[p.Environment] = true
		list = append(list, p)
	}
	order := []string{}
	for i := range w.Environments {
		e := &w.Environments[i]
		if "application/"+e.Spec.Name != app {
			continue
		}
		for k := range e.Status.EnvironmentInfos {
			info := &e.Status.EnvironmentInfos[k]
			if !slices.Contains(order, info.Environment) {
				order = append(order, info.Environment)
			}
			if !local[info.Environment] {
				local[info.Environment] = true
				list = append(list, w.remote(e, info, rel))
			}
		}
	}
	slices.SortStableFunc(list,
		func(a, b Place) int { return slices.Index(order, a.Environment) - slices.Index(order, b.Environment) })
	return list
}

// place returns how far a release has got in a Rollout of this cluster.
func (w World) place(ro *v1alpha1.Rollout, wanted *v1alpha1.Release) Place {
	p := Place{Environment: ro.Name, Rollout: ro.Namespace + "/" + ro.Name}
	f := Facts{Rollout: ro, Clock: w.Clock, Environments: w.Environments, Gates: w.Gates}
	if e := f.environment(); e != "" {
		p.Environment = e
	}
	var own []v1alpha1.Release
	for i := range w.Releases {
		if r := &w.Releases[i]; r.Namespace == ro.Namespace && r.Spec.RolloutRef.Name == ro.Name {
			own = append(own, *r)
		}
	}
	f.Releases = Releases(ro, own)
	for i := range f.Releases {
		if rel := &f.Releases[i]; sameRelease(rel, wanted) {
			return f.whereabouts(p, rel)
		}
	}
	p.State, p.Standing, p.Message = "Unknown", Waits, "not discovered here"
	return p
}

// sameRelease reports whether two releases of different Rollouts are the same: by the digest, else by the tag.
func sameRelease(a, b *v1alpha1.Release) bool {
	if x, y := Digest(a), Digest(b); x != "" && y != "" {
		return x == y
	}
	return a.Spec.Version.Tag == b.Spec.Version.Tag
}

func (f Facts) whereabouts(p Place, rel *v1alpha1.Release) Place {
	a := Why(f, rel)
	st := rel.Status
	p.Tag, p.Standing, p.State = rel.Spec.Version.Tag, a.Standing, string(cmp.Or(st.Phase, v1alpha1.ReleasePending))
	p.Since = cmp.Or(st.BakeEndTime, st.BakeStartTime, st.DeployedAt)
	switch {
	case len(a.Blockers) > 0 && a.Standing != Replaced:
		p.Message = clean(a.Blockers[0].Message)
		p.Since = cmp.Or(a.Blockers[0].Since, p.Since)
	case a.Standing == Failed:
		p.Message = clean(st.Message)
	case a.Standing == Replaced:
		p.Message = "replaced; now runs " + clean(f.Rollout.Status.CurrentVersion)
	}
	if a.Earliest != nil {
		p.NotBefore = a.Earliest.Deployment
	}
	return p
}

// remote returns what an Environment says about an environment of another cluster.
func (World) remote(e *environments.Environment, info *environments.EnvironmentInfo, rel *v1alpha1.Release) Place {
	p := Place{
		Environment: info.Environment, State: "Unknown", Standing: Waits, Message: "not deployed there, as far as is known",
		News: e.Status.LastStatusChangeTime,
	}
	for i := range info.History {
		h := &info.History[i]
		there := v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: h.Version}}
		commit := Commit(&there)
		same := version.Identity(h.Version).Digest != "" && sameRelease(&there, rel) || commit != "" &&
			commit == Commit(rel) ||
			version.Identity(h.Version).Digest == "" && commit == "" && h.Version.Tag == rel.Spec.Version.Tag
		if !same {
			continue
		}
		result := v1alpha1.BakeStatus(ptr.Deref(h.BakeStatus, string(v1alpha1.BakeDeploying)))
		p.Tag, p.State, p.Since, p.Message = h.Version.Tag, results[result].word, &h.Timestamp,
			clean(ptr.Deref(h.BakeStatusMessage, ""))
		p.Standing = map[v1alpha1.BakeStatus]Standing{
			v1alpha1.BakeSucceeded: Fine, v1alpha1.BakeFailed: Failed, v1alpha1.BakeCancelled: Replaced,
		}[result]
		if p.Standing == "" {
			p.Standing = InProgress
		}
		if p.Standing == Fine && i > 0 {
			p.Standing, p.Message = Replaced, "replaced; now runs "+clean(info.History[0].Version.Tag)
		}
		return p
	}
	return p
}

// Standing returns the worst of the places: failed somewhere, waits somewhere, else fine.
func (a Whereabouts) Standing() Standing {
	for _, standing := range []Standing{Failed, Waits, InProgress} {
		if slices.ContainsFunc(a.Places, func(p Place) bool { return p.Standing == standing }) {
			if standing == InProgress {
				return Waits
			}
			return standing
		}
	}
	return Fine
}

// Lines returns the whereabouts as text.
func (a Whereabouts) Lines(c Clock, s Style) []string {
	head := clean(a.Subject) + " " + clean(a.Tag)
	if a.Digest != "" {
		head += ", " + clean(ShortDigest(a.Digest))
	}
	if a.Commit != "" {
		head += ", commit " + clean(a.Commit[:min(len(a.Commit), 12)])
	}
	if a.Author != "" {
		head += ", by " + clean(a.Author)
	}
	tones := map[Standing]Tone{Fine: Good, InProgress: Busy, Waits: Held, Failed: Bad, Replaced: Idle}
	grid := cells([]column[Place]{
		{title: "ENVIRONMENT", cell: func(p Place, _ Clock) string { return p.Environment }},
		{title: "ROLLOUT", cell: func(p Place, _ Clock) string { return p.Rollout }},
		{title: "STATE", cell: func(p Place, _ Clock) string { return signs[tones[p.Standing]] + " " + p.State }},
		{title: "SINCE", cell: func(p Place, c Clock) string {
			if p.Since.IsZero() {
				return ""
			}
			return c.At(p.Since.Time) + " (" + c.Age(p.Since) + ")"
		}},
		{title: "NEXT", text: true, cell: func(p Place, c Clock) string { return p.next(c) }},
	}, a.Places, c, Columns{})
	return append(Wrap(head, s.Width), grid.Lines(s)...)
}

func (p Place) next(c Clock) string {
	parts := []string{}
	if p.Message != "" {
		parts = append(parts, p.Message)
	}
	if p.NotBefore != nil {
		parts = append(parts, "not before "+c.At(p.NotBefore.Time))
	}
	if p.News != nil {
		parts = append(parts, fmt.Sprintf("news of %s ago", c.Age(p.News)))
	}
	return strings.Join(parts, "; ")
}
