package release

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

// reasonManualDeployment means that health holds nothing, because a person chose the version.
const reasonManualDeployment = "ManualDeployment"

// conditions of a Rollout: one function each, each always set.
func (s *situation) conditions() []metav1.Condition {
	return []metav1.Condition{
		s.releasesUpdated(),
		s.gatesPassing(),
		s.deploymentBlocked(),
		s.bakeFailureDisabled(),
		s.targetsReady(),
		s.available(),
		s.halted(),
		s.reconciling(),
		s.stalled(),
		s.ready(),
	}
}

func condition(kind string, status bool, reason, message string) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	if status {
		c.Status = metav1.ConditionTrue
	}
	return c
}

func (s *situation) releasesUpdated() metav1.Condition {
	kind, p := v1alpha1.ConditionReleasesUpdated, s.Policy
	switch {
	case !p.Found:
		return condition(kind, false, v1alpha1.ReasonImagePolicyNotFound,
			"ImagePolicy "+s.Spec.ReleasesImagePolicy.Name+" does not exist in the namespace of the Rollout")
	case p.Tag == "" && p.Problem != "":
		return condition(kind, false, v1alpha1.ReasonNoReleases, p.Problem)
	case p.Tag == "":
		return condition(kind, false, v1alpha1.ReasonNoReleases, "the ImagePolicy has not selected a tag yet")
	case s.illegal != "":
		return condition(kind, false, v1alpha1.ReasonIllegalTag, s.illegal)
	}
	message := "the ImagePolicy selects " + p.Tag + s.unknownAnnotations()
	if version.NotYAMLString(p.Tag) {
		message += fmt.Sprintf(`; YAML reads %s as something other than text: quote the variable, "${VARIABLE}", `+
			"in the manifests", p.Tag)
	}
	return condition(kind, true, v1alpha1.ReasonReleasesUpdated, message)
}

// annotationPrefix begins every annotation of a Rollout, and linkPrefix those that hold links for people.
const (
	annotationPrefix = "rollout.kuberik.com/"
	linkPrefix       = annotationPrefix + "link."
)

// unknownAnnotations names the annotations of the Rollout that look like ours and that nothing reads, each with the
// known one that is nearest to it. Empty: there are none.
func (s *situation) unknownAnnotations() string {
	var message strings.Builder
	known := v1alpha1.OneShotAnnotations()
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		if !strings.HasPrefix(key, annotationPrefix) || strings.HasPrefix(key, linkPrefix) || slices.Contains(known, key) {
			continue
		}
		nearest := slices.MinFunc(known, func(a, b string) int {
			return cmp.Compare(version.EditDistance(key, a), version.EditDistance(key, b))
		})
		message.WriteString("; the annotation " + key + " of the Rollout has no effect: the nearest one that has is " +
			nearest)
	}
	return message.String()
}

func (s *situation) gatesPassing() metav1.Condition {
	kind := v1alpha1.ConditionGatesPassing
	if h := s.heldAtGates(); h != nil {
		return s.gatesOf(h.Version, s.closedGates(h))
	}
	next, bypassed, ok := s.next()
	switch {
	case len(s.status.ReleaseCandidates) == 0:
		return condition(kind, true, v1alpha1.ReasonAllGatesPassing, "no release waits at a gate")
	case ok && len(bypassed) > 0:
		return condition(kind, true, v1alpha1.ReasonGatesBypassed, "Gate bypassed for version "+next.Tag)
	case ok:
		return s.gatesOf(next, nil)
	}
	return s.gatesOf(s.firstCandidate(), s.blockingGates(s.firstCandidate()))
}

// gatesOf says of one release whether gates hold it. The reason tells a gate that is closed for every version from one
// that lists others.
func (s *situation) gatesOf(v v1alpha1.VersionInfo, shut []gate.Verdict) metav1.Condition {
	kind := v1alpha1.ConditionGatesPassing
	if len(shut) == 0 {
		return condition(kind, true, v1alpha1.ReasonAllGatesPassing, "every gate is open for "+v.Tag)
	}
	for _, g := range shut {
		if g.Reason != gate.ReasonNotAllowed {
			return condition(kind, false, v1alpha1.ReasonSomeGatesBlocking, g.Gate+": "+g.Message)
		}
	}
	return condition(kind, false, v1alpha1.ReasonNoAllowedVersions, shut[0].Gate+": "+shut[0].Message)
}

