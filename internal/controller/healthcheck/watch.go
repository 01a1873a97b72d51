package healthcheck

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/kube"
)

// Indexes returns the indexes that the controller needs.
func Indexes() []kube.Index {
	return []kube.Index{kube.IndexOf(&v1alpha1.HealthCheck{}, kube.ByKustomization,
		func(check *v1alpha1.HealthCheck) []string {
			if key, err := kustomization.KeyOf(check); err == nil && health.Class(check) == v1alpha1.HealthClassKustomization {
				return []string{key.String()}
			}
			return nil
		})}
}

// requestsForKustomization returns requests for the checks of a Kustomization.
func (c *Controller) requestsForKustomization(ctx context.Context, o client.Object) []reconcile.Request {
	all := func(*v1alpha1.HealthCheck) bool { return true }
	return c.list(ctx, all, client.MatchingFields{kube.ByKustomization: client.ObjectKeyFromObject(o).String()})
}

// requestsForRollout returns requests for the checks that a Rollout may select, because each deployment needs its own
// result.
func (c *Controller) requestsForRollout(
	ctx context.Context, ro *v1alpha1.Rollout, filter func(*v1alpha1.HealthCheck) bool,
) []reconcile.Request {
	if ro.Spec.HealthCheckSelector == nil || len(ro.Status.History) == 0 {
		return nil
	}
	selected := func(check *v1alpha1.HealthCheck) bool {
		return ro.Spec.HealthCheckSelector.Selector.Matches(check.Labels) && filter(check)
	}
	var opts []client.ListOption
	if !c.cross || ro.Spec.HealthCheckSelector.NamespaceSelector == nil {
		opts = append(opts, client.InNamespace(ro.Namespace))
	}
	return c.list(ctx, selected, opts...)
}

func (c *Controller) list(
	ctx context.Context, filter func(*v1alpha1.HealthCheck) bool, opts ...client.ListOption,
) []reconcile.Request {
	var list v1alpha1.HealthCheckList
	if err := c.client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "listing HealthChecks")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if check := &list.Items[i]; filter(check) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(check)})
		}
	}
	return requests
}
