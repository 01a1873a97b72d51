package release

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Bounds of what a status lists, whatever the spec asks for.
const (
	maxHistory     = 40
	maxReleases    = 200
	maxQuarantined = 100
	maxListed      = 50
	maxNamed       = 10 // per deployment
	maxLifted      = 20
)

// Bounds in bytes, for what is listed by names of the greatest length: all of them together stay under 256 KiB.
const (
	bytesOfHistory  = 96 << 10
	bytesOfReleases = 64 << 10
	bytesOfList     = 12 << 10
	mostOfItem      = 2 << 10 // of a version, or of a quarantine
	mostOfFields    = 1 << 10 // of a deployment, besides its texts
)

// fit counts how many of a list, from its start, stay within a budget of bytes.
func fit[T any](list []T, budget int, texts func(*T) []string) int {
	for i := range list {
		if budget -= weigh(texts(&list[i])); budget < 0 {
			return i
		}
	}
	return len(list)
}

// listed is as much of a list as fits into a status.
func listed[T any](list []T, texts func(*T) []string) []T {
	list = list[:min(len(list), maxListed)]
	return list[:fit(list, bytesOfList, texts)]
}

// weigh says how much room texts take as JSON, at the most.
func weigh(texts []string) int {
	n := 160 // names of fields, and times
	for _, text := range texts {
		n += len(text) + 4
		for i := range len(text) {
			switch text[i] {
			case '<', '>', '&':
				n += 5
			case '"', '\\':
				n++
			}
		}
	}
	return n
}

func versionTexts(v *v1alpha1.VersionInfo) []string {
	return []string{v.Tag, v.Digest, text(v.Version), text(v.Revision)}
}

func entryTexts(e *v1alpha1.DeploymentHistoryEntry) []string {
	texts := append(versionTexts(&e.Version), text(e.Message), text(e.BakeStatusMessage))
	for _, f := range e.FailedHealthChecks {
		texts = append(texts, f.Name, f.Namespace, text(f.Message))
	}
	if e.TriggeredBy != nil {
		texts = append(texts, e.TriggeredBy.Name)
	}
	if e.NewestKnown != nil {
		texts = append(texts, e.NewestKnown.Tag, e.NewestKnown.Digest)
	}
	return append(texts, e.BypassedGates...)
}

func quarantineTexts(q *v1alpha1.Quarantine) []string {
	return []string{q.Tag, q.Digest, q.Reason, q.By}
}

// forgetHandled drops notes about annotations that are gone, or that a person has set anew to something else.
func forgetHandled(s *situation) []Action {
	var actions []Action
	for _, key := range slices.Sorted(maps.Keys(s.status.HandledAnnotations)) {
		if v, present := s.Annotations[key]; !present || noted(v) != s.status.HandledAnnotations[key] {
			actions = append(actions, Forget{key})
		}
	}
	return actions
}

// clearHandled asks for the removal of annotations that were acted upon.
func clearHandled(s *situation) []Action {
	if len(s.status.HandledAnnotations) == 0 {
		return nil
	}
	used := map[string]string{}
	for key := range s.status.HandledAnnotations {
		used[key] = s.Annotations[key]
	}
	return []Action{ClearAnnotations{used}}
}

