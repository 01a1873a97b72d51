package approval

import (
	"context"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/kube"
)

// workers is how many releases are worked on together, and share how many of one namespace.
const (
	workers = 8
	share   = 2
)

// Reader reads the Approvals of releases. approval.Reader implements it.
type Reader interface {
	Read(ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release) (approval.Approvals, error)
}

// Controller writes the condition Counted of Approvals.
type Controller struct {
	client client.Client
	clock  clock.PassiveClock
	reader Reader
}

// New returns a Controller.
func New(c client.Client, clk clock.PassiveClock, reader Reader) *Controller {
	return &Controller{client: c, clock: clk, reader: reader}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=approvals,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=approvals/status,verbs=patch

// Register adds the controller to a manager. A request names a Release, whether it exists or not: all Approvals of one
// Release are evaluated together, so that the cost of many Approvals stays linear.
func (c *Controller) Register(mgr ctrl.Manager) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("approval").
		Watches(&v1alpha1.Approval{}, kube.EnqueueRequests(requestsForApproval)).
		Watches(&v1alpha1.Release{}, &handler.EnqueueRequestForObject{}).
		Watches(&v1alpha1.RolloutGate{}, kube.EnqueueRequests(c.requestsForGate), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(kube.FairOptions(workers, share))
	for _, kind := range approval.PolicyKinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(c.requestsForPolicy), builder.WithPredicates(predicate.NewPredicateFuncs(approval.IsPolicy)))
	}
	return b.Complete(c)
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

func requestsForApproval(_ context.Context, a *v1alpha1.Approval) []reconcile.Request {
	return []reconcile.Request{request(a.Namespace, a.Spec.ReleaseName)}
}

// requestsForGate returns the Releases of the Rollout of a gate.
func (c *Controller) requestsForGate(ctx context.Context, g *v1alpha1.RolloutGate) []reconcile.Request {
	var list v1alpha1.ReleaseList
	rollout := client.MatchingFields{kube.ByRollout: g.Spec.RolloutRef.Name}
	err := c.client.List(ctx, &list, client.InNamespace(g.Namespace), rollout, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "listing Releases")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, request(g.Namespace, list.Items[i].Name))
	}
	return requests
}

// requestsForPolicy returns the Releases of all Approvals: the policy decides whether their users are proven.
func (c *Controller) requestsForPolicy(ctx context.Context, _ client.Object) []reconcile.Request {
	var list v1alpha1.ApprovalList
	if err := c.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing Approvals")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, requestsForApproval(ctx, &list.Items[i])...)
	}
	return requests
}

// Reconcile writes the status of the Approvals of one Release.
func (c *Controller) Reconcile(ctx context.Context, r reconcile.Request) (ctrl.Result, error) {
	var list v1alpha1.ApprovalList
	err := c.client.List(ctx, &list, client.InNamespace(r.Namespace), client.MatchingFields{kube.ByRelease: r.Name})
	if err != nil {
		return kube.Finish(0, fmt.Errorf("listing Approvals: %w", err))
	}
	if len(list.Items) == 0 {
		return ctrl.Result{}, nil
	}
	input, err := c.read(ctx, r.NamespacedName)
	if err != nil {
		return kube.Finish(0, err)
	}
	var wait time.Duration
	for i := range list.Items {
		a := &list.Items[i]
		if !a.DeletionTimestamp.IsZero() {
			continue
		}
		result := input.evaluate(a)
		if left := result.until.Sub(c.clock.Now()); left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
		if err := c.write(ctx, a, result); client.IgnoreNotFound(err) != nil {
			return kube.Finish(0, err)
		}
	}
	return kube.Finish(wait, nil)
}

// write stores a result, if it is another than before. An Approval that was counted stays so once the release does not
// wait any more.
func (c *Controller) write(ctx context.Context, a *v1alpha1.Approval, result result) error {
	if result.final && apimeta.IsStatusConditionTrue(a.Status.Conditions, v1alpha1.ConditionCounted) {
		return nil
	}
	condition := result.condition(a.Generation)
	condition.LastTransitionTime = metav1.NewTime(c.clock.Now().Truncate(time.Second))
	next := a.DeepCopy()
	if !apimeta.SetStatusCondition(&next.Status.Conditions, condition) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, a, next)
}
