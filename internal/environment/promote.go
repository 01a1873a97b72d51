package environment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Reasons of verdicts.
const (
	// ReasonPromoted: the release is Available everywhere upstream.
	ReasonPromoted = "Promoted"
	// ReasonUnknownEnvironment: nobody has published an environment of that name.
	ReasonUnknownEnvironment = "UnknownEnvironment"
	// ReasonNotDeployedUpstream: the release was not deployed upstream.
	ReasonNotDeployedUpstream = "NotDeployedUpstream"
	// ReasonNotAvailableUpstream: the release was deployed upstream and is not Available.
	ReasonNotAvailableUpstream = "NotAvailableUpstream"
	// ReasonQuarantinedUpstream: the release is quarantined upstream.
	ReasonQuarantinedUpstream = "QuarantinedUpstream"
	// ReasonRolledBackUpstream: upstream has gone back to an older release, and the release has not run there since.
	ReasonRolledBackUpstream = "RolledBackUpstream"
	// ReasonSoaking: the release has not been Available upstream for long enough.
	ReasonSoaking = "Soaking"
	// ReasonNoEvidence: the backend does not vouch for what is told of the release.
	ReasonNoEvidence = "NoEvidence"
	// ReasonUnidentified: neither a digest nor a revision says that two tags are the same release.
	ReasonUnidentified = "Unidentified"
	// ReasonNewsOutdated: nothing has been heard of the others for too long.
	ReasonNewsOutdated = "NewsOutdated"
	// ReasonCycle: the environments wait for each other.
	ReasonCycle = "Cycle"
)

// Upstream is an environment that a release has to be Available in first.
type Upstream struct {
	// Environment is its name.
	Environment string
	// For how long it has to have been Available.
	For time.Duration
}

// Upstreams of an Environment, in the order of the spec, each once. An error says which field cannot be read.
func Upstreams(spec environments.EnvironmentSpec) ([]Upstream, error) {
	var list []Upstream
	if r := spec.Relationship; r != nil {
		list = append(list, Upstream{Environment: r.Environment})
	}
	for i, d := range spec.DependsOn {
		u := Upstream{Environment: d.Environment}
		if d.MinAvailableFor != nil {
			var err error
			if u.For, err = d.MinAvailableFor.Parse(); err != nil {
				return nil, fmt.Errorf("spec.dependsOn[%d].minAvailableFor: %w", i, err)
			}
		}
		// dependsOn names each once, so it can only be that of relationship, which names no time.
		list = append(slices.DeleteFunc(list, func(o Upstream) bool { return o.Environment == u.Environment }), u)
	}
	return list, nil
}

// Promotes says whether an Environment lets releases come only after others.
func Promotes(spec environments.EnvironmentSpec) bool {
	return spec.Relationship != nil || len(spec.DependsOn) > 0
}

// Answer says whether a release may come to an environment.
type Answer struct {
	// State is open, closed or pending.
	State v1alpha1.GateState
	// Reason in one word, and Message for a person.
	Reason, Message string
	// Since when it holds, and Until when at the least; zero if nobody knows.
	Since, Until time.Time
}

// Question is what is asked of a snapshot.
type Question struct {
	// Upstreams that a release has to be Available in.
	Upstreams []Upstream
	// Now is the time of the question.
	Now time.Time
	// Patience is how old a snapshot may be. 0: they are never too old, because the backend tells every change at once.
	Patience time.Duration
}

// Ask says whether a release may come to an environment. It may if every upstream admits it; else the first that does not says why.
func (n Snapshot) Ask(q Question, v v1alpha1.VersionInfo) Answer {
	open := Answer{State: v1alpha1.GateOpen, Reason: ReasonPromoted, Message: v.Tag + " is Available"}
	if q.Patience > 0 {
		if open.Until = n.At.Add(q.Patience); !open.Until.After(q.Now) {
			return Answer{State: v1alpha1.GatePending, Reason: ReasonNewsOutdated, Since: open.Until, Message: "the other environments could not be read since " + n.At.UTC().Format(time.RFC3339)}
		}
	}
	for i, u := range q.Upstreams {
		a := n.askOne(u, v, q.Now)
		if a.State != v1alpha1.GateOpen {
			return a
		}
		if a.Since.After(open.Since) {
			open.Since = a.Since
		}
		sep := " and "
		if i == 0 {
			sep = " in "
		}
		open.Message += sep + u.Environment
	}
	return open
}