// noted is how the value of an annotation is noted: as it is, or by its digest where it is long.
func noted(value string) string {
	if len(value) <= 128 {
		return value
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
}

// identify fills in the digest of a release that became known by its tag alone, once the ImagePolicy reports it. Where
// a person asks for the release and a target needs the digest, the answer of the registry does.
func identify(s *situation) []Action {
	p := s.Policy
	if p.Digest != "" && s.illegal == "" && s.knownByTag(p.Tag) {
		return []Action{s.identification(p.Tag, p.Digest)}
	}
	forced, _ := s.annotation(v1alpha1.AnnotationForceDeploy)
	for _, tag := range []string{s.pinned(), forced} {
		if digest := s.registered(tag); digest != "" && s.knownByTag(tag) {
			return []Action{s.identification(tag, digest)}
		}
	}
	return nil
}

// identifyHead fills in the digest of a deployment that was decided by its tag alone and is not handed over yet. That
// is stored before it is handed over, so that the record and the Flux objects never name different content.
func identifyHead(s *situation) (Decision, bool) {
	h := s.deploying()
	if h == nil || h.Version.Digest != "" || s.wasHandedOver() {
		return Decision{}, false
	}
	digest := s.knownRelease(h.Version.Tag).Digest
	if digest == "" && ByHand(h) {
		digest = s.registered(h.Version.Tag)
	}
	if digest == "" {
		return Decision{}, false
	}
	a := s.identification(h.Version.Tag, digest)
	a.Head = true
	return Decision{Actions: []Action{a}, Again: s.Now, Rereads: true}, true
}

func (s *situation) identification(tag, digest string) Identify {
	d := s.detailsByTag(tag)
	return Identify{Release: v1alpha1.ReleaseIdentity{Tag: tag, Digest: digest}, Anew: d != nil && d.Digest != digest}
}

// knownByTag reports whether a release is known by its tag alone.
func (s *situation) knownByTag(tag string) bool {
	i := s.newest(tag)
	return i >= 0 && s.status.AvailableReleases[i].Digest == ""
}

// registered is the digest of a tag in the registry, if a target needs one and the registry was asked; empty if not. It
// is the one that the tag stood for when its image was read.
func (s *situation) registered(tag string) string {
	d := s.detailsByTag(tag)
	needs := slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Form.HasDigest() })
	if d == nil || !needs || version.CheckDigest(d.Digest) != nil {
		return ""
	}
	return d.Digest
}

// detailsByTag is what was read of an image by its tag, or nil.
func (s *situation) detailsByTag(tag string) *Details {
	i := slices.IndexFunc(s.Details, func(d Details) bool { return d.Release == v1alpha1.ReleaseIdentity{Tag: tag} })
	if i < 0 {
		return nil
	}
	return &s.Details[i]
}

// discover makes the tag that the policy selected a release, once. The same tag with another digest is another release.
// Text that is no legal tag or digest never becomes one.
func discover(s *situation) []Action {
	p := s.Policy
	if p.Tag == "" || s.illegal != "" {
		return nil
	}
	id := v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest}
	if version.Index(s.status.AvailableReleases, id) >= 0 {
		return nil
	}
	return []Action{Discover{v1alpha1.VersionInfo{Tag: p.Tag, Digest: p.Digest}}}
}

// learnDetails fills in what images say of themselves.
func learnDetails(s *situation) []Action {
	var news []Details
	versions := make([]*v1alpha1.VersionInfo, 0, len(s.status.AvailableReleases)+len(s.status.History))
	for i := range s.status.AvailableReleases {
		versions = append(versions, &s.status.AvailableReleases[i])
	}
	for i := range s.status.History {
		versions = append(versions, &s.status.History[i].Version)
	}
	var byTag map[string][]*Details
	for _, v := range slices.DeleteFunc(versions, told) {
		if byTag == nil {
			byTag = tagged(s.Details)
		}
		for _, d := range byTag[v.Tag] {
			if filled := *v; teaches(&filled, d) {
				news = append(news, *d)
			}
		}
	}
	if news == nil {
		return nil
	}
	return []Action{Learn{news}}
}

// told reports whether there is nothing left to learn about a version.
func told(v *v1alpha1.VersionInfo) bool {
	return v.Version != nil && v.Revision != nil && v.Created != nil
}

// tagged sorts the details that say anything by tag.
func tagged(details []Details) map[string][]*Details {
	byTag := make(map[string][]*Details)
	for i := range details {
		if d := &details[i]; d.Version != "" || d.Revision != "" || d.Created != nil {
			byTag[d.Release.Tag] = append(byTag[d.Release.Tag], d)
		}
	}
	return byTag
}

// teaches reports whether details fill in anything of a version.
func teaches(v *v1alpha1.VersionInfo, d *Details) bool {
	before := *v
	fill(v, *d)
	return *v != before
}

// notePin records that a person pinned the version that was deployed already, and when the pin was removed. Without
// that, automation would deploy what the pin was set against as soon as it is gone.
func notePin(s *situation) []Action {
	h := s.head()
	if h == nil || s.Spec.Suspend || pinNoted(h) == (s.pinned() == h.Version.Tag) {
		return nil
	}
	e := *h.DeepCopy()
	switch {
	case s.pinsHead():
		e.PinnedTime, e.UnpinnedTime = ceil(s.Now), nil
		s.markKnown(&e)
	case pinNoted(h):
		e.UnpinnedTime = ceil(s.Now)
	default:
		return nil
	}
	return []Action{Amend{e}}
}

