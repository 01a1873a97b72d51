package datadog

import (
	"context"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

// workers is the number of monitors that are reconciled concurrently, and workersPerNamespace those of one namespace.
const (
	workers             = 4
	workersPerNamespace = 1
)

// Register adds the controller to the manager. It watches DatadogMonitors as soon as their kind is installed.
func (c *Controller) Register(mgr ctrl.Manager) error {
	hasMonitor := kube.ObjectsMatching(func(check *v1alpha1.HealthCheck) bool {
		return len(requestsForCheck(context.Background(), check)) > 0
	})
	ctl, err := ctrl.NewControllerManagedBy(mgr).
		Named("datadog").
		Watches(&v1alpha1.HealthCheck{}, kube.EnqueueRequests(requestsForCheck),
			builder.WithPredicates(hasMonitor, predicate.Or(
				predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{},
			))).
		WithOptions(kube.FairOptions(workers, workersPerNamespace)).
		Build(c)
	if err != nil {
		return err
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return c.watchMonitors(ctx, mgr, ctl) }))
}

// watchMonitors waits until the kind is installed and starts the watch.
func (c *Controller) watchMonitors(ctx context.Context, mgr ctrl.Manager, ctl controller.Controller) error {
	ctx = log.IntoContext(ctx, mgr.GetLogger().WithValues("controller", "datadog"))
	if !waitForKind(ctx, mgr.GetRESTMapper(), c.pollInterval) {
		return nil // the manager is stopping
	}
	changed := predicate.Or(
		predicate.TypedLabelChangedPredicate[*metav1.PartialObjectMetadata]{},
		predicate.TypedAnnotationChangedPredicate[*metav1.PartialObjectMetadata]{},
	)
	enqueue := &handler.TypedEnqueueRequestForObject[*metav1.PartialObjectMetadata]{}
	monitors := source.Kind(mgr.GetCache(), newMonitorMetadata(), enqueue, changed)
	if err := ctl.Watch(monitors); err != nil {
		return fmt.Errorf("watching DatadogMonitors: %w", err)
	}
	return nil
}

// waitForKind waits until the API server serves DatadogMonitors. It returns false if the context is canceled before.
func waitForKind(ctx context.Context, mapper apimeta.RESTMapper, interval time.Duration) bool {
	err := wait.PollUntilContextCancel(ctx, interval, true, func(context.Context) (bool, error) {
		_, err := mapper.RESTMapping(monitorKind.GroupKind(), monitorKind.Version)
		if err != nil && !apimeta.IsNoMatchError(err) {
			log.FromContext(ctx).Error(err, "looking for the kind DatadogMonitor")
		}
		return err == nil, nil
	})
	return err == nil
}

// requestsForCheck returns a request for the monitor of a check.
func requestsForCheck(_ context.Context, check *v1alpha1.HealthCheck) []reconcile.Request {
	monitor := ""
	if owner := metav1.GetControllerOf(check); owner != nil && isMonitor(owner) {
		monitor = owner.Name
	} else if check.Labels[LabelManagedBy] == ManagedBy {
		monitor = check.Annotations[AnnotationMonitorName]
	}
	if monitor == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: check.Namespace, Name: monitor}}}
}

func isMonitor(owner *metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && gv.Group == monitorKind.Group && owner.Kind == monitorKind.Kind
}
