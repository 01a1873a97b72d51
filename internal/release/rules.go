package release

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

// Rule is one rule of the life of a release. It decides, or it does not apply.
type Rule struct {
	// Name of the rule, as it is logged.
	Name string
	// Apply decides about a situation, or says that the rule does not apply.
	Apply func(*situation) (Decision, bool)
}

// Chore is bookkeeping that comes before every decision.
type Chore struct {
	// Name of the chore.
	Name string
	// Do returns the bookkeeping that is due.
	Do func(*situation) []Action
}

// Chain is the policy of a Rollout: its chores and its rules, in the order of precedence.
type Chain struct {
	Chores []Chore
	Rules  []Rule
}

// Rules returns the policy of a Rollout. Every line is needed: the simulation fails without it.
func Rules() Chain {
	return Chain{
		Chores: []Chore{
			{"forgetHandled", forgetHandled}, // the annotation is gone: the same value counts again
			{"clearHandled", clearHandled},   // an annotation that was acted on must not act twice
			{"identify", identify},           // the release of a tag alone gets its digest, instead of becoming two releases
			{"discover", discover},           // rules choose among known releases
			{"learnDetails", learnDetails},   // rollback floors and authors come from the image
			{"notePin", notePin},             // a pin to the running version has to be on record before it is removed
			{"trim", trim},                   // last, so that what was just discovered is counted
		},
		Rules: []Rule{
			// Also while suspended: they only change the record. A request to quarantine comes first, so that both are used up.
			{"quarantineByHand", quarantineByHand},
			{"liftQuarantine", liftQuarantine},
			{"suspend", suspend},       // nothing else is decided while suspended
			{"rejectSpec", rejectSpec}, // no rule below can read an invalid spec

			// What a person asks for comes before what is in flight.
			{"retry", retry},
			{"followPin", followPin},
			{"ignoreForceUnderPin", ignoreForceUnderPin}, // a pin contradicts it, and it must not act when the pin goes
			{"forceDeploy", forceDeploy},
			{"ignoreUnblock", ignoreUnblock}, // there is nothing to unblock, and a later failure must not be unblocked

			// One release is in flight at a time. Failing comes before another write to Flux, so that a write that is refused
			// again and again cannot keep a release from failing.
			{"identifyHead", identifyHead},         // the digest is stored before Flux is asked for it
			{"awaitPerson", awaitPerson},           // a paused release is not judged
			{"restoreTargets", restoreTargets},     // the running version is put back while a newer one is withheld
			{"holdUnreleasable", holdUnreleasable}, // before gates, which cannot open for it
			{"holdHandover", holdHandover},         // gates count until the first target is written
			{"failOnCheck", failOnCheck},
			{"failOnTimeout", failOnTimeout},
			{"rollBack", rollBack},           // nothing is in flight after a failure
			{"interruptBake", interruptBake}, // before the targets are written again, so that the record says why
			{"pinTargets", pinTargets},
			{"awaitTargets", awaitTargets}, // checks mean nothing before Flux has applied the version
			{"awaitChecks", awaitChecks},
			{"startBake", startBake}, // nothing is waited for
			{"finishBake", finishBake},
			{"keepBaking", keepBaking},

			// Nothing is in flight: which release comes next?
			{"stayPinned", stayPinned},               // automation leaves a pinned Rollout alone
			{"blockAfterFailure", blockAfterFailure}, // after a failure a person decides
			{"rest", rest},                           // there is no candidate
			{"holdOnGates", holdOnGates},
			{"holdOnHealth", holdOnHealth}, // after gates, whose approvals take longer
			{"settle", settle},             // last: only a release that nothing else holds has to wait for new gates
			{"deployNext", deployNext},
		},
	}
}

// Decide says what is to be done about an observation.
func Decide(o Observation) Decision { return Rules().Decide(o) }

// Decide does the chores and lets the first rule that applies decide.
func (c Chain) Decide(o Observation) Decision {
	s := newSituation(o)
	var chores []Action
	for _, chore := range c.Chores {
		for _, a := range chore.Do(s) {
			s.apply(a)
			chores = append(chores, a)
		}
	}
	for _, rule := range c.Rules {
		if d, ok := rule.Apply(s); ok {
			d.Rule = rule.Name
			d.Actions = append(chores, d.Actions...)
			if slices.ContainsFunc(d.Actions, goesOn) {
				d.Again = o.Now
			}
			return d
		}
	}
	return Decision{Rule: "none", Actions: chores}
}

