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

// Controller reconciles the HealthChecks of DatadogMonitors.
type Controller struct {
	client client.Client
	live   client.Reader
	events events.EventRecorder
	// pollInterval is how often the controller checks whether the kind DatadogMonitor is installed.
	pollInterval time.Duration
}

// New returns a Controller. Live reads without the cache: before it deletes a check, the controller reads the current
// monitor.
func New(c client.Client, live client.Reader, recorder events.EventRecorder) *Controller {
	return &Controller{client: c, live: live, events: recorder, pollInterval: time.Minute}
}

//+kubebuilder:rbac:groups=datadoghq.com,resources=datadogmonitors,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks,verbs=get;list;watch;create;patch;delete
//+kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile creates, updates or deletes the check of a monitor. The garbage collector deletes the check of a deleted
// monitor.
func (c *Controller) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	monitor, err := getMonitor(ctx, c.client, req.NamespacedName)
	if monitor == nil || !monitor.DeletionTimestamp.IsZero() {
		return kube.Finish(0, err)
	}
	check := &v1alpha1.HealthCheck{}
	err = c.client.Get(ctx, types.NamespacedName{Namespace: monitor.Namespace, Name: checkName(monitor.Name)}, check)
	exists := err == nil
	switch {
	case client.IgnoreNotFound(err) != nil:
		return kube.Finish(0, fmt.Errorf("reading the HealthCheck of DatadogMonitor %q: %w", monitor.Name, err))
	case exists && !check.DeletionTimestamp.IsZero():
		return ctrl.Result{}, nil // its deletion triggers another reconcile
	case !hasCheck(monitor) && exists && metav1.IsControlledBy(check, monitor):
		return kube.Finish(0, c.remove(ctx, monitor, check))
	case !hasCheck(monitor):
		return ctrl.Result{}, nil
	case !exists:
		return kube.Finish(0, c.create(ctx, monitor))
	case !isCheckOf(check, monitor):
		c.reportNameTaken(ctx, monitor, check)
		return ctrl.Result{}, nil
	}
	return kube.Finish(0, c.update(ctx, monitor, check))
}

// getMonitor returns the metadata of a monitor, or nil if the monitor or its kind does not exist.
func getMonitor(ctx context.Context, r client.Reader, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	monitor := newMonitorMetadata()
	err := r.Get(ctx, key, monitor)
	switch {
	case apierrors.IsNotFound(err), apimeta.IsNoMatchError(err):
		return nil, nil //nolint:nilnil // nil means that it does not exist
	case err != nil:
		return nil, fmt.Errorf("reading DatadogMonitor %q: %w", key, err)
	}
	return monitor, nil
}

// newMonitorMetadata returns an empty DatadogMonitor of which only the metadata is read.
func newMonitorMetadata() *metav1.PartialObjectMetadata {
	monitor := &metav1.PartialObjectMetadata{}
	monitor.SetGroupVersionKind(monitorKind)
	return monitor
}

// isCheckOf reports whether a check was created for a monitor. A check without an owner, such as after a restore, is
// identified by its label and annotation.
func isCheckOf(check *v1alpha1.HealthCheck, monitor *metav1.PartialObjectMetadata) bool {
	if owner := metav1.GetControllerOf(check); owner != nil {
		return owner.UID == monitor.UID
	}
	return check.Labels[LabelManagedBy] == ManagedBy && check.Annotations[AnnotationMonitorName] == monitor.Name
}

func (c *Controller) create(ctx context.Context, monitor *metav1.PartialObjectMetadata) error {
	check := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: monitor.Namespace, Name: checkName(monitor.Name)},
	}
	if err := setDesired(check, monitor); err != nil {
		return err
	}
	if err := c.client.Create(ctx, check, kube.FieldOwner); err != nil {
		return fmt.Errorf("creating the HealthCheck of DatadogMonitor %q: %w", monitor.Name, err)
	}
	log.FromContext(ctx).Info("created a HealthCheck", "healthcheck", check.Name)
	return nil
}

func (c *Controller) update(
	ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck,
) error {
	next := check.DeepCopy()
	if err := setDesired(next, monitor); err != nil {
		return err
	}
	if kube.RetainTrimmedOwners(check, next); equality.Semantic.DeepEqual(check, next) {
		return nil
	}
	patch := client.MergeFromWithOptions(check, client.MergeFromWithOptimisticLock{})
	if err := c.client.Patch(ctx, next, patch, kube.FieldOwner); err != nil {
		return fmt.Errorf("updating HealthCheck %q: %w", check.Name, err)
	}
	log.FromContext(ctx).Info("updated a HealthCheck", "healthcheck", check.Name)
	return nil
}

// remove deletes the check of a monitor, unless the monitor has the annotation again.
func (c *Controller) remove(
	ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck,
) error {
	now, err := getMonitor(ctx, c.live, client.ObjectKeyFromObject(monitor))
	if err != nil || now == nil || now.UID != monitor.UID || hasCheck(now) {
		return err
	}
	unchanged := client.Preconditions{UID: &check.UID, ResourceVersion: &check.ResourceVersion}
	if err := c.client.Delete(ctx, check, unchanged); err != nil {
		return fmt.Errorf("deleting HealthCheck %q: %w", check.Name, err)
	}
	log.FromContext(ctx).Info("deleted a HealthCheck", "healthcheck", check.Name)
	return nil
}

// eventHealthCheckExists means that a HealthCheck with the name of the monitor exists and does not belong to it.
//
// To do: rename or delete the HealthCheck.
const eventHealthCheckExists = "HealthCheckExists"

// reportNameTaken emits an event that another HealthCheck has the name. It emits none for the check of a deleted
// monitor with the same name, which the garbage collector is about to delete.
func (c *Controller) reportNameTaken(
	ctx context.Context, monitor *metav1.PartialObjectMetadata, check *v1alpha1.HealthCheck,
) {
	if owner := metav1.GetControllerOf(check); owner != nil && isMonitor(owner) && owner.Name == monitor.Name {
		log.FromContext(ctx).V(1).Info(
			"waiting for the deletion of the check of a deleted monitor", "healthcheck", check.Name,
		)
		return
	}
	c.events.Eventf(monitor, check, corev1.EventTypeWarning, eventHealthCheckExists, "MakeHealthCheck",
		"HealthCheck %s exists and does not belong to this monitor: rename or delete it", check.Name)
}
