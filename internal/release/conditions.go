package release

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// conditions of a Rollout: one function each, each always set.
func (s *situation) conditions() []metav1.Condition {
	return []metav1.Condition{
		s.releasesUpdated(),
		s.gatesPassing(),
		s.deploymentBlocked(),
		s.bakeFailureDisabled(),
		s.targetsReady(),
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
	case illegal(p) != "":
		return condition(kind, false, v1alpha1.ReasonIllegalTag, illegal(p))
	}
	message := "the ImagePolicy selects " + p.Tag
	if version.Retyped(p.Tag) {
		message += fmt.Sprintf(`; YAML reads %s as something other than text: quote the variable, "${VARIABLE}", in the manifests`, p.Tag)
	}
	return condition(kind, true, v1alpha1.ReasonReleasesUpdated, message)
}

func (s *situation) gatesPassing() metav1.Condition {
	kind := v1alpha1.ConditionGatesPassing
	next, bypassed, ok := s.next()
	switch {
	case len(s.status.ReleaseCandidates) == 0:
		return condition(kind, true, v1alpha1.ReasonAllGatesPassing, "no release waits at a gate")
	case ok && len(bypassed) > 0:
		return condition(kind, true, v1alpha1.ReasonGatesBypassed, "Gate bypassed for version "+next.Tag)
	case ok:
		return condition(kind, true, v1alpha1.ReasonAllGatesPassing, "every gate is open for "+next.Tag)
	}
	for _, g := range s.status.Gates {
		if !*g.Passing && g.AllowedVersions == nil {
			return condition(kind, false, v1alpha1.ReasonSomeGatesBlocking, g.Name+": "+g.Message)
		}
	}
	return condition(kind, false, v1alpha1.ReasonNoAllowedVersions, "no candidate is let through by every gate")
}

func (s *situation) deploymentBlocked() metav1.Condition {
	kind := v1alpha1.ConditionDeploymentBlocked
	if s.pinned() != "" {
		return condition(kind, false, "ManualDeployment", "pinned by spec.wantedVersion")
	}
	for _, r := range s.Health.Reports {
		if r.State == v1alpha1.HealthUnhealthy {
			return condition(kind, true, v1alpha1.ReasonUnhealthyHealthChecks, describe(r))
		}
	}
	return condition(kind, false, v1alpha1.ReasonHealthChecksHealthy, "no selected check is unhealthy")
}

func (s *situation) bakeFailureDisabled() metav1.Condition {
	h := s.head()
	return condition(v1alpha1.ConditionBakeFailureDisabled, h != nil && h.Recovery && statusOf(h) == v1alpha1.BakeDeploying,
		map[bool]string{true: v1alpha1.ReasonDeployedWithUnhealthyHealthChecks, false: v1alpha1.ReasonNormal}[h != nil && h.Recovery],
		map[bool]string{true: "deployed while checks were unhealthy: they count once they have been healthy",
			false: "checks count against the release"}[h != nil && h.Recovery])
}

func (s *situation) targetsReady() metav1.Condition {
	kind := v1alpha1.ConditionTargetsReady
	if len(s.Targets) == 0 {
		return condition(kind, false, v1alpha1.ReasonNoTargets, "no Flux object asks for the version of this Rollout")
	}
	for _, t := range s.Targets {
		if t.Problem != "" {
			return condition(kind, false, v1alpha1.ReasonTargetOverridden, t.Kind+" "+t.Name+": "+t.Problem)
		}
	}
	for _, t := range s.Targets {
		if !t.Applied {
			return condition(kind, false, t.blocker().Reason, t.Kind+" "+t.Name+": "+t.blocker().Message)
		}
	}
	return condition(kind, true, v1alpha1.ReasonTargetsApplied, "Flux has applied the version everywhere")
}

func (s *situation) reconciling() metav1.Condition {
	switch phase := s.status.Phase; phase {
	case v1alpha1.PhaseDeploying, v1alpha1.PhaseBaking:
		return condition(v1alpha1.ConditionReconciling, true, string(phase), text(s.head().BakeStatusMessage))
	}
	return condition(v1alpha1.ConditionReconciling, false, "Idle", "nothing is under way")
}

func (s *situation) stalled() metav1.Condition {
	for _, b := range s.status.BlockedBy {
		switch b.Reason {
		case v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonPaused, v1alpha1.ReasonPreviousFailed, v1alpha1.ReasonBelowRollbackFloor,
			v1alpha1.ReasonImagePolicyNotFound, v1alpha1.ReasonTargetOverridden:
			return condition(v1alpha1.ConditionStalled, true, b.Reason, b.Message)
		}
	}
	return condition(v1alpha1.ConditionStalled, false, "Normal", "nothing waits for a person to repair it")
}

// ready summarises the others.
func (s *situation) ready() metav1.Condition {
	kind := v1alpha1.ConditionReady
	for _, b := range s.status.BlockedBy {
		if b.Reason == v1alpha1.ReasonInvalidSpec || b.Reason == v1alpha1.ReasonWriteFailed {
			return condition(kind, false, b.Reason, b.Message)
		}
	}
	h := s.head()
	if h == nil {
		b := s.waitsForFirst()
		return condition(kind, false, b.Reason, b.Message)
	}
	return readiness(h)
}

// readiness is Ready of a Rollout by its newest deployment.
func readiness(h *v1alpha1.DeploymentHistoryEntry) metav1.Condition {
	kind := v1alpha1.ConditionReady
	message := h.Version.Tag + ": " + text(h.BakeStatusMessage)
	if InFlight(h) && h.PausedTime != nil {
		return condition(kind, false, v1alpha1.ReasonPaused, message)
	}
	reason, other := map[v1alpha1.BakeStatus]string{
		v1alpha1.BakeDeploying: v1alpha1.ReasonDeploying, v1alpha1.BakeInProgress: v1alpha1.ReasonBaking,
		v1alpha1.BakeFailed: v1alpha1.ReasonFailed, v1alpha1.BakeCancelled: v1alpha1.ReasonCancelled,
	}[statusOf(h)]
	if !other {
		return condition(kind, true, v1alpha1.ReasonAvailable, h.Version.Tag+" is Available")
	}
	c := condition(kind, false, reason, message)
	if InFlight(h) {
		c.Status = metav1.ConditionUnknown
	}
	return c
}

func (s *situation) waitsForFirst() v1alpha1.Blocker {
	if len(s.status.BlockedBy) > 0 {
		return s.status.BlockedBy[0]
	}
	return v1alpha1.Blocker{Reason: v1alpha1.ReasonPending, Message: "the first release is about to be deployed"}
}