// goesOn reports whether there may be more to do once an action is on record: a status that was written wakes nobody.
func goesOn(a Action) bool {
	switch a.(type) {
	case Record, Amend, Handle:
		return true
	}
	return false
}

// situation is an observation after the chores, with what the rules ask of it.
type situation struct {
	Observation
	status v1alpha1.RolloutStatus
	// stage of the newest deployment.
	stage stage
	// illegal is why what the ImagePolicy selected cannot be a release; empty if it can, or if it selected nothing.
	illegal string
	// eligible holds the candidates once they were asked for, until the record changes: many rules ask, and each release
	// costs a few comparisons of versions.
	eligible *[]v1alpha1.VersionInfo
	// chosen is the same for the release that comes next: it takes the verdict of every gate about every candidate.
	chosen *choice
}

// choice is the release that comes next.
type choice struct {
	version v1alpha1.VersionInfo
	// bypassed are the gates that are shut for it.
	bypassed []string
	// ok reports whether there is one.
	ok bool
}

func newSituation(o Observation) *situation {
	s := &situation{Observation: o, status: o.Status}
	if o.Policy.Tag != "" {
		s.illegal = illegal(o.Policy)
	}
	s.stage = s.stageOf(s.head())
	return s
}

// apply changes the record as an action says.
func (s *situation) apply(a Action) {
	a.apply(&s.status)
	s.eligible, s.chosen, s.stage = nil, nil, s.stageOf(s.head())
}

// head is the newest deployment, or nil.
func (s *situation) head() *v1alpha1.DeploymentHistoryEntry {
	if len(s.status.History) == 0 {
		return nil
	}
	return &s.status.History[0]
}

// at returns the newest deployment if it is at one of the stages, or nil.
func (s *situation) at(stages ...stage) *v1alpha1.DeploymentHistoryEntry {
	if slices.Contains(stages, s.stage) {
		return s.head()
	}
	return nil
}

// deploying returns the newest deployment until its bake starts, or nil.
func (s *situation) deploying() *v1alpha1.DeploymentHistoryEntry {
	return s.at(stageRecorded, stageWithheld, stageHandedOver)
}

// inFlightUnpaused returns the newest deployment if it is in flight and not left to a person, or nil.
func (s *situation) inFlightUnpaused() *v1alpha1.DeploymentHistoryEntry {
	return s.at(stageRecorded, stageWithheld, stageHandedOver, stageBaking, stageInterrupted)
}

// awaitsGates returns the newest deployment if gates still count for it, or nil: automation decided it, and no target
// was asked for it.
func (s *situation) awaitsGates() *v1alpha1.DeploymentHistoryEntry {
	if h := s.at(stageRecorded, stageWithheld); h != nil && !ByHand(h) {
		return h
	}
	return nil
}

// heldAtGates returns the newest deployment if gates hold it since it was decided, or nil.
func (s *situation) heldAtGates() *v1alpha1.DeploymentHistoryEntry {
	if h := s.at(stageWithheld); h != nil && !ByHand(h) {
		return h
	}
	return nil
}

// running is the deployment that Flux was handed last, or nil.
func (s *situation) running() *v1alpha1.DeploymentHistoryEntry {
	for i := range s.status.History {
		if e := &s.status.History[i]; i == 0 && s.reachedFlux() || i > 0 && !withheld(e) {
			return e
		}
	}
	return nil
}

// annotation returns the value of a one-shot annotation that was not acted upon yet.
func (s *situation) annotation(key string) (string, bool) {
	v, ok := s.Annotations[key]
	if !ok || s.IgnoreAnnotations {
		return "", false
	}
	used, handled := s.status.HandledAnnotations[key]
	return v, !handled || used != noted(v)
}

// pinned is the tag that the spec pins, or "".
func (s *situation) pinned() string {
	if s.Spec.WantedVersion == nil {
		return ""
	}
	return *s.Spec.WantedVersion
}

// quarantined reports whether a release is not to be deployed automatically.
func (s *situation) quarantined(v v1alpha1.VersionInfo) bool {
	return quarantine(s.status.Quarantined, version.Identity(v)) != nil
}