// pinNoted reports whether the record has it that the version is pinned: it was deployed by the pin, or the pin came
// afterwards.
func pinNoted(e *v1alpha1.DeploymentHistoryEntry) bool {
	return e.UnpinnedTime == nil && (e.PinnedTime != nil || e.Cause == v1alpha1.CausePin)
}

// pinsHead reports whether the spec pins the version of the newest deployment, which need not be deployed again for
// that.
func (s *situation) pinsHead() bool {
	wanted, h := s.pinned(), s.head()
	return wanted != "" && h != nil && h.Version.Tag == wanted && statusOf(h) != v1alpha1.BakeCancelled &&
		(ByHand(h) || s.reachedFlux())
}

// markKnown notes the newest release that is known now: what a person chose a version against.
func (s *situation) markKnown(e *v1alpha1.DeploymentHistoryEntry) {
	if n := len(s.status.AvailableReleases); n > 0 {
		known := version.Identity(s.status.AvailableReleases[n-1])
		e.NewestKnown = &known
	}
}

// trim applies retention: old releases, old history and old quarantine go, what is still needed stays.
func trim(s *situation) []Action {
	t := Trim{
		Releases:    s.droppable(),
		History:     min(len(s.status.History), maxHistory, max(limit(s.Spec.VersionHistoryLimit, 10), s.indispensable())),
		Quarantined: newest(s.status.Quarantined, maxQuarantined, bytesOfList, quarantineTexts),
	}
	t.History = max(min(1, t.History), fit(s.status.History[:t.History], bytesOfHistory-t.History*mostOfFields,
		entryTexts))
	if t.Releases == 0 && t.History == len(s.status.History) && len(t.Quarantined) == len(s.status.Quarantined) {
		return nil
	}
	return []Action{t}
}

// indispensable counts the newest deployments that a decision may need: down to what runs, and to what could be rolled
// back to.
func (s *situation) indispensable() int {
	n := 1
	for i := range s.status.History {
		e := &s.status.History[i]
		if e == s.running() || e == LastGood(&s.status) {
			n = i + 1
		}
	}
	return n
}

// droppable counts the oldest releases that retention does not keep: those that are old, or that were made at no known
// time, beyond the minimum count. What may still be deployed, or a later decision may need, is kept, up to the bound of
// the status.
func (s *situation) droppable() int {
	known := s.status.AvailableReleases
	most := len(known) - min(limit(s.Spec.AvailableReleasesMinCount, 30), maxReleases)
	oldest := s.Now.Add(-time.Duration(limit(s.Spec.AvailableReleasesRetentionDays, 7)) * 24 * time.Hour)
	n := 0
	for n < min(most, s.firstNewer()) && !s.needed(known[n]) &&
		(known[n].Created == nil || known[n].Created.Time.Before(oldest)) {
		n++
	}
	return max(n, len(known)-len(newest(known, maxReleases, bytesOfReleases, versionTexts)))
}

// newest is the end of a list, so many and so many bytes at the most.
func newest[T any](list []T, most, budget int, texts func(*T) []string) []T {
	if len(list) <= min(most, budget/mostOfItem) {
		return list
	}
	for i := len(list) - 1; i >= 0; i-- {
		if budget -= weigh(texts(&list[i])); budget < 0 || len(list)-i > most {
			return list[i+1:]
		}
	}
	return list
}

// needed reports whether a release is what the ImagePolicy selects, part of the history, or the mark from which on
// releases are candidates.
func (s *situation) needed(v v1alpha1.VersionInfo) bool {
	p, selected := s.selected()
	return selected && matches(p, v) ||
		slices.ContainsFunc(s.status.History, func(e v1alpha1.DeploymentHistoryEntry) bool {
			return matches(e.Version, v) || e.NewestKnown != nil && version.Matches(*e.NewestKnown, version.Identity(v))
		})
}

func limit(v *int32, otherwise int) int {
	if v == nil {
		return otherwise
	}
	return max(1, int(*v))
}
