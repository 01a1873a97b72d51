package environment

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

// reasonTaken: the name of the gate is taken by a gate of another.
const reasonTaken = "GateTaken"

// gateName follows from the Environment.
func gateName(e *environments.Environment) string {
	return version.Distinct(e.Name+"-environment", "Environment/"+e.Name)
}

// keepGate makes the gate what it has to be, and returns it; nil if there is to be none. A new one is shut until it is judged.
func (c *Controller) keepGate(ctx context.Context, e *environments.Environment, v *view) (*v1alpha1.RolloutGate, error) {
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: gateName(e)}}
	err := c.client.Get(ctx, client.ObjectKeyFromObject(g), g)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("reading the gate %q: %w", g.Name, err)
	case !environment.Promotes(e.Spec):
		return nil, c.drop(ctx, e, g, err == nil)
	case err != nil:
		return c.create(ctx, e, g)
	}
	next := g.DeepCopy()
	shape(next, e)
	if err := controllerutil.SetControllerReference(e, next, c.client.Scheme()); err != nil {
		v.wrong(reasonTaken, fmt.Errorf("the gate %s belongs to another: %w", g.Name, err))
		return nil, nil //nolint:nilnil // without a gate of its own the Rollout is held anyway
	}
	if equality.Semantic.DeepEqual(g, next) {
		return g, nil
	}
	if err := c.client.Patch(ctx, next, client.MergeFromWithOptions(g, client.MergeFromWithOptimisticLock{}), kube.FieldOwner); err != nil {
		return nil, fmt.Errorf("writing the gate %q: %w", g.Name, err)
	}
	return next, nil
}

func (c *Controller) create(ctx context.Context, e *environments.Environment, g *v1alpha1.RolloutGate) (*v1alpha1.RolloutGate, error) {
	shape(g, e)
	if err := controllerutil.SetControllerReference(e, g, c.client.Scheme()); err != nil {
		return nil, err
	}
	err := c.client.Create(ctx, g, kube.FieldOwner)
	if apierrors.IsAlreadyExists(err) { // the cache does not know it yet
		return nil, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), g.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("making the gate %q: %w", g.Name, err)
	}
	return g, nil
}

func (c *Controller) drop(ctx context.Context, e *environments.Environment, g *v1alpha1.RolloutGate, exists bool) error {
	if !exists || !metav1.IsControlledBy(g, e) {
		return nil
	}
	err := c.client.Delete(ctx, g, client.Preconditions{UID: &g.UID})
	return client.IgnoreNotFound(err)
}

// shape makes a gate what it has to be, but for its owner.
func shape(g *v1alpha1.RolloutGate, e *environments.Environment) {
	environment.Shape(&g.Spec, e.Spec.RolloutRef.Name)
	if g.Annotations == nil {
		g.Annotations = map[string]string{}
	}
	g.Annotations[v1alpha1.AnnotationGatePrettyName] = "Promotion to " + e.Spec.Environment
}

// judge writes what the gate says of the releases that may come, and of those that could be gone back to.
func (c *Controller) judge(ctx context.Context, g *v1alpha1.RolloutGate, v *view) error {
	if g == nil {
		return nil
	}
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts, v.again = v.standing().Verdicts(g.Status.Verdicts)
	condition := v.condition()
	condition.ObservedGeneration = g.Generation
	apimeta.SetStatusCondition(&next.Status.Conditions, condition)
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, g, next)
}
