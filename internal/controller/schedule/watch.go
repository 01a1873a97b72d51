package schedule

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

// scheduleIndex is the name of the index of gates by schedule.
const scheduleIndex = "kuberik.schedule"

// Indexes returns the indexes that the controller needs.
func Indexes() []kube.Index {
	return []kube.Index{kube.IndexOf(&v1alpha1.RolloutGate{}, scheduleIndex, func(g *v1alpha1.RolloutGate) []string {
		if kind, s, ok := scheduleOf(g); ok {
			return []string{indexKey(kind, s.Namespace, s.Name)}
		}
		return nil
	})}
}

// gateChanged returns a predicate that ignores updates of the status of a gate.
func gateChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld, e.ObjectNew
		return before.GetGeneration() != after.GetGeneration() ||
			!maps.Equal(before.GetLabels(), after.GetLabels()) ||
			!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) ||
			!equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences())
	}}
}

// requestsForGate returns a map function from a gate to its schedule, if that is of a kind.
func requestsForGate(kind string) func(context.Context, *v1alpha1.RolloutGate) []reconcile.Request {
	return func(_ context.Context, g *v1alpha1.RolloutGate) []reconcile.Request {
		if k, s, ok := scheduleOf(g); ok && k == kind {
			return []reconcile.Request{{NamespacedName: s}}
		}
		return nil
	}
}

// requestsForRollout returns requests for the RolloutSchedules that may select a Rollout. The handler calls it for
// the old and the new object of an update.
func (c *Controller) requestsForRollout(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	var list v1alpha1.RolloutScheduleList
	if err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing RolloutSchedules")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if s := &list.Items[i]; mayBeSelected(&s.Spec, ro) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s)})
		}
	}
	return requests
}

// clusterRequestsForRollout returns requests for the ClusterRolloutSchedules that may select a Rollout.
func (c *Controller) clusterRequestsForRollout(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	return c.requestsForClusterSchedules(
		ctx, func(s *v1alpha1.ClusterRolloutSchedule) bool { return mayBeSelected(&s.Spec.ScheduleSpec, ro) },
	)
}

// requestsForNamespace returns requests for the ClusterRolloutSchedules with a namespaceSelector.
func (c *Controller) requestsForNamespace(ctx context.Context, _ *corev1.Namespace) []reconcile.Request {
	return c.requestsForClusterSchedules(
		ctx, func(s *v1alpha1.ClusterRolloutSchedule) bool { return s.Spec.NamespaceSelector != nil },
	)
}

func (c *Controller) requestsForClusterSchedules(
	ctx context.Context, include func(*v1alpha1.ClusterRolloutSchedule) bool,
) []reconcile.Request {
	var list v1alpha1.ClusterRolloutScheduleList
	if err := c.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing ClusterRolloutSchedules")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if s := &list.Items[i]; include(s) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: s.Name}})
		}
	}
	return requests
}

// mayBeSelected reports whether a rolloutSelector matches a Rollout. It ignores exemptions and invalid selectors,
// which the reconcile of the schedule handles.
func mayBeSelected(spec *v1alpha1.ScheduleSpec, ro *v1alpha1.Rollout) bool {
	return spec.RolloutSelector.Matches(ro.Labels)
}