// quarantinedBlocker says that a release is quarantined, and what ends that.
func (s *situation) quarantinedBlocker(v v1alpha1.VersionInfo) *v1alpha1.Blocker {
	return &v1alpha1.Blocker{
		Kind: "ImagePolicy", Name: s.Spec.ReleasesImagePolicy.Name, Reason: v1alpha1.ReasonQuarantined,
		Message: label(v) + " is quarantined: " + quarantine(s.status.Quarantined, version.Identity(v)).Reason,
		ClearedBy: fmt.Sprintf("annotation %s: %q, or %s, or a newer release", v1alpha1.AnnotationLiftQuarantine,
			v.Tag+" <reason>", forceDeployOf(v)),
	}
}

// duration of an optional field that rejectSpec has looked at.
func duration(d *v1alpha1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	v, err := d.Parse()
	if err != nil {
		return v1alpha1.MaxDuration
	}
	return v
}

// Decision is what is to be done about an observation.
type Decision struct {
	// Rule that decided.
	Rule string
	// Rereads reports whether what it rests on has to be read past the cache first: a release fails or is paused by it, or
	// gets its digest.
	Rereads bool
	// Actions to take, bookkeeping and outward ones.
	Actions []Action
	// Blocked lists what the next step waits for.
	Blocked []v1alpha1.Blocker
	// Notices are things that happened and that leave no trace in the status.
	Notices []Notice
	// Again is when to look again at the latest; zero: when something changes.
	Again time.Time
}

// Notice is an event about something that a person asked for.
type Notice struct{ Reason, Message string }

// notice adds an event to a decision.
func (d *Decision) notice(reason, message string) {
	d.Notices = append(d.Notices, Notice{reason, message})
}

// Action is one thing to do. What only changes the record is applied by Project; what reaches outside is for the
// controller.
type Action interface {
	// apply changes the record, never what the record shares with the observation. It does nothing for outward actions.
	apply(*v1alpha1.RolloutStatus)
}

// Outward actions.
type (
	// Pin hands the version of the newest history entry to every target that does not carry it.
	Pin struct {
		Version v1alpha1.VersionInfo
		Token   string
		// First reports whether no target carries the version yet. The gates are then asked once more, without a cache.
		First bool
		// Drift lists targets that had carried it.
		Drift bool
	}
	// ClearAnnotations removes one-shot annotations that were acted upon.
	ClearAnnotations struct{ Handled map[string]string }
)

// Bookkeeping actions.
type (
	// Discover adds a release to those known.
	Discover struct{ Version v1alpha1.VersionInfo }
	// Identify fills in the digest of a release that was known by its tag alone, and of the newest deployment if Head is
	// true.
	Identify struct {
		Release v1alpha1.ReleaseIdentity
		Head    bool
		// Anew reports whether the details on record were read from an image with another digest, and have to be read again.
		Anew bool
	}
	// Learn fills in what an image says of itself.
	Learn struct{ Details []Details }
	// Record puts a deployment at the head of the history: the intent, stored before anything outside is touched.
	Record struct {
		Entry v1alpha1.DeploymentHistoryEntry
	}
	// Amend replaces the head of the history by a later state of the same deployment.
	Amend struct {
		Entry v1alpha1.DeploymentHistoryEntry
	}
	// Isolate quarantines a release.
	Isolate struct{ Quarantine v1alpha1.Quarantine }
	// Lift takes a release out of quarantine. A Reason is one that a person gave, and is put on record with the time.
	Lift struct {
		Release v1alpha1.ReleaseIdentity
		Reason  string
		At      metav1.Time
	}
	// Handle notes that a one-shot annotation counts as used.
	Handle struct{ Key, Value string }
	// Forget drops the note, once the annotation is gone.
	Forget struct{ Key string }
	// Ask asks people to approve a release; Requested lists everything that they are asked for now.
	Ask struct {
		Requested []v1alpha1.ReleaseIdentity
		Shut      []gate.Verdict
	}
	// Trim drops what retention does not keep.
	Trim struct {
		Releases, History int
		Quarantined       []v1alpha1.Quarantine
	}
)

func (Pin) apply(*v1alpha1.RolloutStatus)              {}
func (ClearAnnotations) apply(*v1alpha1.RolloutStatus) {}

func (a Discover) apply(s *v1alpha1.RolloutStatus) {
	s.AvailableReleases = append(slices.Clip(s.AvailableReleases), a.Version)
}

