package schedule

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

// bySchedule finds the gates of a schedule, in whatever namespace.
const bySchedule = "kuberik.schedule"

// Indexes that the controller needs.
func Indexes() []kube.Index {
	return []kube.Index{kube.IndexOf(&v1alpha1.RolloutGate{}, bySchedule, func(g *v1alpha1.RolloutGate) []string {
		if kind, s, ok := claim(g); ok {
			return []string{key(kind, s.Namespace, s.Name)}
		}
		return nil
	})}
}

// gateChanged lets through what may have to be put back. What a gate says of releases is not.
func gateChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld, e.ObjectNew
		return before.GetGeneration() != after.GetGeneration() ||
			!maps.Equal(before.GetLabels(), after.GetLabels()) ||
			!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) ||
			!equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences())
	}}
}

// ofGate reaches the schedule of a kind that a gate belongs to.
func ofGate(wanted string) func(context.Context, *v1alpha1.RolloutGate) []reconcile.Request {
	return func(_ context.Context, g *v1alpha1.RolloutGate) []reconcile.Request {
		if kind, s, ok := claim(g); ok && kind == wanted {
			return []reconcile.Request{{NamespacedName: s}}
		}
		return nil
	}
}

// ofRollout reaches the schedules of the namespace that select a Rollout. Of a Rollout whose labels change it is asked twice, with the
// old labels and the new.
func (c *Controller) ofRollout(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	var list v1alpha1.RolloutScheduleList
	if err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing RolloutSchedules")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if s := &list.Items[i]; selects(&s.Spec, ro) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s)})
		}
	}
	return requests
}

// ofRolloutAnywhere reaches the cluster schedules that select a Rollout, if its namespace is theirs.
func (c *Controller) ofRolloutAnywhere(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	return c.clusterSchedules(ctx, func(s *v1alpha1.ClusterRolloutSchedule) bool { return selects(&s.Spec.ScheduleSpec, ro) })
}

// ofNamespace reaches the cluster schedules that ask for the labels of namespaces.
func (c *Controller) ofNamespace(ctx context.Context, _ *corev1.Namespace) []reconcile.Request {
	return c.clusterSchedules(ctx, func(s *v1alpha1.ClusterRolloutSchedule) bool { return s.Spec.NamespaceSelector != nil })
}

func (c *Controller) clusterSchedules(ctx context.Context, want func(*v1alpha1.ClusterRolloutSchedule) bool) []reconcile.Request {
	var list v1alpha1.ClusterRolloutScheduleList
	if err := c.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing ClusterRolloutSchedules")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if s := &list.Items[i]; want(s) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: s.Name}})
		}
	}
	return requests
}

// selects says whether a Rollout is a schedule's business, be it exempt or not. A selector that cannot be used is the business of the
// schedule itself.
func selects(spec *v1alpha1.ScheduleSpec, ro *v1alpha1.Rollout) bool {
	selector, err := metav1.LabelSelectorAsSelector(&spec.RolloutSelector)
	return err == nil && selector.Matches(labels.Set(ro.Labels))
}
