package rollout

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
)

// Indexes that the controller needs.
func Indexes() []kube.Index {
	return append(flux.Indexes(),
		kube.IndexOf(&v1alpha1.Rollout{}, kube.ByPolicy, func(ro *v1alpha1.Rollout) []string {
			return []string{ro.Spec.ReleasesImagePolicy.Name}
		}),
		kube.IndexOf(&v1alpha1.Rollout{}, kube.ByScope, func(ro *v1alpha1.Rollout) []string {
			if s := ro.Spec.HealthCheckSelector; s != nil && s.NamespaceSelector != nil {
				return []string{kube.CrossNamespace}
			}
			return nil
		}),
		kube.IndexOf(&v1alpha1.RolloutGate{}, kube.ByRollout, func(g *v1alpha1.RolloutGate) []string {
			return []string{g.Spec.RolloutRef.Name}
		}),
		kube.IndexOf(&environments.Environment{}, kube.ByRollout, func(e *environments.Environment) []string {
			return []string{e.Spec.RolloutRef.Name}
		}),
		kube.IndexOf(&v1alpha1.Release{}, kube.ByRollout, func(rel *v1alpha1.Release) []string {
			return []string{rel.Spec.RolloutRef.Name}
		}),
	)
}

// onlyStatus accepts updates that changed nothing of a Rollout but its status, which is what this program writes
// itself.
func onlyStatus() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: kube.OnlyStatus,
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// asksSameRollouts reports whether a Flux object takes its versions from the same Rollouts as before an update. If not,
// a version may have to be handed to it.
func asksSameRollouts(e event.UpdateEvent) bool {
	before, after := flux.Rollouts(e.ObjectOld), flux.Rollouts(e.ObjectNew)
	return len(before) == len(after) &&
		!slices.ContainsFunc(after, func(name string) bool { return !slices.Contains(before, name) })
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func ofGate(_ context.Context, g *v1alpha1.RolloutGate) []reconcile.Request {
	return []reconcile.Request{request(g.Namespace, g.Spec.RolloutRef.Name)}
}

// ofRelease looks at a Rollout again when a Release is new, since Approvals of it may exist already, and when its image
// was read or turned out not to exist. All else in a Release comes from the Rollout.
func ofRelease(_ context.Context, rel *v1alpha1.Release) []reconcile.Request {
	if rel.Status.Details == nil && rel.Status.Phase != "" && len(rel.Status.Conditions) == 0 {
		return nil
	}
	return []reconcile.Request{request(rel.Namespace, rel.Spec.RolloutRef.Name)}
}

// ofApproval reaches the Rollout of the Release that a person speaks of.
func (c *Controller) ofApproval(ctx context.Context, a *v1alpha1.Approval) []reconcile.Request {
	ro, found := approval.RolloutFor(ctx, c.client, a)
	if !found {
		return nil
	}
	return []reconcile.Request{{NamespacedName: ro}}
}

func ofOverride(_ context.Context, o *v1alpha1.Override) []reconcile.Request {
	return []reconcile.Request{request(o.Namespace, o.Spec.RolloutRef.Name)}
}

// requestsForGateOwner returns the Rollouts that wait for a gate that does not exist: its owner may not need it any
// more.
func (c *Controller) requestsForGateOwner(ctx context.Context, o client.Object) []reconcile.Request {
	return c.matching(ctx, o.GetNamespace(), func(ro *v1alpha1.Rollout) bool {
		return slices.ContainsFunc(ro.Status.BlockedBy,
			func(b v1alpha1.Blocker) bool { return b.Reason == gate.ReasonNoGate })
	})
}

// requestsForAdmissionPolicy returns the Rollouts that have candidates: a policy decides whether the users of Approvals
// are verified.
func (c *Controller) requestsForAdmissionPolicy(ctx context.Context, _ client.Object) []reconcile.Request {
	return c.matching(ctx, "", func(ro *v1alpha1.Rollout) bool { return len(ro.Status.ReleaseCandidates) > 0 })
}

func (c *Controller) ofPolicy(ctx context.Context, o client.Object) []reconcile.Request {
	return c.matching(ctx, o.GetNamespace(), nil, client.MatchingFields{kube.ByPolicy: o.GetName()})
}

// ofTarget reaches the Rollouts that a Flux object asks, and those that ask the OCIRepository it is made from.
func (c *Controller) ofTarget(ctx context.Context, o client.Object) []reconcile.Request {
	names := flux.Rollouts(o)
	upstream, err := c.flux.SourceRollouts(ctx, o)
	if err != nil {
		log.FromContext(ctx).Error(err, "finding the Rollouts of a source")
	}
	var requests []reconcile.Request
	for _, name := range append(names, upstream...) {
		requests = append(requests, request(o.GetNamespace(), name))
	}
	return requests
}

// ofCheck reaches the Rollouts that may select a check: those of the namespace, and those that look beyond their own.
func (c *Controller) ofCheck(ctx context.Context, o client.Object) []reconcile.Request {
	selects := func(ro *v1alpha1.Rollout) bool {
		return ro.Spec.HealthCheckSelector != nil && ro.Spec.HealthCheckSelector.Selector.Matches(o.GetLabels())
	}
	requests := c.matching(ctx, o.GetNamespace(), selects)
	if c.options.CrossNamespaces {
		requests = append(requests, c.matching(ctx, "", selects, client.MatchingFields{kube.ByScope: kube.CrossNamespace})...)
	}
	return requests
}

// ofNamespace reaches the Rollouts that look for checks beyond their own namespace.
func (c *Controller) ofNamespace(ctx context.Context, _ client.Object) []reconcile.Request {
	return c.matching(ctx, "", nil, client.MatchingFields{kube.ByScope: kube.CrossNamespace})
}

func (c *Controller) matching(
	ctx context.Context, namespace string, want func(*v1alpha1.Rollout) bool, opts ...client.ListOption,
) []reconcile.Request {
	var list v1alpha1.RolloutList
	if err := c.client.List(ctx, &list,
		append(opts, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "listing Rollouts")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if want == nil || want(&list.Items[i]) {
			requests = append(requests, request(list.Items[i].Namespace, list.Items[i].Name))
		}
	}
	return requests
}
