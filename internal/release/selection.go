package release

import (
	"fmt"
	"slices"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

// selected is the release that the ImagePolicy selects now, and whether it selects one.
func (s *situation) selected() (v1alpha1.VersionInfo, bool) {
	i := s.selection()
	if i < 0 {
		return v1alpha1.VersionInfo{}, false
	}
	return s.status.AvailableReleases[i], true
}

// selection is the position of what the ImagePolicy selects now among the known releases, or -1 if it selects nothing
// that can be released. Flux leaves what was selected last in the status of an ImagePolicy that is not ready any more:
// nobody knows what it would select.
func (s *situation) selection() int {
	p := s.Policy
	if !p.Found || p.Tag == "" || p.Problem != "" || s.illegal != "" {
		return -1
	}
	return version.Index(s.status.AvailableReleases, v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest})
}

// withdrawn reports whether the ImagePolicy, as it is now, does not select a release any more: it was discovered after
// what is selected, or is higher in the order of the ImagePolicy.
func (s *situation) withdrawn(v v1alpha1.VersionInfo) bool {
	p := s.selection()
	if p < 0 {
		return true
	}
	selected := s.status.AvailableReleases[p]
	if matches(selected, v) {
		return false
	}
	n, known := s.Policy.Order.Compare(v.Tag, selected.Tag)
	return version.Index(s.status.AvailableReleases, version.Identity(v)) > p || known && n > 0
}

// isDowngrade reports whether a release is lower than what runs, in the order of the ImagePolicy, and is not to be
// followed.
func (s *situation) isDowngrade(v v1alpha1.VersionInfo) bool {
	runs := s.running()
	if runs == nil || s.isFollowed(v) {
		return false
	}
	n, known := s.Policy.Order.Compare(v.Tag, runs.Version.Tag)
	return known && n < 0
}

// isFollowed reports whether a release is deployed whatever it is compared with what runs.
func (s *situation) isFollowed(v v1alpha1.VersionInfo) bool {
	selected, ok := s.selected()
	return ok && matches(selected, v) && s.Spec.OnDowngrade == v1alpha1.OnDowngradeFollow
}

// returnsTo reports whether the release at a position, which is selected and was known before what was deployed last,
// is a candidate again: it does not run, and is higher than what does, or followed. Not if a person chose what was
// deployed last when it was known.
func (s *situation) returnsTo(p int) bool {
	v, h, runs := s.status.AvailableReleases[p], s.head(), s.running()
	if h == nil || matches(h.Version, v) || p <= s.chosenAfter() {
		return false
	}
	if runs == nil {
		return true
	}
	if matches(runs.Version, v) {
		return false
	}
	n, known := s.Policy.Order.Compare(v.Tag, runs.Version.Tag)
	return known && n > 0 || s.isFollowed(v)
}

// chosenAfter is the position of the newest release that was known when a person chose what was deployed last, or -1.
func (s *situation) chosenAfter() int {
	h := s.head()
	switch {
	case h == nil || !ByHand(h):
		return -1
	case h.NewestKnown != nil:
		return version.Index(s.status.AvailableReleases, *h.NewestKnown)
	case h.Cause == "": // an older controller did not note it
		return s.firstNewer() - 1
	}
	return -1
}

// selectionDiffers reports whether the ImagePolicy selects another release than the one that runs.
func (s *situation) selectionDiffers() bool {
	v, ok := s.selected()
	runs := s.running()
	return ok && (runs == nil || !matches(runs.Version, v))
}

// selectionBlockers returns why something else runs than what was deployed last, or than what the ImagePolicy selects;
// empty if it does not.
func (s *situation) selectionBlockers() []v1alpha1.Blocker {
	if runs := s.running(); runs != nil {
		for _, t := range s.Targets {
			if t.Problem != "" && !t.shows(runs.Version) {
				return []v1alpha1.Blocker{t.blocker()}
			}
		}
	}
	if b := s.selectionBlocker(); b != nil {
		return []v1alpha1.Blocker{*b}
	}
	return nil
}