// askOne asks one upstream.
func (n Snapshot) askOne(u Upstream, v v1alpha1.VersionInfo, now time.Time) Answer {
	s, known := n.Find(u.Environment)
	if !known {
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonUnknownEnvironment, Message: "no environment " + u.Environment + " of this application is known: " +
			cmp.Or(n.Unknown, "wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of the Environment")}
	}
	s.Deployments = inOrder(s.Deployments)
	mine := func(d Deployment) bool { return SameContent(d.Version, v) }
	i := slices.IndexFunc(s.Deployments, mine)
	if i < 0 {
		return undeployed(s, v)
	}
	if a, bad := objections(s, v, mine); bad {
		return a
	}
	vouched := s.vouched()
	i = slices.IndexFunc(vouched, mine)
	if i < 0 {
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonNoEvidence, Message: fmt.Sprintf("what is told of %s in %s is no evidence: %s",
			v.Tag, s.Environment, s.Deployments[slices.IndexFunc(s.Deployments, mine)].UntrustedReason)}
	}
	d := vouched[i]
	if d.State != v1alpha1.BakeSucceeded {
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonNotAvailableUpstream, Since: d.At, Message: fmt.Sprintf("%s is %s in %s", v.Tag, cmp.Or(words[d.State], "in an unknown state"), s.Environment)}
	}
	var replacement *Deployment
	if i > 0 {
		replacement = &vouched[i-1]
	}
	return soaked(u, d, replacement, now)
}

// vouched returns the deployments that are evidence.
func (s State) vouched() []Deployment {
	return slices.DeleteFunc(slices.Clone(s.Deployments), func(d Deployment) bool { return d.UntrustedReason != "" })
}

// inOrder puts the deployments of each Rollout in the order in which they were decided. Those who tell of them go by time, and clocks are
// set back.
func inOrder(list []Deployment) []Deployment {
	places := map[string][]int{}
	for i, d := range list {
		if uid, _, keyed := strings.Cut(d.Key, "/"); keyed {
			places[uid] = append(places[uid], i)
		}
	}
	sorted := slices.Clone(list)
	for _, at := range places {
		var one []Deployment
		for _, i := range at {
			one = append(one, list[i])
		}
		slices.SortStableFunc(one, func(a, b Deployment) int { return cmp.Compare(b.ID, a.ID) })
		for n, i := range at {
			sorted[i] = one[n]
		}
	}
	return sorted
}

// words for the states that are not Available.
var words = map[v1alpha1.BakeStatus]string{
	v1alpha1.BakeDeploying: "being deployed", v1alpha1.BakeInProgress: "baking", v1alpha1.BakeFailed: "failed", v1alpha1.BakeCancelled: "cancelled",
}

// undeployed says why no deployment is that of a release.
func undeployed(s State, v v1alpha1.VersionInfo) Answer {
	tagged := func(d Deployment) bool { return d.Version.Tag == v.Tag && d.UntrustedReason == "" }
	if i := slices.IndexFunc(s.Deployments, tagged); i >= 0 && !comparableContent(s.Deployments[i].Version, v) {
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonUnidentified, Message: fmt.Sprintf(
			"%s was deployed in %s, but nothing says that it is the same image: set digestReflectionPolicy: Always in the ImagePolicies of both, or label images with their revision",
			v.Tag, s.Environment)}
	}
	return Answer{State: v1alpha1.GateClosed, Reason: ReasonNotDeployedUpstream, Message: v.Tag + " was not deployed in " + s.Environment}
}

// quarantined says whether a release is quarantined in any of the upstreams.
func (n Snapshot) quarantined(upstreams []Upstream, v v1alpha1.VersionInfo) (Answer, bool) {
	for _, u := range upstreams {
		s, _ := n.Find(u.Environment)
		for _, d := range s.Deployments {
			if SameContent(d.Version, v) && d.UntrustedReason == "" && d.Quarantine != "" {
				return isolated(s, d, v), true
			}
		}
	}
	return Answer{}, false
}

