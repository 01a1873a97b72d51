package environment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Reasons of verdicts.
const (
	// ReasonPromoted means that the release is Available in every upstream environment.
	ReasonPromoted = "Promoted"
	// ReasonUnknownEnvironment means that no environment of that name was published.
	ReasonUnknownEnvironment = "UnknownEnvironment"
	// ReasonNotDeployedUpstream means that the release was not deployed upstream.
	ReasonNotDeployedUpstream = "NotDeployedUpstream"
	// ReasonNotAvailableUpstream means that the release was deployed upstream, but is not Available.
	ReasonNotAvailableUpstream = "NotAvailableUpstream"
	// ReasonQuarantinedUpstream means that the release is quarantined upstream.
	ReasonQuarantinedUpstream = "QuarantinedUpstream"
	// ReasonRolledBackUpstream means that upstream was rolled back from the release and has not deployed it since.
	ReasonRolledBackUpstream = "RolledBackUpstream"
	// ReasonSoaking means that the release has not been Available upstream for long enough.
	ReasonSoaking = "Soaking"
	// ReasonNoEvidence means that only untrusted deployments of the release are known.
	ReasonNoEvidence = "NoEvidence"
	// ReasonUnidentified means that the tags are equal, but neither a digest nor a revision identifies the release.
	ReasonUnidentified = "Unidentified"
	// ReasonNewsOutdated means that the other environments were not read yet, or not for too long.
	ReasonNewsOutdated = "NewsOutdated"
	// ReasonCycle means that the environments depend on each other.
	ReasonCycle = "Cycle"
)

// Upstream is an environment in which a release must be Available first.
type Upstream struct {
	// Environment is its name.
	Environment string
	// MinAvailableFor is how long the release must have been Available there.
	MinAvailableFor time.Duration
}

// Upstreams returns the upstream environments of an Environment, in the order of the spec, each once. An error names
// the field that is not valid.
func Upstreams(spec environments.EnvironmentSpec) ([]Upstream, error) {
	var list []Upstream
	if r := spec.Relationship; r != nil {
		list = append(list, Upstream{Environment: r.Environment})
	}
	for i, d := range spec.DependsOn {
		u := Upstream{Environment: d.Environment}
		if d.MinAvailableFor != nil {
			var err error
			if u.MinAvailableFor, err = d.MinAvailableFor.Parse(); err != nil {
				return nil, fmt.Errorf("spec.dependsOn[%d].minAvailableFor: %w", i, err)
			}
		}
		// The names in dependsOn are unique, so the only possible duplicate is that of relationship, which has no
		// duration.
		list = append(slices.DeleteFunc(list, func(o Upstream) bool { return o.Environment == u.Environment }), u)
	}
	return list, nil
}

// HasUpstreams reports whether an Environment depends on others.
func HasUpstreams(spec environments.EnvironmentSpec) bool {
	return spec.Relationship != nil || len(spec.DependsOn) > 0
}

// Result is the result of evaluating a release for an environment.
type Result struct {
	// State is open, closed or pending.
	State v1alpha1.GateState
	// Reason is one of the reasons of this package, and Message explains it to people.
	Reason, Message string
	// Since is when the result became true, and Until the earliest time at which it may change by itself; zero if
	// unknown.
	Since, Until time.Time
}

// Requirements are what a release has to fulfil to be promoted to an environment.
type Requirements struct {
	// Upstreams in which the release must be Available.
	Upstreams []Upstream
	// Now is the current time.
	Now time.Time
	// MaxAge is how old the snapshot may be. 0 is no limit, for a backend that reports every change at once.
	MaxAge time.Duration
}

// Evaluate returns whether a release may be promoted. It may if every upstream environment admits it. Otherwise the
// result is that of the first one that does not.
func (s Snapshot) Evaluate(r Requirements, v v1alpha1.VersionInfo) Result {
	open := Result{State: v1alpha1.GateOpen, Reason: ReasonPromoted, Message: v.Tag + " is Available"}
	if r.MaxAge > 0 {
		if open.Until = s.At.Add(r.MaxAge); !open.Until.After(r.Now) {
			return Result{
				State: v1alpha1.GatePending, Reason: ReasonNewsOutdated, Since: open.Until,
				Message: "the other environments could not be read since " + s.At.UTC().Format(time.RFC3339),
			}
		}
	}
	for i, u := range r.Upstreams {
		result := s.evaluateUpstream(u, v, r.Now)
		if result.State != v1alpha1.GateOpen {
			return result
		}
		if result.Since.After(open.Since) {
			open.Since = result.Since
		}
		sep := " and "
		if i == 0 {
			sep = " in "
		}
		open.Message += sep + u.Environment
	}
	return open
}

