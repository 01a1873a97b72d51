package datadog

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

// Controller makes HealthChecks of DatadogMonitors.
type Controller struct {
	client client.Client
	live   client.Reader
	events events.EventRecorder
	// look is how often it is looked whether the kind is installed, until it is.
	look time.Duration
}

// New makes the controller. Live reads past the cache: a check is removed only on what is true now.
func New(c client.Client, live client.Reader, recorder events.EventRecorder) *Controller {
	return &Controller{client: c, live: live, events: recorder, look: time.Minute}
}

//+kubebuilder:rbac:groups=datadoghq.com,resources=datadogmonitors,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks,verbs=get;list;watch;create;patch;delete
//+kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile makes, keeps or removes the check of one monitor. That of a monitor that is gone is left to the garbage collector.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	monitor, err := read(ctx, c.client, req.NamespacedName)
	if monitor == nil || !monitor.DeletionTimestamp.IsZero() {
		return kube.Finish(0, err)
	}
	check := &v1alpha1.HealthCheck{}
	err = c.client.Get(ctx, types.NamespacedName{Namespace: monitor.Namespace, Name: name(monitor.Name)}, check)
	exists := err == nil
	switch {
	case client.IgnoreNotFound(err) != nil:
		return kube.Finish(0, fmt.Errorf("reading the HealthCheck of DatadogMonitor %q: %w", monitor.Name, err))
	case exists && !check.DeletionTimestamp.IsZero():
		return ctrl.Result{}, nil // its end is an event
	case !wanted(monitor) && exists && metav1.IsControlledBy(check, monitor):
		return kube.Finish(0, c.remove(ctx, monitor, check))
	case !wanted(monitor):
		return ctrl.Result{}, nil
	case !exists:
		return kube.Finish(0, c.create(ctx, monitor))
	case !belongs(check, monitor):
		c.taken(ctx, monitor, check)
		return ctrl.Result{}, nil
	}
	return kube.Finish(0, c.update(ctx, monitor, check))
}

// read returns nil where the monitor, or its kind, is not there.
func read(ctx context.Context, r client.Reader, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	monitor := blank()
	err := r.Get(ctx, key, monitor)
	switch {
	case apierrors.IsNotFound(err), apimeta.IsNoMatchError(err):
		return nil, nil //nolint:nilnil // there is none
	case err != nil:
		return nil, fmt.Errorf("reading DatadogMonitor %q: %w", key, err)
	}
	return monitor, nil
}

// blank is a DatadogMonitor of which only the metadata is read: all that is in it is for others.
func blank() *metav1.PartialObjectMetadata {
	monitor := &metav1.PartialObjectMetadata{}
	monitor.SetGroupVersionKind(monitorKind)
	return monitor
}

// belongs says whether a check was made of a monitor. One without any owner, as after a restore, says so itself.
func belongs(check *v1alpha1.HealthCheck, monitor *metav1.PartialObjectMetadata) bool {
	if owner := metav1.GetControllerOf(check); owner != nil {
		return owner.UID == monitor.UID
	}
	return check.Labels[LabelManagedBy] == ManagedBy && check.Annotations[AnnotationMonitorName] == monitor.Name
}

func (c *Controller) create(ctx context.Context, monitor *metav1.PartialObjectMetadata) error {
	check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: monitor.Namespace, Name: name(monitor.Name)}}
	if err := shape(check, monitor); err != nil {
		return err
	}
	if err := c.client.Create(ctx, check, kube.FieldOwner); err != nil {
		return fmt.Errorf("making the HealthCheck of DatadogMonitor %q: %w", monitor.Name, err)
	}
	log.FromContext(ctx).Info("made a HealthCheck", "healthcheck", check.Name)
	return nil
}

func (c *Controller) update(ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck) error {
	next := check.DeepCopy()
	if err := shape(next, monitor); err != nil || equality.Semantic.DeepEqual(check, next) {
		return err
	}
	if err := c.client.Patch(ctx, next, client.MergeFromWithOptions(check, client.MergeFromWithOptimisticLock{}), kube.FieldOwner); err != nil {
		return fmt.Errorf("updating HealthCheck %q: %w", check.Name, err)
	}
	log.FromContext(ctx).Info("updated a HealthCheck", "healthcheck", check.Name)
	return nil
}

// remove deletes a check whose monitor does not want it any more, if that is still so.
func (c *Controller) remove(ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck) error {
	now, err := read(ctx, c.live, client.ObjectKeyFromObject(monitor))
	if err != nil || now == nil || now.UID != monitor.UID || wanted(now) {
		return err
	}
	if err := c.client.Delete(ctx, check, client.Preconditions{UID: &check.UID, ResourceVersion: &check.ResourceVersion}); err != nil {
		return fmt.Errorf("removing HealthCheck %q: %w", check.Name, err)
	}
	log.FromContext(ctx).Info("removed a HealthCheck", "healthcheck", check.Name)
	return nil
}

// taken tells that the name of the check is somebody else's. A check of an earlier monitor of the same name is about to be
// collected, and its end is an event.
func (c *Controller) taken(ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck) {
	if owner := metav1.GetControllerOf(check); owner != nil && isMonitor(owner) && owner.Name == monitor.Name {
		log.FromContext(ctx).V(1).Info("waiting for the check of an earlier monitor to be collected", "healthcheck", check.Name)
		return
	}
	c.events.Eventf(monitor, check, corev1.EventTypeWarning, "HealthCheckExists", "MakeHealthCheck",
		"HealthCheck %s exists and was not made of this monitor: rename or delete it", check.Name)
}
