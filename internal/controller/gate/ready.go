package gate

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Reasons of the condition Ready of a gate, besides editReasons.
const (
	// reasonEvaluated means that the gate has a verdict for each candidate.
	reasonEvaluated = "Evaluated"
	// reasonNoRollout means that spec.rolloutRef is missing.
	reasonNoRollout = "NoRollout"
	// reasonNotFound means that the Rollout does not exist. To do: create it, or correct spec.rolloutRef.
	reasonNotFound = "RolloutNotFound"
	// reasonAwaited means that the controller of the class has not written a verdict. To do: check that it runs.
	reasonAwaited = "AwaitingVerdict"
)

// editReasons lists the reasons of verdicts that stay until somebody edits the gate.
func editReasons() []string { return []string{"ExpressionFailed", "Refused"} }

// ready returns the condition Ready of a gate. kubectl get gates prints only this message, so it repeats that of the
// first verdict if nothing is wrong with the gate.
func ready(g *v1alpha1.RolloutGate, list []v1alpha1.GateVerdict, missing bool) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: reasonEvaluated,
		ObservedGeneration: g.Generation,
		Message:            "no release waits for the gate",
	}
	if len(list) > 0 {
		c.Message = cmp.Or(list[0].Message, "the verdict for "+list[0].Release+" gives no reason")
	}
	bad := slices.IndexFunc(list, func(v v1alpha1.GateVerdict) bool { return slices.Contains(editReasons(), v.Reason) })
	switch rollout := g.Spec.RolloutRef.Name; {
	case rollout == "":
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, reasonNoRollout,
			"spec.rolloutRef.name is missing: the gate holds nothing"
	case missing:
		c.Status, c.Reason = metav1.ConditionFalse, reasonNotFound
		c.Message = "Rollout " + rollout + " does not exist in namespace " + g.Namespace +
			": the gate holds nothing; correct spec.rolloutRef.name, or create the Rollout"
	case bad >= 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, list[bad].Reason, list[bad].Message
	}
	if g.Spec.HTTP != nil {
		c.Message += outbound.TimeoutNote("spec.http.timeout", g.Spec.HTTP.Timeout)
	}
	return c
}

// reconcileOther writes the condition of a gate whose verdicts another controller writes. A condition that the other
// controller has written stays.
func (c *Controller) reconcileOther(ctx context.Context, g *v1alpha1.RolloutGate) error {
	old := apimeta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	if old != nil && !slices.Contains([]string{reasonEvaluated, reasonNoRollout, reasonNotFound, reasonAwaited},
		old.Reason) {
		return nil
	}
	_, missing, err := c.rollout(ctx, g)
	if err != nil {
		return err
	}
	hasVerdicts := g.Status.ObservedGeneration == g.Generation
	now := ready(g, g.Status.Verdicts, missing)
	if now.Status == metav1.ConditionTrue && !hasVerdicts {
		now.Status, now.Reason = metav1.ConditionUnknown, reasonAwaited
		now.Message = "waits for the controller of class " + gate.Class(g) +
			", which has not written a verdict for this spec; " +
			"if there is none, write class manual or http, which Kuberik answers for"
	}
	next := g.DeepCopy()
	apimeta.SetStatusCondition(&next.Status.Conditions, now)
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, g, next)
}
