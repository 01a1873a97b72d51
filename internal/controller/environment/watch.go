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

// matters lets through what an Environment reads off a Rollout.
func matters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		old, was := e.ObjectOld.(*v1alpha1.Rollout)
		now, is := e.ObjectNew.(*v1alpha1.Rollout)
		return !was || !is || old.Generation != now.Generation ||
			!equality.Semantic.DeepEqual(old.Status.History, now.Status.History) ||
			!equality.Semantic.DeepEqual(old.Status.Quarantined, now.Status.Quarantined) ||
			!equality.Semantic.DeepEqual(old.Status.ReleaseCandidates, now.Status.ReleaseCandidates)
	}}
}

// ofRollout reaches the Environments of a Rollout, and those that meet them in this cluster.
func (c *Controller) ofRollout(ctx context.Context, o client.Object) []reconcile.Request {
	return c.around(ctx, o.GetNamespace(), client.MatchingFields{kube.ByRollout: o.GetName()})
}

// ofNamespace reaches the Environments of a namespace, and all of the same applications: its labels say who meets them, and who did before
// they changed nobody knows.
func (c *Controller) ofNamespace(ctx context.Context, ns *corev1.Namespace) []reconcile.Request {
	var list, all environments.EnvironmentList
	if err := c.client.List(ctx, &list, client.InNamespace(ns.Name), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Environments")
		return nil
	}
	applications := map[string]bool{}
	for i := range list.Items {
		applications[environment.Application(list.Items[i].Spec.Name)] = true
	}
	if len(applications) == 0 {
		return nil
	}
	if err := c.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Environments")
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if e := &all.Items[i]; applications[environment.Application(e.Spec.Name)] && !outside(e) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e)})
		}
	}
	return requests
}

// ofSibling reaches an Environment, and those that meet it in this cluster.
func (c *Controller) ofSibling(ctx context.Context, e *environments.Environment) []reconcile.Request {
	return c.meeting(ctx, e.Namespace, []environments.Environment{*e})
}

func (c *Controller) around(ctx context.Context, namespace string, opts ...client.ListOption) []reconcile.Request {
	var list environments.EnvironmentList
	// Beyond so many, Environments of one Rollout are not served, see backend.
	opts = append(opts, client.InNamespace(namespace), client.Limit(cluster.Most+1), client.UnsafeDisableDeepCopy)
	if err := c.client.List(ctx, &list, opts...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Environments")
		return nil
	}
	return c.meeting(ctx, namespace, list.Items)
}

// meeting names some Environments of a namespace, and those that meet them in this cluster, each application being listed once.
func (c *Controller) meeting(ctx context.Context, namespace string, list []environments.Environment) []reconcile.Request {
	var requests []reconcile.Request
	var applications []string
	for i := range list {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list[i])})
		if application := environment.Application(list[i].Spec.Name); !outside(&list[i]) && !slices.Contains(applications, application) {
			applications = append(applications, application)
		}
	}
	for _, application := range applications {
		near, err := cluster.Backend{Client: c.client, Namespace: namespace}.Neighbours(ctx, application)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the Environments that meet", "application", application)
		}
		for _, e := range near {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e)})
		}
	}
	return requests
}
