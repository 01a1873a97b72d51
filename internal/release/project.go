package release

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// Project says what the status becomes: the record after the bookkeeping of the decision, and what people read from it.
// The error is that of the outward actions, if they failed.
func Project(o Observation, d Decision, err error) v1alpha1.RolloutStatus {
	s := newSituation(o)
	for _, a := range d.Actions {
		s.apply(a)
		if _, ok := a.(Record); ok {
			s.resetEvidence()
			d.Blocked = s.waits()
		}
	}
	st := &s.status
	st.ObservedGeneration = o.Generation
	st.Conditions = slices.Clone(st.Conditions)
	s.projectBlockers(d.Blocked, err)
	s.projectReleases()
	s.projectDetails()
	s.projectEvidence()
	st.WaitsFor = version.Clean(s.waitsFor(), 512)
	for _, c := range s.conditions() {
		c.ObservedGeneration = o.Generation
		c.Message = version.Clean(c.Message, 1024)
		setCondition(&st.Conditions, c, o.Now)
	}
	return *st.DeepCopy() // nothing of the observation may be changed through it
}

// resetEvidence says of targets and checks what will be true of them once the intent that was just recorded is stored:
// nothing of what they say is about it.
func (s *situation) resetEvidence() {
	s.Targets, s.Health.Reports = slices.Clone(s.Targets), slices.Clone(s.Health.Reports)
	for i := range s.Targets {
		s.Targets[i].Asked, s.Targets[i].Reached, s.Targets[i].Applied = false, false, false
		s.Targets[i].Setup, s.Targets[i].Held, s.Targets[i].Message = "", "", ""
	}
	for i := range s.Health.Reports {
		s.Health.Reports[i].Current = false
	}
	s.stage = s.stageOf(s.head())
}

// projectBlockers lists the blockers, each since it was first seen.
func (s *situation) projectBlockers(blocked []v1alpha1.Blocker, err error) {
	if err != nil {
		blocked = append([]v1alpha1.Blocker{{
			Kind: "Rollout", Name: s.Name, Reason: v1alpha1.ReasonWriteFailed, Message: err.Error(),
			ClearedBy: "whoever may grant the controller the write",
		}}, blocked...)
	}
	before := s.status.BlockedBy
	s.status.BlockedBy = nil
	for _, b := range blocked[:min(len(blocked), maxListed)] {
		b.Message = version.Clean(b.Message, 512)
		if b.Since == nil {
			b.Since = firstSeen(before, b, s.Now)
		}
		s.status.BlockedBy = append(s.status.BlockedBy, b)
	}
	s.status.BlockedBy = listed(s.status.BlockedBy, func(b *v1alpha1.Blocker) []string {
		return []string{b.Kind, b.Name, b.Reason, b.Message, b.ClearedBy}
	})
}

// waitsFor is what kubectl get prints of what waits, in one line.
func (s *situation) waitsFor() string {
	if len(s.status.BlockedBy) == 0 {
		return s.underway()
	}
	b := s.status.BlockedBy[0]
	line := version.Clean(b.Message, 400)
	if b.Name != "" && b.Kind != "Rollout" {
		line = b.Kind + " " + b.Name + ": " + line
	}
	if more := len(s.status.BlockedBy) - 1; more > 0 {
		line += fmt.Sprintf(" (and %d more)", more)
	}
	return line
}

// underway says what the controller does next if nothing blocks; empty if nothing waits.
func (s *situation) underway() string {
	if h := s.head(); h != nil && InFlight(h) {
		return h.Version.Tag + " is being deployed"
	}
	if s.status.PendingVersion != "" {
		return s.status.PendingVersion + " is handed to Flux next"
	}
	return ""
}

func firstSeen(before []v1alpha1.Blocker, b v1alpha1.Blocker, now time.Time) *metav1.Time {
	for _, old := range before {
		if old.Kind == b.Kind && old.Name == b.Name && old.Reason == b.Reason && old.Since != nil {
			return old.Since
		}
	}
	return &metav1.Time{Time: now.Truncate(time.Second)}
}

// projectReleases lists the candidates, those that gates admit, and what each gate says of the foremost.
func (s *situation) projectReleases() {
	st := &s.status
	c := s.candidates()
	st.ReleaseCandidates, st.GatedReleaseCandidates, st.Gates = s.foremostOf(c), nil, nil
	for _, v := range st.ReleaseCandidates {
		if s.gatesAdmit(v) {
			st.GatedReleaseCandidates = append(st.GatedReleaseCandidates, v)
		}
	}
	pending, waits := s.pending()
	if st.PendingVersion = pending.Tag; !waits && len(st.AvailableReleases) > 0 {
		pending = st.AvailableReleases[len(st.AvailableReleases)-1]
	}
	s.projectGates(pending)
	s.projectSkipped(c)
	st.Phase, st.CurrentVersion = s.phase(), s.current()
}

// pending is the release that waits to be handed to Flux, if one does: what gates have kept from it, or the candidate
// that comes next.
func (s *situation) pending() (v1alpha1.VersionInfo, bool) {
	if h := s.heldAtGates(); h != nil {
		return h.Version, true
	}
	if next, _, ok := s.next(); ok {
		return next, true
	}
	if len(s.candidates()) > 0 {
		return s.firstCandidate(), true
	}
	return v1alpha1.VersionInfo{}, false
}

