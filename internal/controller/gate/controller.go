package gate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	workers = 4
	most    = 20
)

// Controller reports what gates say.
type Controller struct {
	client client.Client
	clock  clock.PassiveClock
}

// New makes the controller.
func New(c client.Client, clk clock.PassiveClock) *Controller {
	return &Controller{client: c, clock: clk}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates/status,verbs=patch

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("gate").
		For(&v1alpha1.RolloutGate{}).
		Watches(&v1alpha1.Rollout{}, handler.EnqueueRequestsFromMapFunc(c.ofRollout)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

func (c *Controller) ofRollout(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1alpha1.RolloutGateList
	err := c.client.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.MatchingFields{kube.ByRollout: o.GetName()})
	if err != nil {
		log.FromContext(ctx).Error(err, "listing RolloutGates")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// Reconcile writes what one gate says of the candidates of its Rollout.
func (c *Controller) Reconcile(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
	if !gate.Ours(g) {
		return ctrl.Result{}, nil
	}
	var ro v1alpha1.Rollout
	key := types.NamespacedName{Namespace: g.Namespace, Name: g.Spec.RolloutRef.Name}
	err := c.client.Get(ctx, key, &ro)
	if client.IgnoreNotFound(err) != nil {
		return kube.Finish(0, fmt.Errorf("reading Rollout %q: %w", key, err))
	}
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts = verdicts(g, &ro, c.clock.Now())
	apimeta.SetStatusCondition(&next.Status.Conditions, ready(g, key.Name, apierrors.IsNotFound(err)))
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return ctrl.Result{}, nil
	}
	return kube.Finish(0, kube.PatchStatus(ctx, c.client, g, next))
}

// verdicts are for the candidates, newest first, each since it was first given.
func verdicts(g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout, now time.Time) []v1alpha1.GateVerdict {
	var list []v1alpha1.GateVerdict
	for _, candidate := range ro.Status.ReleaseCandidates[:min(len(ro.Status.ReleaseCandidates), most)] {
		id := version.Identity(candidate)
		v := gate.Evaluate(g, id)
		verdict := v1alpha1.GateVerdict{
			Release: id.Tag, Digest: id.Digest, State: v.State, Reason: v.Reason, Message: v.Message,
			Since: &metav1.Time{Time: now.Truncate(time.Second)},
		}
		same := func(old v1alpha1.GateVerdict) bool {
			return old.Release == id.Tag && old.Digest == id.Digest && old.State == v.State && old.Reason == v.Reason
		}
		if i := slices.IndexFunc(g.Status.Verdicts, same); i >= 0 && g.Status.Verdicts[i].Since != nil {
			verdict.Since = g.Status.Verdicts[i].Since
		}
		list = append(list, verdict)
	}
	return list
}

func ready(g *v1alpha1.RolloutGate, rollout string, missing bool) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Evaluated",
		Message: "the gate answers for Rollout " + rollout, ObservedGeneration: g.Generation,
	}
	switch {
	case rollout == "":
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "NoRollout", "spec.rolloutRef.name is missing: the gate holds nothing"
	case missing:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "RolloutNotFound", "Rollout "+rollout+" does not exist in the namespace of the gate"
	}
	return c
}
