package environment

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/kube"
)

// rolloutChanged passes the updates that change a part of a Rollout that Environments use.
func rolloutChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.Rollout)
		after, ok2 := e.ObjectNew.(*v1alpha1.Rollout)
		return !ok || !ok2 || before.Generation != after.Generation ||
			!equality.Semantic.DeepEqual(before.Status.History, after.Status.History) ||
			!equality.Semantic.DeepEqual(before.Status.Quarantined, after.Status.Quarantined) ||
			!equality.Semantic.DeepEqual(before.Status.ReleaseCandidates, after.Status.ReleaseCandidates)
	}}
}

// requestsForRollout returns requests for the Environments of a Rollout, and for those that read their state.
func (c *Controller) requestsForRollout(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	// With more Environments, the backend of the Rollout's Environments is refused.
	list := c.list(ctx, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name},
		client.Limit(cluster.MaxEnvironments+1))
	return c.requestsForReaders(ctx, ro.Namespace, list)
}

// requestsForEnvironment returns requests for an Environment, and for those that read its state.
func (c *Controller) requestsForEnvironment(ctx context.Context, e *environments.Environment) []reconcile.Request {
	return c.requestsForReaders(ctx, e.Namespace, []environments.Environment{*e})
}

// requestsForNamespace returns requests for the Environments of a namespace whose labels changed, and for all others of
// the same applications. The event does not say which of them the namespace was grouped with before.
func (c *Controller) requestsForNamespace(ctx context.Context, ns *corev1.Namespace) []reconcile.Request {
	applications := map[string]bool{}
	for _, e := range c.list(ctx, client.InNamespace(ns.Name)) {
		applications[environment.Application(e.Spec.Name)] = true
	}
	if len(applications) == 0 {
		return nil
	}
	var requests []reconcile.Request
	for _, e := range c.list(ctx) {
		if applications[environment.Application(e.Spec.Name)] && !hasOutsideBackend(&e) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&e)})
		}
	}
	return requests
}

// list returns Environments of the cache. Do not change them.
func (c *Controller) list(ctx context.Context, opts ...client.ListOption) []environments.Environment {
	var list environments.EnvironmentList
	if err := c.client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Environments")
	}
	return list.Items
}

// requestsForReaders returns requests for Environments of a namespace, and for those that read their state in this
// cluster.
func (c *Controller) requestsForReaders(
	ctx context.Context, namespace string, list []environments.Environment,
) []reconcile.Request {
	var requests []reconcile.Request
	var applications []string
	for i := range list {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list[i])})
		application := environment.Application(list[i].Spec.Name)
		if !hasOutsideBackend(&list[i]) && !slices.Contains(applications, application) {
			applications = append(applications, application)
		}
	}
	for _, application := range applications {
		neighbours, err := cluster.Backend{Client: c.client, Namespace: namespace}.Neighbours(ctx, application)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the Environments of the application", "application", application)
		}
		for _, e := range neighbours {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e)})
		}
	}
	return requests
}
