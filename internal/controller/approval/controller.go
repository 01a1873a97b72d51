package approval

import (
	"context"
	"fmt"
	"slices"
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

// Reader reads the Approvals and Overrides of releases. approval.Reader implements it.
type Reader interface {
	Read(ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release) (approval.Approvals, error)
}

// Controller writes the condition Counted of Approvals and Overrides.
type Controller struct {
	client client.Client
	clock  clock.PassiveClock
	reader Reader
	// messages limits writes that change messages only.
	messages kube.Messages
}

// New returns a Controller.
func New(c client.Client, clk clock.PassiveClock, reader Reader) *Controller {
	return &Controller{client: c, clock: clk, reader: reader}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=approvals;overrides,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=approvals/status;overrides/status,verbs=patch

// Register adds the controller to a manager. A request names a Release, whether it exists or not: all Approvals and
// Overrides of one Release are evaluated together, so that the cost of many stays linear.
func (c *Controller) Register(mgr ctrl.Manager) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("approval").
		Watches(&v1alpha1.Approval{}, kube.EnqueueRequests(requestsForApproval)).
		Watches(&v1alpha1.Override{}, kube.EnqueueRequests(requestsForOverride)).
		Watches(&v1alpha1.Release{}, &handler.EnqueueRequestForObject{}).
		Watches(&v1alpha1.RolloutGate{}, kube.EnqueueRequests(c.requestsForGate),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(kube.FairOptions(workers, share))
	for _, kind := range approval.PolicyKinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(c.requestsForPolicy),
			builder.WithPredicates(predicate.NewPredicateFuncs(approval.IsPolicy)))
	}
	return b.Complete(c)
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

func requestsForApproval(_ context.Context, a *v1alpha1.Approval) []reconcile.Request {
	return []reconcile.Request{request(a.Namespace, a.Spec.ReleaseRef.Name)}
}

func requestsForOverride(_ context.Context, o *v1alpha1.Override) []reconcile.Request {
	return []reconcile.Request{request(o.Namespace, o.Spec.ReleaseRef.Name)}
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

// requestsForPolicy returns the Releases of all Approvals and Overrides: the policy decides whether their users are
// proven.
func (c *Controller) requestsForPolicy(ctx context.Context, _ client.Object) []reconcile.Request {
	var approvals v1alpha1.ApprovalList
	var overrides v1alpha1.OverrideList
	for _, list := range []client.ObjectList{&approvals, &overrides} {
		if err := c.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "listing Approvals and Overrides")
			return nil
		}
	}
	var requests []reconcile.Request
	for i := range approvals.Items {
		requests = append(requests, requestsForApproval(ctx, &approvals.Items[i])...)
	}
	for i := range overrides.Items {
		requests = append(requests, requestsForOverride(ctx, &overrides.Items[i])...)
	}
	return requests
}

// Reconcile writes the status of the Approvals and Overrides of one Release.
func (c *Controller) Reconcile(ctx context.Context, r reconcile.Request) (ctrl.Result, error) {
	statements, err := c.statements(ctx, r.NamespacedName)
	if err != nil || len(statements) == 0 {
		return kube.Finish(0, err)
	}
	input, err := c.read(ctx, r.NamespacedName)
	if err != nil {
		return kube.Finish(0, err)
	}
	var wait time.Duration
	for _, s := range statements {
		if !s.before.GetDeletionTimestamp().IsZero() {
			continue
		}
		result := s.evaluate(input)
		wait = kube.Sooner(wait, result.until.Sub(c.clock.Now()))
		held, err := c.write(ctx, s, result)
		if client.IgnoreNotFound(err) != nil {
			return kube.Finish(0, err)
		}
		wait = kube.Sooner(wait, held)
	}
	return kube.Finish(wait, nil)
}

// Kinds of statements.
const (
	kindApproval = "Approval"
	kindOverride = "Override"
)

// statement is an Approval or an Override.
type statement struct {
	kind string
	// before is the object as it was read, and next a copy with the conditions.
	before, next client.Object
	conditions   *[]metav1.Condition
	evaluate     func(*input) result
}

// statements lists the Approvals and Overrides of a Release.
func (c *Controller) statements(ctx context.Context, key client.ObjectKey) ([]statement, error) {
	var approvals v1alpha1.ApprovalList
	var overrides v1alpha1.OverrideList
	for _, list := range []client.ObjectList{&approvals, &overrides} {
		err := c.client.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingFields{kube.ByRelease: key.Name})
		if err != nil {
			return nil, fmt.Errorf("listing Approvals and Overrides: %w", err)
		}
	}
	var all []statement
	for i := range approvals.Items {
		a, next := &approvals.Items[i], approvals.Items[i].DeepCopy()
		all = append(all, statement{
			kindApproval, a, next, &next.Status.Conditions, func(in *input) result { return in.evaluate(a) },
		})
	}
	for i := range overrides.Items {
		o, next := &overrides.Items[i], overrides.Items[i].DeepCopy()
		all = append(all, statement{
			kindOverride, o, next, &next.Status.Conditions, func(in *input) result { return in.override(o) },
		})
	}
	return all, nil
}

// write stores a result, if it is another than before. What was counted stays so once the release does not wait any
// more. It returns after what time to write a result if it is too early for a change of the message only; 0 if it is
// written.
func (c *Controller) write(ctx context.Context, s statement, r result) (held time.Duration, err error) {
	if r.final && apimeta.IsStatusConditionTrue(*s.conditions, v1alpha1.ConditionCounted) {
		return 0, nil
	}
	condition := r.condition(s.kind, s.before.GetGeneration())
	condition.LastTransitionTime = metav1.NewTime(c.clock.Now().Truncate(time.Second))
	before := slices.Clone(*s.conditions)
	if !apimeta.SetStatusCondition(s.conditions, condition) {
		return 0, nil
	}
	if held := c.messages.Hold(s.before.GetUID(), before, *s.conditions, c.clock.Now()); held > 0 {
		return held, nil
	}
	return 0, kube.PatchStatus(ctx, c.client, s.before, s.next)
}