func (a Identify) apply(s *v1alpha1.RolloutStatus) {
	s.AvailableReleases, s.History = slices.Clone(s.AvailableReleases), slices.Clone(s.History)
	for i := range s.AvailableReleases {
		a.name(&s.AvailableReleases[i])
	}
	for i := range s.History {
		if known := s.History[i].NewestKnown; known != nil && *known == (v1alpha1.ReleaseIdentity{Tag: a.Release.Tag}) {
			s.History[i].NewestKnown = &v1alpha1.ReleaseIdentity{Tag: a.Release.Tag, Digest: a.Release.Digest}
		}
	}
	if a.Head && len(s.History) > 0 {
		a.name(&s.History[0].Version)
	}
}

// name fills in the digest of a version that has none.
func (a Identify) name(v *v1alpha1.VersionInfo) {
	if version.Identity(*v) != (v1alpha1.ReleaseIdentity{Tag: a.Release.Tag}) {
		return
	}
	if v.Digest = a.Release.Digest; a.Anew {
		v.Version, v.Revision, v.Created = nil, nil, nil
	}
}

func (a Learn) apply(s *v1alpha1.RolloutStatus) {
	s.AvailableReleases, s.History = slices.Clone(s.AvailableReleases), slices.Clone(s.History)
	for _, d := range a.Details {
		for i := range s.AvailableReleases {
			fill(&s.AvailableReleases[i], d)
		}
		for i := range s.History {
			fill(&s.History[i].Version, d)
		}
	}
}

func (a Record) apply(s *v1alpha1.RolloutStatus) {
	s.History = append([]v1alpha1.DeploymentHistoryEntry{a.Entry}, s.History...)
}

func (a Amend) apply(s *v1alpha1.RolloutStatus) {
	if len(s.History) > 0 {
		s.History = slices.Clone(s.History)
		s.History[0] = a.Entry
	}
}

func (a Isolate) apply(s *v1alpha1.RolloutStatus) {
	Lift{Release: a.Quarantine.ReleaseIdentity}.apply(s)
	s.Quarantined = append(slices.Clip(s.Quarantined), a.Quarantine)
}

func (a Lift) apply(s *v1alpha1.RolloutStatus) {
	s.Quarantined = slices.DeleteFunc(slices.Clone(s.Quarantined), func(q v1alpha1.Quarantine) bool {
		return version.Matches(q.ReleaseIdentity, a.Release)
	})
	if a.Reason != "" {
		lifted := append(slices.Clip(s.QuarantineLifted), v1alpha1.LiftedQuarantine{
			ReleaseIdentity: a.Release, Reason: a.Reason, Since: a.At,
		})
		s.QuarantineLifted = lifted[max(0, len(lifted)-maxLifted):]
	}
}

func (a Handle) apply(s *v1alpha1.RolloutStatus) {
	if s.HandledAnnotations = maps.Clone(s.HandledAnnotations); s.HandledAnnotations == nil {
		s.HandledAnnotations = map[string]string{}
	}
	s.HandledAnnotations[a.Key] = noted(a.Value)
}

func (a Forget) apply(s *v1alpha1.RolloutStatus) {
	s.HandledAnnotations = maps.Clone(s.HandledAnnotations)
	delete(s.HandledAnnotations, a.Key)
}

func (a Ask) apply(s *v1alpha1.RolloutStatus) { s.ApprovalRequested = a.Requested }

func (a Trim) apply(s *v1alpha1.RolloutStatus) {
	if a.Releases > 0 {
		s.AvailableReleases = s.AvailableReleases[a.Releases:]
	}
	s.History = s.History[:min(a.History, len(s.History))]
	s.Quarantined = a.Quarantined
}

// fill completes a version by what its image says, once: what is there stays.
func fill(v *v1alpha1.VersionInfo, d Details) {
	if !version.Matches(version.Identity(*v), d.Release) {
		return
	}
	if v.Version == nil {
		v.Version = optional(version.Clean(d.Version, 128))
	}
	if v.Revision == nil {
		v.Revision = optional(version.Clean(d.Revision, 128))
	}
	if v.Created == nil {
		v.Created = d.Created
	}
}

// ceil rounds up to the second, which is what the API stores: a bake that starts now must not end early, and what
// happened in this second before now must not look later than now.
func ceil(t time.Time) *metav1.Time {
	r := t.Truncate(time.Second)
	if r.Before(t) {
		r = r.Add(time.Second)
	}
	return &metav1.Time{Time: r}
}