// selectionBlocker returns why what the ImagePolicy selects is not what runs although nothing is under way and it is no
// candidate, and what to type; nil if it runs or is a candidate.
func (s *situation) selectionBlocker() *v1alpha1.Blocker {
	v, ok := s.selected()
	switch {
	case !ok:
		b := s.policyBlocker()
		return &b
	case !s.selectionDiffers() || version.Index(s.candidates(), version.Identity(v)) >= 0:
		return nil
	}
	return s.whyPassedOver(v)
}

// whyPassedOver returns why a known release that does not run is no candidate.
func (s *situation) whyPassedOver(v v1alpha1.VersionInfo) *v1alpha1.Blocker {
	if b := s.identityProblem(v); b != nil {
		return b
	}
	b := v1alpha1.Blocker{Kind: "ImagePolicy", Name: s.Spec.ReleasesImagePolicy.Name}
	b.ClearedBy = forceDeployOf(v) + ", or a newer release"
	h := s.head()
	switch {
	case s.quarantined(v):
		return s.quarantinedBlocker(v)
	case s.withdrawn(v):
		return s.withdrawnBlocker(v)
	case h == nil:
		return nil
	case s.isDowngrade(v):
		b.Reason, b.Message = v1alpha1.ReasonDowngrade,
			label(v)+" is lower than "+label(s.running().Version)+", which runs, in the order of the ImagePolicy"
		b.ClearedBy = forceDeployOf(v) + ", or spec.onDowngrade: Follow"
	case ByHand(h):
		b.Reason, b.Message = v1alpha1.ReasonDeployedByHand,
			label(v)+" was known already when "+label(h.Version)+" was deployed by hand"
	default:
		b.Reason, b.Message = v1alpha1.ReasonNotNewer,
			label(v)+" was discovered before "+label(h.Version)+", which was deployed last"
	}
	return &b
}

// projectSkipped lists the known releases that were never deployed, are no candidates, and are not simply older than
// what was deployed: the newest first.
func (s *situation) projectSkipped(candidates []v1alpha1.VersionInfo) {
	known, p := s.status.AvailableReleases, s.selection()
	s.status.Skipped = nil
	for i := len(known) - 1; i >= 0 && len(s.status.Skipped) < maxListed; i-- {
		v := known[i]
		if version.Index(candidates, version.Identity(v)) >= 0 || lastAttempt(s.status.History, version.Identity(v)) >= 0 {
			continue
		}
		if b := s.whySkipped(i, i == p); b != nil {
			s.status.Skipped = append(s.status.Skipped, v1alpha1.SkippedRelease{
				ReleaseIdentity: version.Identity(v), Reason: b.Reason, Message: version.Clean(b.Message, 320),
				ClearedBy: version.Clean(b.ClearedBy, 160),
			})
		}
	}
	s.status.Skipped = listed(s.status.Skipped, func(r *v1alpha1.SkippedRelease) []string {
		return []string{r.Tag, r.Digest, r.Reason, r.Message, r.ClearedBy}
	})
}

// whySkipped returns why the known release at a position is passed over; nil if it is merely older than what was
// deployed.
func (s *situation) whySkipped(at int, selected bool) *v1alpha1.Blocker {
	b := s.whyPassedOver(s.status.AvailableReleases[at])
	if b != nil && b.Reason != v1alpha1.ReasonSuperseded && !selected && s.hasNewerDeployed(at) {
		return nil
	}
	return b
}

// hasNewerDeployed reports whether a release that was discovered later than the one at a position was deployed.
func (s *situation) hasNewerDeployed(at int) bool {
	return slices.ContainsFunc(s.status.History, func(e v1alpha1.DeploymentHistoryEntry) bool {
		return version.Index(s.status.AvailableReleases, version.Identity(e.Version)) > at
	})
}

func (s *situation) withdrawnBlocker(v v1alpha1.VersionInfo) *v1alpha1.Blocker {
	return &v1alpha1.Blocker{
		Kind: "ImagePolicy", Name: s.Spec.ReleasesImagePolicy.Name, Reason: v1alpha1.ReasonWithdrawn,
		Message:   label(v) + " is not selected any more: the ImagePolicy selects " + s.selectedLabel(),
		ClearedBy: "the ImagePolicy selecting it again, or " + forceDeployOf(v),
	}
}

