package healthcheck

import (
	"context"
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

// write stores a verdict, if it says something new.
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
	apimeta.SetStatusCondition(&st.Conditions, ready(check, r.Report))
	if equality.Semantic.DeepEqual(check.Status, *st) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, check, next)
}

func ready(check *v1alpha1.HealthCheck, r health.Report) metav1.Condition {
	status := map[v1alpha1.HealthState]metav1.ConditionStatus{
		v1alpha1.HealthHealthy: metav1.ConditionTrue, v1alpha1.HealthUnhealthy: metav1.ConditionFalse,
	}[r.State]
	if status == "" {
		status = metav1.ConditionUnknown
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: status, Reason: string(r.State), Message: version.Clean(r.Message, 900) + outbound.Shortened("spec.timeout", check.Spec.Timeout),
		ObservedGeneration: check.Generation,
	}
}

// reset sets a check of a foreign class back to Pending when its verdict is older than a deployment in flight that it is selected
// for, so that its controller reports anew. The time of its last error stays: another Rollout may not have seen it yet.
func (c *Controller) reset(ctx context.Context, check *v1alpha1.HealthCheck) error {
	if check.Status.Status == v1alpha1.HealthPending || check.Status.Status == "" {
		return nil
	}
	cutoff, rollout, err := c.newestDeployment(ctx, check)
	if err != nil || rollout == "" || check.Status.LastChangeTime != nil && !check.Status.LastChangeTime.Time.Before(cutoff) {
		return err
	}
	now, message := metav1.NewTime(c.clock.Now().Truncate(time.Second)), "reset due to new deployment of "+rollout
	next := check.DeepCopy()
	next.Status.Status, next.Status.LastChangeTime, next.Status.Message = v1alpha1.HealthPending, &now, &message
	return kube.PatchStatus(ctx, c.client, check, next)
}