func isolated(s State, d Deployment, v v1alpha1.VersionInfo) Answer {
	return Answer{
		State: v1alpha1.GateClosed, Reason: ReasonQuarantinedUpstream,
		Message: fmt.Sprintf("%s is quarantined in %s: %s", v.Tag, s.Environment, d.Quarantine),
	}
}

// deployed says whether any of the upstreams has deployed a release.
func (n Snapshot) deployed(upstreams []Upstream, v v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc(upstreams, func(u Upstream) bool {
		s, _ := n.Find(u.Environment)
		return slices.ContainsFunc(s.Deployments, func(d Deployment) bool { return SameContent(d.Version, v) })
	})
}

// objections are what keeps a release from going on even where it became Available.
func objections(s State, v v1alpha1.VersionInfo, mine func(Deployment) bool) (Answer, bool) {
	vouched := s.vouched()
	for _, d := range vouched {
		if mine(d) && d.Quarantine != "" {
			return isolated(s, d, v), true
		}
	}
	if back := wentBack(vouched, mine); back != "" {
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonRolledBackUpstream, Message: fmt.Sprintf(
			"%s went back from %s to %s; deploy %s there again, or release a newer version", s.Environment, v.Tag, back, v.Tag)}, true
	}
	return Answer{}, false
}

// wentBack returns the tag of the newest return from a release since its last deployment, or "". A return deploys a release that ran
// before, or that is older. It counts whatever became of it and whatever was deployed later, because somebody decided that the release
// should not run.
func wentBack(list []Deployment, mine func(Deployment) bool) string {
	at := slices.IndexFunc(list, mine)
	if at < 0 {
		return ""
	}
	for _, d := range list[:at] {
		earlier := func(e Deployment) bool { return !mine(e) && sameContentOrTag(e.Version, d.Version) }
		if slices.ContainsFunc(list[at+1:], earlier) || d.Order > 0 && d.Order < list[at].Order {
			return d.Version.Tag
		}
	}
	return ""
}

// soaked says whether a release ran for long enough since it became Available. Its time ends with the deployment that replaced it.
func soaked(u Upstream, d Deployment, replacement *Deployment, now time.Time) Answer {
	end := d.AvailableSince.Add(u.For)
	switch {
	case u.For <= 0:
		return Answer{State: v1alpha1.GateOpen, Since: d.AvailableSince}
	case d.AvailableSince.IsZero():
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonSoaking, Message: fmt.Sprintf("nothing says since when %s is Available in %s", d.Version.Tag, u.Environment)}
	case replacement != nil && replacement.At.Before(end):
		return Answer{State: v1alpha1.GateClosed, Reason: ReasonSoaking, Since: replacement.At, Message: fmt.Sprintf(
			"%s was Available in %s for %s of %s before %s replaced it; deploy it there again, or let a newer release run for that long",
			d.Version.Tag, u.Environment, max(replacement.At.Sub(d.AvailableSince), 0).Round(time.Second), u.For, replacement.Version.Tag)}
	case now.Before(end):
		return Answer{
			State: v1alpha1.GatePending, Reason: ReasonSoaking, Since: d.AvailableSince, Until: end,
			Message: fmt.Sprintf("%s has to be Available in %s for %s", d.Version.Tag, u.Environment, u.For),
		}
	}
	return Answer{State: v1alpha1.GateOpen, Since: end}
}

// sameContentOrTag reports whether two versions have the same content, or the same tag if their content cannot be
// compared. That is enough to object to a promotion, and not enough to allow one.
func sameContentOrTag(a, b v1alpha1.VersionInfo) bool {
	return SameContent(a, b) || !comparableContent(a, b) && a.Tag == b.Tag
}

// SameContent reports whether two versions have the same content: by their digests if both have one, else by their
// revisions. Tags are ignored, because an environment may retag what it promotes.
func SameContent(a, b v1alpha1.VersionInfo) bool {
	if a.Digest != "" && b.Digest != "" {
		return a.Digest == b.Digest
	}
	return comparableContent(a, b) && *a.Revision == *b.Revision
}

// comparableContent reports whether two versions have digests or revisions to compare.
func comparableContent(a, b v1alpha1.VersionInfo) bool {
	known := func(r *string) bool { return r != nil && *r != "" }
	return a.Digest != "" && b.Digest != "" || known(a.Revision) && known(b.Revision)
}