// selectedLabel names what the ImagePolicy selects.
func (s *situation) selectedLabel() string {
	if v, ok := s.selected(); ok {
		return label(v)
	}
	return "nothing: " + s.policyBlocker().Message
}

// label names a version for people: its tag, and the start of its digest.
func label(v v1alpha1.VersionInfo) string {
	if v.Digest == "" {
		return v.Tag
	}
	return v.Tag + " (" + v.Digest[:min(len(v.Digest), 19)] + ")"
}

// identityProblem returns why a release cannot be handed over as what it is; nil if it can. Its identity is its tag and
// its digest, but a target may carry the tag alone, and a tag stands for what was pushed last.
func (s *situation) identityProblem(v v1alpha1.VersionInfo) *v1alpha1.Blocker {
	for _, t := range s.Targets {
		if why := t.lacks(v); why != "" {
			return &v1alpha1.Blocker{
				Kind: t.Kind, Name: t.Name, Reason: v1alpha1.ReasonNoDigest, Message: why,
				ClearedBy: "digestReflectionPolicy: Always on the ImagePolicy",
			}
		}
	}
	if why := s.digestOutdated(v); why != "" {
		return s.identityBlocker(v1alpha1.ReasonSuperseded, why)
	}
	if why := s.tagMoved(v); why != "" {
		return s.identityBlocker(v1alpha1.ReasonTagMoved, why)
	}
	return nil
}

func (s *situation) identityBlocker(reason, message string) *v1alpha1.Blocker {
	return &v1alpha1.Blocker{
		Kind: "ImagePolicy", Name: s.Spec.ReleasesImagePolicy.Name, Reason: reason, Message: message,
		ClearedBy: "a new tag, or whoever may annotate the Flux objects so that they carry the digest: " + mendIdentity,
	}
}

// mendIdentity names the annotations by which Flux objects carry the digest.
const mendIdentity = v1alpha1.AnnotationSubstitutePrefix + "<VARIABLE>" + v1alpha1.AnnotationSubstituteValueSuffix +
	": tag@digest on a Kustomization, " + v1alpha1.AnnotationRef + ": digest on an OCIRepository"

// digestOutdated says that the tag of a release stands for another digest now, so that the tag alone would hand over
// something else; empty if it does not, or if every target carries the digest.
func (s *situation) digestOutdated(v v1alpha1.VersionInfo) string {
	digest := s.currentDigest(v.Tag)
	if v.Digest == "" || digest == "" || digest == v.Digest || s.everyTarget(carriesDigest) {
		return ""
	}
	return fmt.Sprintf("%s was pushed again: it was %s and is %s now, and a Flux object carries the tag alone", v.Tag,
		v.Digest, digest)
}

// tagMoved says that Flux was handed the tag of a release for another digest, and nothing else that it applied since,
// so that it may change nothing; empty if not, or if every target tells the two apart.
func (s *situation) tagMoved(v v1alpha1.VersionInfo) string {
	last := s.lastOfTag(v.Tag)
	if last == nil || matches(*last, v) || s.everyTarget(identifiesContent) {
		return ""
	}
	return fmt.Sprintf("%s was pushed again: %s was deployed and %s would be, but a Flux object carries the tag alone, "+
		"so that Flux would change nothing",
		v.Tag, last.Digest, v.Digest)
}

// lastOfTag is the version of a tag that Flux was handed last, unless it has applied another tag since.
func (s *situation) lastOfTag(tag string) *v1alpha1.VersionInfo {
	for i := range s.status.History {
		e := &s.status.History[i]
		switch {
		case withheld(e) || i == 0 && !s.reachedFlux():
		case e.Version.Tag == tag:
			return &e.Version
		case e.BakeStartTime != nil || e.BakeStatus == nil:
			return nil
		}
	}
	return nil
}

// currentDigest is the digest that a tag stands for as far as is known: the one that the ImagePolicy reports now, else
// the one that was discovered last.
func (s *situation) currentDigest(tag string) string {
	if p := s.Policy; p.Tag == tag && p.Digest != "" && s.illegal == "" {
		return p.Digest
	}
	if i := s.newest(tag); i >= 0 {
		return s.status.AvailableReleases[i].Digest
	}
	return ""
}

