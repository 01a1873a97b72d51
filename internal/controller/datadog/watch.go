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

// workers is how many monitors are worked on together, and share how many of one namespace.
const (
	workers = 4
	share   = 1
)

// Register adds the controller to a manager. It watches DatadogMonitors from when their kind is installed.
func (c *Controller) Register(mgr ctrl.Manager) error {
	made := kube.When(func(check *v1alpha1.HealthCheck) bool { return len(ofCheck(context.Background(), check)) > 0 })
	ctl, err := ctrl.NewControllerManagedBy(mgr).
		Named("datadog").
		Watches(&v1alpha1.HealthCheck{}, kube.MapOf(ofCheck), builder.WithPredicates(made, predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{},
		))).
		WithOptions(kube.Shared(workers, share)).
		Build(c)
	if err != nil {
		return err
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return c.follow(ctx, mgr, ctl) }))
}

// follow waits until the kind is installed, and then has the controller watch it.
func (c *Controller) follow(ctx context.Context, mgr ctrl.Manager, ctl controller.Controller) error {
	ctx = log.IntoContext(ctx, mgr.GetLogger().WithValues("controller", "datadog"))
	if !installed(ctx, mgr.GetRESTMapper(), c.look) {
		return nil // the manager ends
	}
	changed := predicate.Or(
		predicate.TypedLabelChangedPredicate[*metav1.PartialObjectMetadata]{},
		predicate.TypedAnnotationChangedPredicate[*metav1.PartialObjectMetadata]{},
	)
	monitors := source.Kind(mgr.GetCache(), blank(), &handler.TypedEnqueueRequestForObject[*metav1.PartialObjectMetadata]{}, changed)
	if err := ctl.Watch(monitors); err != nil {
		return fmt.Errorf("watching DatadogMonitors: %w", err)
	}
	return nil
}

// installed waits until the API server knows DatadogMonitors. It returns false if it is told to end before.
func installed(ctx context.Context, mapper apimeta.RESTMapper, look time.Duration) bool {
	err := wait.PollUntilContextCancel(ctx, look, true, func(context.Context) (bool, error) {
		_, err := mapper.RESTMapping(monitorKind.GroupKind(), monitorKind.Version)
		if err != nil && !apimeta.IsNoMatchError(err) {
			log.FromContext(ctx).Error(err, "looking for the kind DatadogMonitor")
		}
		return err == nil, nil
	})
	return err == nil
}

// ofCheck reaches the monitor that a check was made of.
func ofCheck(_ context.Context, check *v1alpha1.HealthCheck) []reconcile.Request {
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