func (s *situation) deploymentBlocked() metav1.Condition {
	kind := v1alpha1.ConditionDeploymentBlocked
	if s.pinned() != "" {
		return condition(kind, false, reasonManualDeployment, "pinned by spec.wantedVersion")
	}
	for _, r := range s.Health.Reports {
		if r.State == v1alpha1.HealthUnhealthy {
			return condition(kind, true, v1alpha1.ReasonUnhealthyHealthChecks, describe(r))
		}
	}
	if s.Spec.HealthCheckSelector == nil && s.Spec.BakeTime == nil {
		return condition(kind, false, v1alpha1.ReasonHealthChecksHealthy,
			"nothing judges a release: it is Available as soon as Flux has applied it; "+
				"set spec.healthCheckSelector, spec.bakeTime or both")
	}
	return condition(kind, false, v1alpha1.ReasonHealthChecksHealthy, "no selected check is unhealthy")
}

func (s *situation) bakeFailureDisabled() metav1.Condition {
	h := s.head()
	return condition(v1alpha1.ConditionBakeFailureDisabled, h != nil && h.Recovery &&
		statusOf(h) == v1alpha1.BakeDeploying,
		map[bool]string{true: v1alpha1.ReasonDeployedWithUnhealthyHealthChecks, false: v1alpha1.ReasonNormal}[h != nil &&
			h.Recovery],
		map[bool]string{true: "deployed while checks were unhealthy: they count once they have been healthy",
			false: "checks count against the release"}[h != nil && h.Recovery])
}

func (s *situation) targetsReady() metav1.Condition {
	kind := v1alpha1.ConditionTargetsReady
	switch {
	case len(s.Targets) == 0:
		return condition(kind, false, v1alpha1.ReasonNoTargets, "no Flux object asks for the version of this Rollout")
	case s.running() == nil && s.head() == nil:
		return condition(kind, false, v1alpha1.ReasonPending, "no version was handed to Flux yet")
	}
	for _, t := range s.Targets {
		if t.Problem != "" {
			return condition(kind, false, v1alpha1.ReasonTargetOverridden, t.Kind+" "+t.Name+": "+t.Problem)
		}
	}
	for _, t := range s.Targets {
		if !t.Applied {
			b := s.targetBlocker(t)
			return condition(kind, false, b.Reason, t.Kind+" "+t.Name+": "+b.Message)
		}
	}
	return condition(kind, true, v1alpha1.ReasonTargetsApplied, "Flux has applied the version everywhere")
}

// available reports whether the newest deployment has passed. One that gates keep from Flux does not count yet.
func (s *situation) available() metav1.Condition {
	kind, h := v1alpha1.ConditionAvailable, s.head()
	if s.heldAtGates() != nil {
		h = s.running()
	}
	if h == nil {
		reason, message := s.firstBlocker(v1alpha1.ReasonPending, "the first release is about to be deployed")
		return condition(kind, false, reason, message)
	}
	reason, message := deploymentState(h)
	return condition(kind, reason == v1alpha1.ReasonAvailable, reason, message)
}

// halted reports whether automatic deployments wait for a person, and what that person can do. A gate that waits for
// people is not meant, nor what a person asked for: suspend, a pin, or a version by hand.
func (s *situation) halted() metav1.Condition {
	kind := v1alpha1.ConditionHalted
	b := s.blockedBy(slices.Concat(failures(), impassable(), setUp(), []string{v1alpha1.ReasonPaused})...)
	if unknown := s.blockedBy(v1alpha1.ReasonUnknownVersion); unknown != nil && s.PinnedTag.State == TagNotFound {
		b = unknown
	}
	if b != nil {
		return condition(kind, true, b.Reason, b.Message+"; cleared by "+b.ClearedBy)
	}
	return condition(kind, false, v1alpha1.ReasonNormal, "automatic deployments do not wait for a person")
}