// everyTarget reports whether there are targets and all of them are of a kind.
func (s *situation) everyTarget(is func(Target) bool) bool {
	return len(s.Targets) > 0 && !slices.ContainsFunc(s.Targets, func(t Target) bool { return !is(t) })
}

// carriesDigest reports whether a target can be handed any release, however often its tag was pushed.
func carriesDigest(t Target) bool { return t.Form.HasDigest() }

// identifiesContent reports whether a target is applied only with the content of the release.
func identifiesContent(t Target) bool { return t.Form.HasDigest() || t.Verified }

// forceDeployOf is the annotation that deploys a version once.
func forceDeployOf(v v1alpha1.VersionInfo) string {
	return "annotation " + v1alpha1.AnnotationForceDeploy + ": " + fmt.Sprintf("%q", v.Tag)
}

// deployable is the newest known release of a tag that a person asks for. Where Flux cannot tell it from what runs, it
// is what runs.
func (s *situation) deployable(tag string) v1alpha1.VersionInfo {
	v := s.knownRelease(tag)
	if last := s.lastOfTag(tag); last != nil && s.tagMoved(v) != "" {
		return *last
	}
	return v
}

// Takes reports whether a target can carry a version: nothing wins over what is written to it, and the digest is known
// if the target needs it.
func (t Target) Takes(v v1alpha1.VersionInfo) bool { return t.Problem == "" && t.lacks(v) == "" }

// lacks says which part of a version a target needs and the version does not have; empty if it has all.
func (t Target) lacks(v v1alpha1.VersionInfo) string {
	if !t.Form.HasDigest() || v.Tag == "" || v.Digest != "" {
		return ""
	}
	return v.Tag + " has no digest, and the " + t.Kind + " takes the version as " + string(t.Form)
}

// Carries reports whether a target carries a version in the form that it takes it.
func (t Target) Carries(v v1alpha1.VersionInfo) bool {
	return t.lacks(v) == "" && t.Value == t.Form.Of(v)
}

// shows reports whether a target carries a version in any form: the annotation that says which may have been changed.
func (t Target) shows(v v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc([]version.Form{version.FormTag, version.FormDigest, version.FormTagDigest},
		func(f version.Form) bool {
			return t.Value != "" && t.Value == f.Of(v)
		})
}

// carried reports whether every target that can carry a version does, and was asked for it.
func carried(targets []Target, v v1alpha1.VersionInfo) bool {
	return len(targets) > 0 && !slices.ContainsFunc(targets, func(t Target) bool {
		return t.Takes(v) && (!t.Carries(v) || !t.Asked)
	})
}

// targetsDrifted reports whether a target carries something else than what runs, while the newest deployment is kept
// from Flux.
func (s *situation) targetsDrifted() bool {
	h, runs := s.head(), s.running()
	if h == nil || runs == nil || runs == h || !withheld(h) || s.isResumable(h) || s.cannotRun(runs) {
		return false
	}
	return slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Takes(runs.Version) && !t.Carries(runs.Version) })
}

// cannotRun reports whether a person's deployment failed before any target was there, and cannot be handed over as what
// it is any more.
func (s *situation) cannotRun(e *v1alpha1.DeploymentHistoryEntry) bool {
	b := s.identityProblem(e.Version)
	return ByHand(e) && e.BakeStartTime == nil && b != nil && b.Reason != v1alpha1.ReasonNoDigest
}

// showsOtherVersion reports whether a target carries another version than a deployment, in whatever form.
func (s *situation) showsOtherVersion(h *v1alpha1.DeploymentHistoryEntry, among func(Target) bool) bool {
	return slices.ContainsFunc(s.Targets, func(t Target) bool {
		return (among == nil || among(t)) && t.Takes(h.Version) && !t.shows(h.Version)
	})
}

// targetsDiffer reports whether a target does not carry a deployment that is meant for Flux.
func (s *situation) targetsDiffer(h *v1alpha1.DeploymentHistoryEntry) bool {
	return statusOf(h) != v1alpha1.BakeCancelled && (!withheld(h) || s.handedOver(h)) &&
		len(s.Targets) > 0 && !carried(s.Targets, h.Version) && s.handoverProblem(h) == nil
}

