package schedule

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/schedule"
)

const (
	// workers is the number of schedules that are reconciled concurrently.
	workers = 4
	// workersPerNamespace is the number of schedules of one namespace that are reconciled concurrently.
	workersPerNamespace = 1
	// retryInterval is the delay before a gate that could not be written is written again. It has no backoff, because
	// it must not delay the next transition.
	retryInterval = 10 * time.Second
	// maxWait is the longest time between two reconciles. Timers use the monotonic clock, which does not notice changes
	// of the wall clock.
	maxWait = time.Hour
)

// Controller reconciles the gates and the status of schedules.
type Controller struct {
	client client.Client
	events events.EventRecorder
	clock  clock.PassiveClock
}

// New returns a Controller.
func New(c client.Client, recorder events.EventRecorder, clk clock.PassiveClock) *Controller {
	return &Controller{client: c, events: recorder, clock: clk}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutschedules;clusterrolloutschedules,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutschedules/status;clusterrolloutschedules/status,verbs=patch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutschedules/finalizers;clusterrolloutschedules/finalizers,verbs=update
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates,verbs=get;list;watch;create;patch;delete
//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts,verbs=get;list;watch
//+kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
//+kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Register adds a controller for each of the two kinds to the manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	specChanged := builder.WithPredicates(
		predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}),
	)
	labelsChanged := builder.WithPredicates(predicate.LabelChangedPredicate{})
	gateEvents := builder.WithPredicates(gateChanged())

	namespacedReconciler := reconcile.TypedFunc[*v1alpha1.RolloutSchedule](
		func(ctx context.Context, s *v1alpha1.RolloutSchedule) (ctrl.Result, error) {
			return c.reconcile(ctx, namespaced(s))
		})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("rolloutschedule").
		For(&v1alpha1.RolloutSchedule{}, specChanged).
		Watches(&v1alpha1.RolloutGate{}, kube.EnqueueRequests(requestsForGate(v1alpha1.KindRolloutSchedule)), gateEvents).
		Watches(&v1alpha1.Rollout{}, kube.EnqueueRequests(c.requestsForRollout), labelsChanged).
		WithOptions(kube.FairOptions(workers, workersPerNamespace)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), namespacedReconciler))
	if err != nil {
		return err
	}
	clusterReconciler := reconcile.TypedFunc[*v1alpha1.ClusterRolloutSchedule](
		func(ctx context.Context, s *v1alpha1.ClusterRolloutSchedule) (ctrl.Result, error) {
			return c.reconcile(ctx, cluster(s))
		})
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusterrolloutschedule").
		For(&v1alpha1.ClusterRolloutSchedule{}, specChanged).
		Watches(&v1alpha1.RolloutGate{}, kube.EnqueueRequests(requestsForGate(v1alpha1.KindClusterRolloutSchedule)),
			gateEvents).
		Watches(&v1alpha1.Rollout{}, kube.EnqueueRequests(c.clusterRequestsForRollout), labelsChanged).
		Watches(&corev1.Namespace{}, kube.EnqueueRequests(c.requestsForNamespace), labelsChanged).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), clusterReconciler))
}

// reconcile brings the gates and the status of a schedule in line with its evaluation.
func (c *Controller) reconcile(ctx context.Context, s *anySchedule) (ctrl.Result, error) {
	if !s.object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, nil // the garbage collector deletes its gates
	}
	existing, err := c.gates(ctx, s)
	if err != nil {
		return kube.Finish(0, err)
	}
	eval := schedule.Evaluate(s.spec, c.clock.Now())
	var rollouts []types.NamespacedName
	if sc, problem := schedule.NewScope(s.spec, s.namespaces); problem == nil {
		rollouts, err = c.rollouts(ctx, s, sc)
	} else { // the selectors are invalid, so the Rollouts that have gates keep them
		eval = schedule.Evaluation{Zone: eval.Zone, Reason: v1alpha1.ReasonScheduleInvalid, Problem: problem.Error()}
		rollouts = rolloutsOf(existing)
	}
	if err != nil {
		return kube.Finish(0, err)
	}
	res := c.apply(ctx, s, newPlan(s, rollouts, existing), eval)
	if err := c.updateStatus(ctx, s, eval, res); err != nil {
		return kube.Finish(0, err)
	}
	return kube.Finish(c.wait(eval, res), res.conflict)
}

// wait returns the time until the next reconcile.
func (c *Controller) wait(eval schedule.Evaluation, res result) time.Duration {
	wait := maxWait
	if !eval.NextChange.IsZero() {
		wait = min(wait, max(eval.NextChange.Sub(c.clock.Now()), time.Millisecond))
	}
	if len(res.failed) > 0 {
		wait = min(wait, retryInterval)
	}
	if res.more {
		wait = min(wait, removalInterval)
	}
	return wait
}

// key returns the index key of the schedule.
func (s *anySchedule) key() string {
	return indexKey(s.kind, s.object.GetNamespace(), s.object.GetName())
}

// String returns the name of the schedule for messages.
func (s *anySchedule) String() string {
	return schedule.Label(s.kind, s.object.GetName())
}

// qualifiedName returns the name of an object as it appears in the status of the schedule.
func (s *anySchedule) qualifiedName(namespace, name string) string {
	if s.kind == v1alpha1.KindClusterRolloutSchedule {
		return fmt.Sprintf("%s/%s", namespace, name)
	}
	return name
}
