package sim

import (
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
)

// checkAgreement checks invariant 19: phase, conditions, blockedBy and the status of each Release agree.
func (m *monitor) checkAgreement(ro *Rollout) {
	st := ro.status
	is := func(kind string) bool { return apimeta.IsStatusConditionTrue(st.Conditions, kind) }
	blocked := func(kinds ...string) bool {
		return slices.ContainsFunc(st.BlockedBy, func(b v1alpha1.Blocker) bool {
			return slices.Contains(kinds, b.Kind) && b.Reason != v1alpha1.ReasonNoDigest // which may be about the next release
		})
	}
	failed := len(st.History) > 0 && failed(&st.History[0])
	switch {
	case is(v1alpha1.ConditionReady) == (is(v1alpha1.ConditionStalled) || is(v1alpha1.ConditionReconciling)):
		m.violate(19, "Ready is %v: %s", is(v1alpha1.ConditionReady), conditionsOf(st.Conditions))
	case is(v1alpha1.ConditionGatesPassing) && blocked("RolloutGate") && !failed:
		m.violate(19, "GatesPassing is True, and a gate blocks: %s", blockers(st))
	case is(v1alpha1.ConditionTargetsReady) && (len(st.History) == 0 || blocked("Kustomization", "OCIRepository")):
		m.violate(19, "TargetsReady is True after %d deployments, blocked by %s", len(st.History), blockers(st))
	}
	m.checkHalted(st, is(v1alpha1.ConditionHalted))
	m.checkPhase(st, is(v1alpha1.ConditionAvailable))
	for _, v := range st.AvailableReleases {
		m.checkRelease(ro, v)
	}
}

// checkHalted checks that Halted is True whenever automation waits for a person, and that the message says what to do.
func (m *monitor) checkHalted(st *v1alpha1.RolloutStatus, halted bool) {
	clearedByPerson := []string{
		v1alpha1.ReasonPreviousFailed, v1alpha1.ReasonRolledBack, v1alpha1.ReasonBelowRollbackFloor, v1alpha1.ReasonPaused,
		v1alpha1.ReasonTagMoved, v1alpha1.ReasonSuperseded, v1alpha1.ReasonNoDigest, v1alpha1.ReasonDowngrade, v1alpha1.ReasonNotNewer,
		v1alpha1.ReasonQuarantined, v1alpha1.ReasonIllegalTag, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonImagePolicyNotFound,
		v1alpha1.ReasonNoTargets, v1alpha1.ReasonTargetOverridden, v1alpha1.ReasonTargetSuspended,
	}
	i := slices.IndexFunc(st.BlockedBy, func(b v1alpha1.Blocker) bool { return slices.Contains(clearedByPerson, b.Reason) })
	message := apimeta.FindStatusCondition(st.Conditions, v1alpha1.ConditionHalted).Message
	switch {
	case halted != (i >= 0):
		m.violate(19, "Halted is %v, blocked by %s", halted, blockers(st))
	case halted && !slices.ContainsFunc(st.BlockedBy, func(b v1alpha1.Blocker) bool { return strings.HasSuffix(message, b.ClearedBy) }):
		m.violate(19, "Halted does not say what to do: %s", message)
	}
}

// checkPhase compares the phase with the newest deployment and the condition Available.
func (m *monitor) checkPhase(st *v1alpha1.RolloutStatus, available bool) {
	switch st.Phase {
	case v1alpha1.PhaseAvailable:
		if !available {
			m.violate(19, "the phase is Available, and the condition is not: %s", conditionsOf(st.Conditions))
		}
	case v1alpha1.PhaseDeploying, v1alpha1.PhaseBaking, v1alpha1.PhaseFailed, v1alpha1.PhasePaused:
		if available {
			m.violate(19, "the phase is %s, and the condition Available is True", st.Phase)
		}
		if st.Phase == v1alpha1.PhaseDeploying && slices.ContainsFunc(st.BlockedBy, func(b v1alpha1.Blocker) bool { return b.Kind == "RolloutGate" }) {
			m.violate(19, "the phase is Deploying, and a gate blocks: %s", blockers(st))
		}
	}
}

// checkRelease checks that the message of a Release is about that release.
func (m *monitor) checkRelease(ro *Rollout, v v1alpha1.VersionInfo) {
	object := &v1alpha1.Rollout{Spec: *ro.spec, Status: *ro.status}
	st := release.StatusOf(object, &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v}})
	switch {
	case (st.Reason == gate.ReasonAwaitingApproval || st.Reason == gate.ReasonNotAllowed) && !strings.Contains(st.Message, v.Tag):
		m.violate(19, "Release %s: %s", v.Tag, st.Message)
	case st.Phase == v1alpha1.ReleaseDeploying && ro.status.Phase == v1alpha1.PhaseWaiting:
		m.violate(19, "Release %s is Deploying, and the Rollout is Waiting", v.Tag)
	}
}

func conditionsOf(list []metav1.Condition) string {
	var words []string
	for _, c := range list {
		words = append(words, c.Type+"="+string(c.Status)+"/"+c.Reason)
	}
	return strings.Join(words, " ")
}
