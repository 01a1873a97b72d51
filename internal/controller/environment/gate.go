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

// gates are those that an Environment may have to do with.
type gates struct {
	// own are controlled by the Environment.
	own []*v1alpha1.RolloutGate
	// names are all gates of the namespace by their names.
	names map[string]*v1alpha1.RolloutGate
}

// gates reads the gates of the namespace of an Environment. They belong to the cache.
func (c *Controller) gates(ctx context.Context, e *environments.Environment) (gates, error) {
	var list v1alpha1.RolloutGateList
	if err := c.client.List(ctx, &list, client.InNamespace(e.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return gates{}, fmt.Errorf("listing RolloutGates: %w", err)
	}
	found := gates{names: map[string]*v1alpha1.RolloutGate{}}
	for i := range list.Items {
		g := &list.Items[i]
		found.names[g.Name] = g
		if metav1.IsControlledBy(g, e) && g.DeletionTimestamp.IsZero() {
			found.own = append(found.own, g)
		}
	}
	return found, nil
}

// gateName is the name that tells what the gate is for, such as production-after-staging. If another object has that gate, the name gets a
// suffix.
func (gs gates) gateName(e *environments.Environment) string {
	name := environment.GateName(e)
	if g := gs.names[name]; g == nil || metav1.IsControlledBy(g, e) || lost(g) {
		return name
	}
	return version.UniqueName(name, "Environment/"+e.Name)
}

// lost reports whether a gate of an Environment says no more whose it is. Gates of people are not taken.
func lost(g *v1alpha1.RolloutGate) bool {
	return metav1.GetControllerOf(g) == nil && g.Spec.Class == v1alpha1.GateClassEnvironment
}

// keepGate makes the gate what it has to be, and returns it; nil if there is to be none. A new one is shut until it is judged.
func (c *Controller) keepGate(ctx context.Context, e *environments.Environment, gs gates, v *view) (*v1alpha1.RolloutGate, error) {
	if !environment.Promotes(e.Spec) {
		return nil, c.drop(ctx, gs.own, "")
	}
	name := gs.gateName(e)
	g := gs.names[name]
	if g == nil {
		return c.create(ctx, e, gs, name)
	}
	next := g.DeepCopy()
	shape(next, e)
	if err := controllerutil.SetControllerReference(e, next, c.client.Scheme()); err != nil {
		v.wrong(reasonTaken, fmt.Errorf("the gate %s belongs to another object: %w", g.Name, err))
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

// create makes the gate. It is shut if a gate that it replaces is: somebody holds everything.
func (c *Controller) create(ctx context.Context, e *environments.Environment, gs gates, name string) (*v1alpha1.RolloutGate, error) {
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name}}
	for _, old := range gs.own {
		if old.Spec.Passing != nil && !*old.Spec.Passing {
			g.Spec.Passing = new(false)
		}
	}
	shape(g, e)
	if err := controllerutil.SetControllerReference(e, g, c.client.Scheme()); err != nil {
		return nil, err
	}
	err := c.client.Create(ctx, g, kube.FieldOwner)
	if apierrors.IsAlreadyExists(err) { // the cache does not know it yet
		return nil, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), g.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("creating the gate %q: %w", g.Name, err)
	}
	return g, nil
}

// drop deletes gates but the one of a name. Those of the public controller and of earlier versions have other names.
func (c *Controller) drop(ctx context.Context, list []*v1alpha1.RolloutGate, but string) error {
	for _, g := range list {
		if g.Name == but {
			continue
		}
		err := c.client.Delete(ctx, g.DeepCopy(), client.Preconditions{UID: &g.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the gate %q: %w", g.Name, err)
		}
	}
	return nil
}

// verdicts are those that a gate has, or that the one it replaces had: a quarantine is remembered while the others cannot be read.
func (gs gates) verdicts(g *v1alpha1.RolloutGate) []v1alpha1.GateVerdict {
	list := g.Status.Verdicts
	for _, old := range gs.own {
		if len(list) == 0 {
			list = old.Status.Verdicts
		}
	}
	return list
}

// shape makes a gate what it has to be, but for its owner.
func shape(g *v1alpha1.RolloutGate, e *environments.Environment) {
	environment.Shape(&g.Spec, e.Spec.RolloutRef.Name)
	if g.Annotations == nil {
		g.Annotations = map[string]string{}
	}
	g.Annotations[v1alpha1.AnnotationGatePrettyName] = "Promotion to " + e.Spec.Environment
}

// judge writes what the gate says of the releases that may come, and of those that could be gone back to. Only then do the gates go that
// it replaces, so that there is always one that holds.
func (c *Controller) judge(ctx context.Context, gs gates, g *v1alpha1.RolloutGate, v *view) error {
	if g == nil {
		return nil
	}
	if err := c.write(ctx, gs, g, v); err != nil {
		return err
	}
	return c.drop(ctx, gs.own, g.Name)
}

func (c *Controller) write(ctx context.Context, gs gates, g *v1alpha1.RolloutGate, v *view) error {
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts, v.again = v.standing().Verdicts(gs.verdicts(g))
	condition := v.condition()
	condition.ObservedGeneration = g.Generation
	apimeta.SetStatusCondition(&next.Status.Conditions, condition)
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, g, next)
}
