package gate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// workers is the number of http gates that are reconciled concurrently, and share the number per namespace. Most of
	// the time they wait for an answer.
	workers = 64
	share   = 8
	// localWorkers and localShare are the same for all other gates, which call nothing.
	localWorkers = 16
	localShare   = 4
)

// Controller writes the status of gates.
type Controller struct {
	client    client.Client
	clock     clock.PassiveClock
	approvals *approval.Reader
	asker     Asker
	answers   *answers
	budget    *fair.Budget
	// messages limits writes that change messages only.
	messages kube.Messages
	// asks are the reconciles in progress of http gates.
	asks kube.ActiveReconciles
}

// New returns a Controller.
func New(c client.Client, clk clock.PassiveClock, options ...Option) *Controller {
	controller := &Controller{client: c, clock: clk, budget: &fair.Budget{}}
	for _, o := range options {
		o(controller)
	}
	return controller
}

//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates/status,verbs=patch

// others is the queue of all gates that are neither manual nor http.
const others = ""

// queue returns which of the three controllers reconciles a gate.
func queue(g *v1alpha1.RolloutGate) string {
	if class := gate.Class(g); class == v1alpha1.GateClassManual || class == v1alpha1.GateClassHTTP {
		return class
	}
	return others
}

// Register adds three controllers to a manager: for manual gates, for http gates, which must not delay the others, and
// for all other gates, whose verdicts other controllers write.
func (c *Controller) Register(mgr ctrl.Manager) error {
	manual := ctrl.NewControllerManagedBy(mgr).
		Named("gate").
		Watches(&v1alpha1.Approval{}, kube.EnqueueRequests(c.requestsForApproval)).
		WithOptions(kube.FairOptions(localWorkers, localShare))
	if err := c.complete(mgr, manual, v1alpha1.GateClassManual); err != nil {
		return err
	}
	other := ctrl.NewControllerManagedBy(mgr).Named("gate-other").WithOptions(kube.FairOptions(localWorkers, localShare))
	if err := c.complete(mgr, other, others); err != nil {
		return err
	}
	http := ctrl.NewControllerManagedBy(mgr).
		Named("gate-http").
		Watches(&v1alpha1.RolloutGate{}, &c.asks).
		WithOptions(kube.FairOptions(workers, share))
	return c.complete(mgr, http, v1alpha1.GateClassHTTP)
}

// complete adds what the controllers have in common. Each ignores the gates of the other queues.
func (c *Controller) complete(mgr ctrl.Manager, b *builder.Builder, class string) error {
	owns := func(g *v1alpha1.RolloutGate) bool { return queue(g) == class }
	return b.
		For(&v1alpha1.RolloutGate{}, builder.WithPredicates(kube.ObjectsMatching(owns))).
		Watches(&v1alpha1.Rollout{},
			kube.EnqueueRequests(func(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
				return c.requestsForRollout(ctx, client.ObjectKeyFromObject(ro), class)
			})).
		Complete(reconcile.AsReconciler(mgr.GetClient(), reconcile.TypedFunc[*v1alpha1.RolloutGate](
			func(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
				if !owns(g) {
					return ctrl.Result{}, nil
				}
				return c.Reconcile(ctx, g)
			})))
}

// requestsForApproval returns the manual gates of the Rollout whose Release an Approval names.
func (c *Controller) requestsForApproval(ctx context.Context, a *v1alpha1.Approval) []reconcile.Request {
	ro, found := approval.RolloutFor(ctx, c.client, a)
	if !found {
		return nil
	}
	return c.requestsForRollout(ctx, ro, v1alpha1.GateClassManual)
}

// requestsForRollout returns the gates of a Rollout that are in a queue.
func (c *Controller) requestsForRollout(
	ctx context.Context, ro types.NamespacedName, class string,
) []reconcile.Request {
	var list v1alpha1.RolloutGateList
	err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "listing RolloutGates")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if g := &list.Items[i]; queue(g) == class {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(g)})
		}
	}
	return requests
}

// Reconcile writes the verdicts of one gate for the candidates of its Rollout.
func (c *Controller) Reconcile(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
	g, err := c.bindDigests(ctx, g)
	if err != nil {
		return kube.Finish(0, err)
	}
	switch gate.Class(g) {
	case v1alpha1.GateClassManual:
		return c.reconcileManual(ctx, g)
	case v1alpha1.GateClassHTTP:
		return c.reconcileHTTP(ctx, g)
	case v1alpha1.GateClassEnvironment:
		return ctrl.Result{}, nil
	}
	return kube.Finish(0, c.reconcileOther(ctx, g))
}

// bindDigests writes the digests of the tags in spec.allowedVersions to the status, and returns the gate as it is
// stored. The write fails if the gate has changed since it was read, so that a digest in the status is never replaced.
func (c *Controller) bindDigests(ctx context.Context, g *v1alpha1.RolloutGate) (*v1alpha1.RolloutGate, error) {
	if g.Spec.AllowedVersions == nil && len(g.Status.AllowedVersions) == 0 || !g.DeletionTimestamp.IsZero() {
		return g, nil
	}
	ro, missing, err := c.rollout(ctx, g)
	if err != nil || missing {
		return g, err
	}
	next := g.DeepCopy()
	next.Status.AllowedVersions = gate.BindDigests(g, ro.Status.AvailableReleases)
	if slices.Equal(g.Status.AllowedVersions, next.Status.AllowedVersions) {
		return g, nil
	}
	return next, kube.PatchStatus(ctx, c.client, g, next)
}

// rollout returns the Rollout of a gate. Missing is true if it does not exist.
func (c *Controller) rollout(
	ctx context.Context, g *v1alpha1.RolloutGate,
) (ro *v1alpha1.Rollout, missing bool, err error) {
	ro = &v1alpha1.Rollout{}
	key := types.NamespacedName{Namespace: g.Namespace, Name: g.Spec.RolloutRef.Name}
	err = c.client.Get(ctx, key, ro)
	if client.IgnoreNotFound(err) != nil {
		return nil, false, fmt.Errorf("reading Rollout %q: %w", key, err)
	}
	return ro, err != nil, nil
}

// write writes the verdicts and the condition Ready of a gate, if they have changed. It returns after what time to
// write them if it is too early for a change of messages only; 0 if they are written.
func (c *Controller) write(
	ctx context.Context, g *v1alpha1.RolloutGate, list []v1alpha1.GateVerdict, missing bool,
) (time.Duration, error) {
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts = list
	condition := ready(g, list, missing)
	if g.Spec.HTTP != nil && c.asker != nil && condition.Status == metav1.ConditionTrue {
		if err := c.asker.Compile(ctx, g); err != nil {
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, editReasons()[0],
				version.Clean(err.Error(), 1024)
		}
	}
	apimeta.SetStatusCondition(&next.Status.Conditions, condition)
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return 0, nil
	}
	if wait := c.messages.Hold(g.UID, g.Status, next.Status, c.clock.Now()); wait > 0 {
		return wait, nil
	}
	return 0, kube.PatchStatus(ctx, c.client, g, next)
}
