package healthcheck

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/kube"
)

// Indexes that the controller needs.
func Indexes() []kube.Index {
	return []kube.Index{kube.IndexOf(&v1alpha1.HealthCheck{}, kube.ByKustomization, func(check *v1alpha1.HealthCheck) []string {
		if key, err := kustomization.Subject(check); err == nil && class(check) == v1alpha1.HealthClassKustomization {
			return []string{key.String()}
		}
		return nil
	})}
}

// ofKustomization reaches the checks that look at a Kustomization.
func (c *Controller) ofKustomization(ctx context.Context, o client.Object) []reconcile.Request {
	return c.list(ctx, nil, client.MatchingFields{kube.ByKustomization: client.ObjectKeyFromObject(o).String()})
}

// ofRollout reaches the checks that a Rollout selects: each of its deployments asks for a verdict of its own.
func (c *Controller) ofRollout(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
	if ro.Spec.HealthCheckSelector == nil || len(ro.Status.History) == 0 {
		return nil
	}
	return c.list(ctx, func(check *v1alpha1.HealthCheck) bool { return selects(ro, check) }, client.InNamespace(ro.Namespace))
}

func (c *Controller) list(ctx context.Context, want func(*v1alpha1.HealthCheck) bool, opts ...client.ListOption) []reconcile.Request {
	var list v1alpha1.HealthCheckList
	if err := c.client.List(ctx, &list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "listing HealthChecks")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if want == nil || want(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

func selects(ro *v1alpha1.Rollout, check *v1alpha1.HealthCheck) bool {
	if ro.Spec.HealthCheckSelector == nil || ro.Namespace != check.Namespace {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(ro.Spec.HealthCheckSelector.Selector)
	return err == nil && selector.Matches(labels.Set(check.Labels))
}
