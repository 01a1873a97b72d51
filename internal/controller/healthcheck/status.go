package healthcheck

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

// reasonEvaluated means that the check is evaluated. The condition Healthy has the verdict.
const reasonEvaluated = "Evaluated"

// write stores a result, if it differs from the status.
func (c *Controller) write(ctx context.Context, check *v1alpha1.HealthCheck, r verdict, byRevision bool) error {
	now := metav1.NewTime(c.clock.Now().Truncate(time.Second))
	next := check.DeepCopy()
	st := &next.Status
	st.ObservedGeneration, st.ObservedRevision = check.Generation, r.Revision
	if !byRevision {
		st.Deployments = r.About
	}
	if message := version.Clean(r.Message, 1024); st.Message == nil || *st.Message != message {
		st.Message = &message
	}
	if st.Status != r.State {
		st.Status, st.LastChangeTime = r.State, &now
		if r.State == v1alpha1.HealthUnhealthy {
			st.LastErrorTime = &now
		}
	}
	for _, condition := range conditions(check, r.Report) {
		apimeta.SetStatusCondition(&st.Conditions, condition)
	}
	if equality.Semantic.DeepEqual(check.Status, *st) || c.messages.Hold(check.UID, check.Status, *st, c.clock.Now()) > 0 {
		return nil // a message that is held is written by a later probe, unless it has changed again
	}
	return kube.PatchStatus(ctx, c.client, check, next)
}

// conditions returns the conditions of a check. Healthy has the verdict. Ready says only that the check is evaluated: a
// Kustomization with wait: true that applies the check must not wait for the health that the check reports.
func conditions(check *v1alpha1.HealthCheck, r health.Report) []metav1.Condition {
	healthy := metav1.Condition{
		Type: v1alpha1.ConditionHealthy, Status: metav1.ConditionUnknown, Reason: string(r.State),
		Message:            version.Clean(r.Message, 900) + outbound.TimeoutNote("spec.timeout", check.Spec.Timeout),
		ObservedGeneration: check.Generation,
	}
	switch r.State {
	case v1alpha1.HealthHealthy:
		healthy.Status = metav1.ConditionTrue
	case v1alpha1.HealthUnhealthy:
		healthy.Status = metav1.ConditionFalse
	}
	ready := healthy
	ready.Type, ready.Status, ready.Reason = v1alpha1.ConditionReady, metav1.ConditionTrue, reasonEvaluated
	ready.Message = "the check is evaluated; the condition Healthy has the verdict"
	return []metav1.Condition{healthy, ready}
}

// awaitReport sets the message of a check of a foreign class that has no report yet.
func (c *Controller) awaitReport(ctx context.Context, check *v1alpha1.HealthCheck) error {
	who := "the HealthCheck names no class, and no controller has reported on it"
	if class := health.Class(check); class != "" {
		who = "no controller of class " + class + " has reported on it"
	}
	message := who + "; Kuberik itself answers for the classes " + strings.Join(slices.Sorted(maps.Keys(c.classes)), ", ")
	next := check.DeepCopy()
	next.Status.Status, next.Status.Message = v1alpha1.HealthPending, &message
	return kube.PatchStatus(ctx, c.client, check, next)
}

// reset sets a check of a foreign class to Pending if its result is older than a deployment in flight of a Rollout that
// selects it, so that its controller reports again. The time of the last error stays, because another Rollout may not
// have seen it yet.
func (c *Controller) reset(ctx context.Context, check *v1alpha1.HealthCheck) error {
	switch check.Status.Status {
	case v1alpha1.HealthPending:
		return nil
	case "":
		return c.awaitReport(ctx, check)
	}
	cutoff, rollout, err := c.newestDeployment(ctx, check)
	if err != nil || rollout == "" || check.Status.LastChangeTime != nil &&
		!check.Status.LastChangeTime.Time.Before(cutoff) {
		return err
	}
	now, message := metav1.NewTime(c.clock.Now().Truncate(time.Second)), "reset due to new deployment of "+rollout
	next := check.DeepCopy()
	next.Status.Status, next.Status.LastChangeTime, next.Status.Message = v1alpha1.HealthPending, &now, &message
	return kube.PatchStatus(ctx, c.client, check, next)
}
