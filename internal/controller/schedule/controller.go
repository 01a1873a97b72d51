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
	// workers is how many schedules are worked on together, and share how many of one namespace.
	workers = 4
	share   = 1
	// retry is how soon a gate that could not be written is written again. It does not grow, as the next transition must not wait for
	// it.
	retry = 10 * time.Second
	// look is the longest wait. Timers go by the machine's own clock, which does not notice when the wall clock is set.
	look = time.Hour
)

// Controller keeps the gates and the status of schedules.
type Controller struct {
	client client.Client
	events events.EventRecorder
	clock  clock.PassiveClock
}

// New makes the controller.
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

// Register adds a controller for each of the two kinds to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	asked := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	labels := builder.WithPredicates(predicate.LabelChangedPredicate{})
	gates := builder.WithPredicates(gateChanged())

	one := reconcile.TypedFunc[*v1alpha1.RolloutSchedule](func(ctx context.Context, s *v1alpha1.RolloutSchedule) (ctrl.Result, error) {
		return c.reconcile(ctx, namespaced(s))
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("rolloutschedule").
		For(&v1alpha1.RolloutSchedule{}, asked).
		Watches(&v1alpha1.RolloutGate{}, kube.MapOf(ofGate(v1alpha1.KindRolloutSchedule)), gates).
		Watches(&v1alpha1.Rollout{}, kube.MapOf(c.ofRollout), labels).
		WithOptions(kube.Shared(workers, share)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), one))
	if err != nil {
		return err
	}
	all := reconcile.TypedFunc[*v1alpha1.ClusterRolloutSchedule](func(ctx context.Context, s *v1alpha1.ClusterRolloutSchedule) (ctrl.Result, error) {
		return c.reconcile(ctx, cluster(s))
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusterrolloutschedule").
		For(&v1alpha1.ClusterRolloutSchedule{}, asked).
		Watches(&v1alpha1.RolloutGate{}, kube.MapOf(ofGate(v1alpha1.KindClusterRolloutSchedule)), gates).
		Watches(&v1alpha1.Rollout{}, kube.MapOf(c.ofRolloutAnywhere), labels).
		Watches(&corev1.Namespace{}, kube.MapOf(c.ofNamespace), labels).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), all))
}

// reconcile brings the gates of one schedule in line with what it says now.
func (c *Controller) reconcile(ctx context.Context, s *subject) (ctrl.Result, error) {
	if !s.object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, nil // its gates go with it
	}
	existing, err := c.gates(ctx, s)
	if err != nil {
		return kube.Finish(0, err)
	}
	said := schedule.Evaluate(s.spec, c.clock.Now())
	var rollouts []types.NamespacedName
	if sc, problem := schedule.NewScope(s.spec, s.namespaces); problem == nil {
		rollouts, err = c.rollouts(ctx, s, sc)
	} else { // whom it is for cannot be told, so those stay held who are
		said = schedule.Evaluation{Zone: said.Zone, Reason: v1alpha1.ReasonScheduleInvalid, Problem: problem.Error()}
		rollouts = heldBy(existing)
	}
	if err != nil {
		return kube.Finish(0, err)
	}
	out := c.carryOut(ctx, s, arrange(s, rollouts, existing), said)
	if err := c.report(ctx, s, said, out); err != nil {
		return kube.Finish(0, err)
	}
	return kube.Finish(c.wait(said, out), out.conflict)
}

// wait is how long nothing has to be done.
func (c *Controller) wait(said schedule.Evaluation, out outcome) time.Duration {
	wait := look
	if !said.Again.IsZero() {
		wait = min(wait, max(said.Again.Sub(c.clock.Now()), time.Millisecond))
	}
	if len(out.failed) > 0 {
		wait = min(wait, retry)
	}
	return wait
}

// key names a schedule in the index. Long names are shortened as in labels.
func (s *subject) key() string { return key(s.kind, s.object.GetNamespace(), s.object.GetName()) }

// String names the schedule for a person.
func (s *subject) String() string {
	if s.kind == v1alpha1.KindClusterRolloutSchedule {
		return "cluster schedule " + s.object.GetName()
	}
	return "schedule " + s.object.GetName()
}

// place names an object as the status of the schedule does.
func (s *subject) place(namespace, name string) string {
	if s.kind == v1alpha1.KindClusterRolloutSchedule {
		return fmt.Sprintf("%s/%s", namespace, name)
	}
	return name
}