// driftBlockers lists the targets that run something else than what bakes, also where Flux has long applied that.
func (s *situation) driftBlockers(h *v1alpha1.DeploymentHistoryEntry) []v1alpha1.Blocker {
	var list []v1alpha1.Blocker
	for _, t := range s.Targets {
		if s.targetsDiffer(h) && t.Applied && !t.Carries(h.Version) {
			list = append(list, v1alpha1.Blocker{
				Kind: t.Kind, Name: t.Name, Reason: v1alpha1.ReasonTargetNotApplied, Message: "it was changed to " + t.Value,
				ClearedBy: "Kuberik, which puts it back",
			})
		}
	}
	return list
}

func (s *situation) targetWaits() []v1alpha1.Blocker {
	if len(s.Targets) == 0 {
		return []v1alpha1.Blocker{{
			Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonNoTargets, ClearedBy: "whoever may annotate the Flux objects",
			Message: "no Kustomization of the namespace is annotated " + v1alpha1.AnnotationSubstitutePrefix + "<VARIABLE>" +
				v1alpha1.AnnotationSubstituteSuffix + ": " + s.Name + ", and no OCIRepository " + v1alpha1.AnnotationRollout +
				": " + s.Name,
		}}
	}
	var waits []v1alpha1.Blocker
	for _, t := range s.Targets {
		if !t.Applied {
			waits = append(waits, s.targetBlocker(t))
		}
	}
	return waits
}

// targetBlocker says what keeps the newest deployment from being applied by a target.
func (s *situation) targetBlocker(t Target) v1alpha1.Blocker {
	b := t.blocker()
	if h := s.head(); t.Problem == "" && h != nil && !t.Takes(h.Version) {
		b.Reason, b.Message, b.ClearedBy = v1alpha1.ReasonNoDigest, t.lacks(h.Version), s.digestOf(h)
	}
	return b
}

// digestOf says how a deployment gets the digest that a target needs. What was handed to another target by its tag
// keeps what it was handed.
func (s *situation) digestOf(h *v1alpha1.DeploymentHistoryEntry) string {
	reflects := "digestReflectionPolicy: Always on the ImagePolicy that selects " + h.Version.Tag
	switch {
	case !s.wasHandedOver():
		return reflects + ", the registry when it answers, or the annotation that takes the version as tag"
	case s.pinned() != "":
		return "the annotation that takes the version as tag; or " + reflects + ", then unsetting spec.wantedVersion and " +
			forceDeployOf(h.Version)
	}
	return reflects + ", and then " + forceDeployOf(h.Version)
}

// noChange returns why deploying a release would change nothing; empty if it would.
func (s *situation) noChange(v v1alpha1.VersionInfo) string {
	if h := s.head(); h != nil && matches(h.Version, v) && (s.isProgressing(h) || statusOf(h) == v1alpha1.BakeSucceeded) {
		return "it is what runs already"
	}
	if why := s.tagMoved(v); why != "" {
		return why + "; annotate " + mendIdentity
	}
	return ""
}

// firstCandidate is the candidate that is asked about first. With selection Every that is the oldest, past those that a
// gate has turned down: they would hold all that come after them.
func (s *situation) firstCandidate() v1alpha1.VersionInfo {
	c := s.candidates()
	if s.Spec.Selection != v1alpha1.SelectEvery {
		return c[len(c)-1]
	}
	if i := slices.IndexFunc(c, func(v v1alpha1.VersionInfo) bool { return !s.isRefused(v) }); i >= 0 {
		return c[i]
	}
	return c[0]
}

// isRefused reports whether a gate has turned a release down.
func (s *situation) isRefused(v v1alpha1.VersionInfo) bool {
	return slices.ContainsFunc(s.gates().Closed(version.Identity(v)), gate.Verdict.Refuses)
}

// rolledBackPosition returns the position of the release that was rolled back, or the one before it once its quarantine
// was lifted, so that it may be deployed again.
func (s *situation) rolledBackPosition(h *v1alpha1.DeploymentHistoryEntry) int {
	for _, e := range s.status.History {
		if h.RollbackOf == nil || entryID(&e) != *h.RollbackOf {
			continue
		}
		at := version.Index(s.status.AvailableReleases, version.Identity(e.Version))
		if !s.quarantined(e.Version) {
			at--
		}
		return at
	}
	return -1
}