func closed(reason, format string, args ...any) Result {
	return Result{State: v1alpha1.GateClosed, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// evaluateUpstream evaluates one upstream environment.
func (s Snapshot) evaluateUpstream(u Upstream, v v1alpha1.VersionInfo, now time.Time) Result {
	env, ok := s.Find(u.Environment)
	if !ok {
		return closed(ReasonUnknownEnvironment, "no environment %s of this application is known: %s", u.Environment,
			cmp.Or(s.Unknown, "wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of "+
				"the Environment"))
	}
	env.Deployments = sortByID(env.Deployments)
	ofRelease := func(d Deployment) bool { return SameContent(d.Version, v) }
	i := slices.IndexFunc(env.Deployments, ofRelease)
	if i < 0 {
		return notDeployed(env, v)
	}
	untrustedReason := env.Deployments[i].UntrustedReason
	env.Deployments = env.trusted()
	if result, ok := rejected(env, v, ofRelease); ok {
		return result
	}
	if i = slices.IndexFunc(env.Deployments, ofRelease); i < 0 {
		return closed(
			ReasonNoEvidence, "the deployment of %s in %s does not count: %s", v.Tag, env.Environment, untrustedReason,
		)
	}
	d := env.Deployments[i]
	if d.State != v1alpha1.BakeSucceeded {
		result := closed(ReasonNotAvailableUpstream, "%s is %s in %s", v.Tag,
			cmp.Or(stateTexts[d.State], "in an unknown state"), env.Environment)
		result.Since = d.At
		return result
	}
	var replacement *Deployment
	if i > 0 {
		replacement = &env.Deployments[i-1]
	}
	return evaluateSoak(u, d, replacement, now)
}

// trusted returns the deployments that are evidence.
func (s State) trusted() []Deployment {
	return slices.DeleteFunc(slices.Clone(s.Deployments), func(d Deployment) bool { return d.UntrustedReason != "" })
}

// sortByID sorts the deployments of each Rollout by their IDs. Backends sort by time, and a clock may have been set
// back.
func sortByID(list []Deployment) []Deployment {
	indexes := map[string][]int{}
	for i, d := range list {
		if uid, _, ok := strings.Cut(d.Key, "/"); ok {
			indexes[uid] = append(indexes[uid], i)
		}
	}
	sorted := slices.Clone(list)
	for _, at := range indexes {
		var ofRollout []Deployment
		for _, i := range at {
			ofRollout = append(ofRollout, list[i])
		}
		slices.SortStableFunc(ofRollout, func(a, b Deployment) int { return cmp.Compare(b.ID, a.ID) })
		for n, i := range at {
			sorted[i] = ofRollout[n]
		}
	}
	return sorted
}

// stateTexts describe the states that are not Available.
var stateTexts = map[v1alpha1.BakeStatus]string{
	v1alpha1.BakeDeploying: "being deployed", v1alpha1.BakeInProgress: "baking", v1alpha1.BakeFailed: "failed",
	v1alpha1.BakeCancelled: "cancelled",
}

// notDeployed returns the result for a release of which no deployment is known.
func notDeployed(s State, v v1alpha1.VersionInfo) Result {
	sameTag := func(d Deployment) bool { return d.Version.Tag == v.Tag && d.UntrustedReason == "" }
	if i := slices.IndexFunc(s.Deployments, sameTag); i >= 0 && !comparableContent(s.Deployments[i].Version, v) {
		return closed(ReasonUnidentified, "%s was deployed in %s, but nothing says that it is the same image: "+
			"set digestReflectionPolicy: Always in the ImagePolicies of both, or label images with their revision",
			v.Tag, s.Environment)
	}
	return closed(ReasonNotDeployedUpstream, "%s was not deployed in %s", v.Tag, s.Environment)
}

// quarantined reports whether a release is quarantined in one of the upstream environments, and returns the result for
// it.
func (s Snapshot) quarantined(upstreams []Upstream, v v1alpha1.VersionInfo) (Result, bool) {
	for _, u := range upstreams {
		env, _ := s.Find(u.Environment)
		for _, d := range env.trusted() {
			if SameContent(d.Version, v) && d.Quarantine != "" {
				return quarantineResult(env, d, v), true
			}
		}
	}
	return Result{}, false
}

func quarantineResult(s State, d Deployment, v v1alpha1.VersionInfo) Result {
	return closed(ReasonQuarantinedUpstream, "%s is quarantined in %s: %s", v.Tag, s.Environment, d.Quarantine)
}

// deployed reports whether one of the upstream environments has deployed a release.
func (s Snapshot) deployed(upstreams []Upstream, v v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc(upstreams, func(u Upstream) bool {
		env, _ := s.Find(u.Environment)
		return slices.ContainsFunc(env.Deployments, func(d Deployment) bool { return SameContent(d.Version, v) })
	})
}

// rejected reports whether an environment quarantined a release or was rolled back from it, even if it became Available
// there, and returns the result for it. The deployments are trusted ones.
func rejected(s State, v v1alpha1.VersionInfo, ofRelease func(Deployment) bool) (Result, bool) {
	for _, d := range s.Deployments {
		if ofRelease(d) && d.Quarantine != "" {
			return quarantineResult(s, d, v), true
		}
	}
	if tag := rolledBackTo(s.Deployments, ofRelease); tag != "" {
		return closed(
			ReasonRolledBackUpstream, "%s was rolled back from %s to %s; deploy %s there again, or release a newer version",
			s.Environment, v.Tag, tag, v.Tag,
		), true
	}
	return Result{}, false
}

// rolledBackTo returns the tag of the newest rollback from a release since its last deployment, or "". A rollback
// deploys a release that ran before, or an older one. It counts whatever its outcome is and whatever was deployed
// later, because somebody decided that the release should not run.
func rolledBackTo(list []Deployment, ofRelease func(Deployment) bool) string {
	at := slices.IndexFunc(list, ofRelease)
	if at < 0 {
		return ""
	}
	for _, d := range list[:at] {
		ranBefore := func(e Deployment) bool { return !ofRelease(e) && sameContentOrTag(e.Version, d.Version) }
		if slices.ContainsFunc(list[at+1:], ranBefore) || d.Order > 0 && d.Order < list[at].Order {
			return d.Version.Tag
		}
	}
	return ""
}

// evaluateSoak returns whether a release has been Available for long enough. The time ends when another deployment
// replaces it.
func evaluateSoak(u Upstream, d Deployment, replacement *Deployment, now time.Time) Result {
	end := d.AvailableSince.Add(u.MinAvailableFor)
	switch {
	case u.MinAvailableFor <= 0:
		return Result{State: v1alpha1.GateOpen, Since: d.AvailableSince}
	case d.AvailableSince.IsZero():
		return closed(ReasonSoaking, "it is not known since when %s is Available in %s", d.Version.Tag, u.Environment)
	case replacement != nil && replacement.At.Before(end):
		result := closed(
			ReasonSoaking,
			"%s was Available in %s for %s of %s before %s replaced it; "+
				"deploy it there again, or let a newer release run for that long",
			d.Version.Tag, u.Environment, max(replacement.At.Sub(d.AvailableSince), 0).Round(time.Second), u.MinAvailableFor,
			replacement.Version.Tag,
		)
		result.Since = replacement.At
		return result
	case now.Before(end):
		return Result{
			State: v1alpha1.GatePending, Reason: ReasonSoaking, Since: d.AvailableSince, Until: end,
			Message: fmt.Sprintf("%s has to be Available in %s for %s", d.Version.Tag, u.Environment, u.MinAvailableFor),
		}
	}
	return Result{State: v1alpha1.GateOpen, Since: end}
}

// sameContentOrTag reports whether two versions have the same content, or the same tag if their content cannot be
// compared. That is enough to reject a release, but not to promote it.
func sameContentOrTag(a, b v1alpha1.VersionInfo) bool {
	return SameContent(a, b) || !comparableContent(a, b) && a.Tag == b.Tag
}

// SameContent reports whether two versions have the same content: by their digests if both have one, or else by their
// revisions. Tags are ignored, because an environment may retag what it promotes.
func SameContent(a, b v1alpha1.VersionInfo) bool {
	if a.Digest != "" && b.Digest != "" {
		return a.Digest == b.Digest
	}
	return comparableContent(a, b) && *a.Revision == *b.Revision
}

// comparableContent reports whether two versions have digests or revisions to compare.
func comparableContent(a, b v1alpha1.VersionInfo) bool {
	return a.Digest != "" && b.Digest != "" || ptr.Deref(a.Revision, "") != "" && ptr.Deref(b.Revision, "") != ""
}