// foremostOf is as many candidates as fit, those that would be deployed next, in the order of the published interface:
// newest first.
func (s *situation) foremostOf(c []v1alpha1.VersionInfo) []v1alpha1.VersionInfo {
	list := slices.Clone(c)
	if s.Spec.Selection != v1alpha1.SelectEvery {
		slices.Reverse(list)
		return listed(list, versionTexts)
	}
	list = listed(list, versionTexts)
	slices.Reverse(list)
	return list
}

func (s *situation) projectGates(about v1alpha1.VersionInfo) {
	bypass, _ := s.annotation(v1alpha1.AnnotationBypassGates)
	budget, set := bytesOfList, s.gates()
	for _, g := range s.Gates[:min(len(s.Gates), maxListed)] {
		v := gate.Evaluate(g, version.Identity(about), set.Context)
		passing := v.Open()
		sum := v1alpha1.RolloutGateStatusSummary{
			Name: g.Name, Passing: &passing, State: v.State, Reason: v.Reason, Message: version.Clean(v.Message, 256),
		}
		if g.Spec.AllowedVersions != nil {
			sum.AllowedVersions = slices.Clone((*g.Spec.AllowedVersions)[:min(len(*g.Spec.AllowedVersions), maxListed)])
		}
		if budget -= weigh(append([]string{g.Name, sum.Message}, sum.AllowedVersions...)); budget < 0 {
			return
		}
		if bypass != "" && bypass == about.Tag && !passing {
			sum.BypassGates, sum.Message = true, "Gate bypassed for version "+bypass
		}
		s.status.Gates = append(s.status.Gates, sum)
	}
}

// projectDetails shows what the newest release that could be read says of itself.
func (s *situation) projectDetails() {
	for _, v := range slices.Backward(s.status.AvailableReleases) {
		for _, d := range s.Details {
			if version.Matches(d.Release, version.Identity(v)) {
				clean := func(text string) *string { return optional(version.Clean(text, 512)) }
				s.status.ArtifactType, s.status.Source = clean(d.ArtifactType), clean(d.Source)
				s.status.Title, s.status.Description = clean(d.Title), clean(d.Description)
				return
			}
		}
	}
}

// projectEvidence lists what checks and targets say.
func (s *situation) projectEvidence() {
	st := &s.status
	st.Checks, st.Targets = nil, nil
	for _, r := range s.Health.Reports[:min(len(s.Health.Reports), maxListed)] {
		st.Checks = append(st.Checks, evidence(r))
	}
	for _, t := range s.Targets[:min(len(s.Targets), maxListed)] {
		message := version.Clean(t.Problem, 256)
		if !t.Applied && message == "" {
			message = version.Clean(s.targetBlocker(t).Message, 256)
		}
		st.Targets = append(st.Targets, v1alpha1.TargetStatus{
			Kind: t.Kind, Name: t.Name, Variable: t.Variable, Value: version.Clean(t.Value, 256), Applied: t.Applied,
			Message: message,
		})
	}
	st.Checks = listed(st.Checks, func(c *v1alpha1.CheckEvidence) []string {
		return []string{c.Name, string(c.State), c.Revision, c.Message}
	})
	st.Targets = listed(st.Targets, func(t *v1alpha1.TargetStatus) []string {
		return []string{t.Kind, t.Name, t.Variable, t.Value, t.Message}
	})
}

func evidence(r health.Report) v1alpha1.CheckEvidence {
	e := v1alpha1.CheckEvidence{
		Name: r.Name, State: r.State, Revision: version.Clean(r.Revision, 256), Current: r.Current,
		Message: version.Clean(r.Message, 256),
	}
	if !r.Since.IsZero() {
		e.Since = &metav1.Time{Time: r.Since.Truncate(time.Second)}
	}
	return e
}

// phase of the Rollout.
func (s *situation) phase() v1alpha1.Phase {
	h := s.head()
	switch {
	case s.Spec.Suspend:
		return v1alpha1.PhaseSuspended
	case h == nil, s.heldAtGates() != nil:
		return v1alpha1.PhaseWaiting
	case s.stage == stagePaused:
		return v1alpha1.PhasePaused
	}
	return v1alpha1.Phase(phaseOf(h)) // a Rollout is in the phase of its newest deployment, which has the same name
}

// current is the tag that was last handed to Flux.
func (s *situation) current() string {
	if e := s.running(); e != nil {
		return e.Version.Tag
	}
	return ""
}

// setCondition sets a condition, with the time of the observation where its status changed.
func setCondition(list *[]metav1.Condition, c metav1.Condition, now time.Time) {
	i := slices.IndexFunc(*list, func(old metav1.Condition) bool { return old.Type == c.Type })
	c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
	if i < 0 {
		*list = append(*list, c)
		return
	}
	if (*list)[i].Status == c.Status {
		c.LastTransitionTime = (*list)[i].LastTransitionTime
	}
	(*list)[i] = c
}

// Changed reports whether a status differs from the one that is stored.
func Changed(stored, next v1alpha1.RolloutStatus) bool {
	return !equality.Semantic.DeepEqual(stored, next)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