// impassable lists the reasons for which a release does not go out before a person acts, or before something newer is
// pushed.
func impassable() []string {
	return []string{
		v1alpha1.ReasonTagMoved, v1alpha1.ReasonNoDigest, v1alpha1.ReasonSuperseded, v1alpha1.ReasonDowngrade,
		v1alpha1.ReasonNotNewer,
		v1alpha1.ReasonQuarantined, v1alpha1.ReasonWorkloadsUnknown, v1alpha1.ReasonIllegalTag,
	}
}

// setUp lists the reasons that say what is wrong with the spec, the ImagePolicy or the Flux objects.
func setUp() []string {
	return []string{
		v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonImagePolicyNotFound, v1alpha1.ReasonNoTargets,
		v1alpha1.ReasonTargetOverridden,
		v1alpha1.ReasonTargetSuspended, v1alpha1.ReasonTargetMisconfigured,
	}
}

// reconciling reports whether something failed that the controller tries again.
func (s *situation) reconciling() metav1.Condition {
	if b := s.blockedBy(v1alpha1.ReasonWriteFailed); b != nil {
		return condition(v1alpha1.ConditionReconciling, true, b.Reason, b.Message)
	}
	return condition(v1alpha1.ConditionReconciling, false, v1alpha1.ReasonNormal,
		"nothing that failed is being tried again")
}

// stalled reports whether the Rollout has failed in a way that does not pass by itself.
func (s *situation) stalled() metav1.Condition {
	kind := v1alpha1.ConditionStalled
	if b := s.blockedBy(v1alpha1.ReasonUnknownVersion); b != nil && s.PinnedTag.State == TagNotFound {
		return condition(kind, true, b.Reason, b.Message)
	}
	if b := s.blockedBy(append(setUp(), v1alpha1.ReasonPaused)...); b != nil {
		return condition(kind, true, b.Reason, b.Message)
	}
	if h := s.head(); h != nil && statusOf(h) == v1alpha1.BakeFailed {
		reason, message := deploymentState(h)
		return condition(kind, true, reason, message)
	}
	return condition(kind, false, v1alpha1.ReasonNormal, "nothing has failed for good")
}

// ready summarises the others. A release that waits, is deployed or bakes leaves it True: a Kustomization that applies
// the Rollout and waits for what it applies must not wait for the bake, or for itself.
func (s *situation) ready() metav1.Condition {
	kind := v1alpha1.ConditionReady
	for _, c := range []metav1.Condition{s.reconciling(), s.stalled()} {
		if c.Status == metav1.ConditionTrue {
			return condition(kind, false, c.Reason, c.Message)
		}
	}
	c := s.available()
	return condition(kind, true, c.Reason, c.Message)
}

// deploymentState is the reason and the message of conditions about a deployment.
func deploymentState(h *v1alpha1.DeploymentHistoryEntry) (reason, message string) {
	message = h.Version.Tag + ": " + text(h.BakeStatusMessage)
	if InFlight(h) && h.PausedTime != nil {
		return v1alpha1.ReasonPaused, message
	}
	reason, other := map[v1alpha1.BakeStatus]string{
		v1alpha1.BakeDeploying: v1alpha1.ReasonDeploying, v1alpha1.BakeInProgress: v1alpha1.ReasonBaking,
		v1alpha1.BakeFailed: v1alpha1.ReasonFailed, v1alpha1.BakeCancelled: v1alpha1.ReasonCancelled,
	}[statusOf(h)]
	if !other {
		return v1alpha1.ReasonAvailable, h.Version.Tag + " is Available"
	}
	return reason, message
}

// blockedBy returns the first entry of blockedBy with one of the reasons, or nil.
func (s *situation) blockedBy(reasons ...string) *v1alpha1.Blocker {
	return blockedBy(s.status.BlockedBy, reasons...)
}

func blockedBy(list []v1alpha1.Blocker, reasons ...string) *v1alpha1.Blocker {
	for i := range list {
		if b := &list[i]; slices.Contains(reasons, b.Reason) {
			return b
		}
	}
	return nil
}

// firstBlocker is the reason and the message of the first entry of blockedBy, or those given.
func (s *situation) firstBlocker(reason, message string) (string, string) {
	if len(s.status.BlockedBy) > 0 {
		return s.status.BlockedBy[0].Reason, s.status.BlockedBy[0].Message
	}
	return reason, message
}
