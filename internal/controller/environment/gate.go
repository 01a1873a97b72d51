package environment

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

// reasonGateTaken means that the gate of that name belongs to another object.
const reasonGateTaken = "GateTaken"

// gates are the gates of a namespace.
type gates struct {
	// own are those that the Environment controls.
	own []*v1alpha1.RolloutGate
	// byName are all of them.
	byName map[string]*v1alpha1.RolloutGate
}

// gates returns the gates of the namespace of an Environment. They belong to the cache.
func (c *Controller) gates(ctx context.Context, e *environments.Environment) (gates, error) {
	var list v1alpha1.RolloutGateList
	if err := c.client.List(ctx, &list, client.InNamespace(e.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return gates{}, fmt.Errorf("listing RolloutGates: %w", err)
	}
	found := gates{byName: map[string]*v1alpha1.RolloutGate{}}
	for i := range list.Items {
		g := &list.Items[i]
		found.byName[g.Name] = g
		if isGateOf(g, e) && g.DeletionTimestamp.IsZero() {
			found.own = append(found.own, g)
		}
	}
	return found, nil
}

// gateName returns the name of the gate, such as production-after-staging. If another object owns the gate of that
// name, the name gets a suffix.
func (gs gates) gateName(e *environments.Environment) string {
	name := environment.GateName(e)
	if g := gs.byName[name]; g == nil || isGateOf(g, e) || isOrphaned(g) {
		return name
	}
	return version.UniqueName(name, "Environment/"+e.Name)
}

// isGateOf reports whether an Environment controls a gate.
func isGateOf(g *v1alpha1.RolloutGate, e *environments.Environment) bool {
	return gate.OwnedBy(g, "Environment", e.Name, e.UID)
}

// isOrphaned reports whether a gate of an Environment has lost its owner reference. Gates of users are not adopted.
func isOrphaned(g *v1alpha1.RolloutGate) bool {
	return metav1.GetControllerOf(g) == nil && g.Spec.Class == v1alpha1.GateClassEnvironment
}

// reconcileGate creates or updates the gate and returns it. It returns nil if the Environment needs none, or the name
// is taken. A new gate is closed until it has verdicts.
func (c *Controller) reconcileGate(
	ctx context.Context, e *environments.Environment, gs gates, o *observation,
) (*v1alpha1.RolloutGate, error) {
	if !environment.HasUpstreams(e.Spec) {
		return nil, c.deleteGates(ctx, gs.own, "")
	}
	name := gs.gateName(e)
	g := gs.byName[name]
	if g == nil {
		return c.createGate(ctx, e, gs, name)
	}
	next := g.DeepCopy()
	setGate(next, e)
	if err := controllerutil.SetControllerReference(e, next, c.client.Scheme()); err != nil {
		o.setProblem(reasonGateTaken, fmt.Errorf("the gate %s belongs to another object: %w", g.Name, err))
		return nil, nil //nolint:nilnil // the Rollout waits as long as its gate is missing
	}
	if kube.RetainTrimmedOwners(g, next); equality.Semantic.DeepEqual(g, next) {
		return g, nil
	}
	patch := client.MergeFromWithOptions(g, client.MergeFromWithOptimisticLock{})
	if err := c.client.Patch(ctx, next, patch, kube.FieldOwner); err != nil {
		return nil, fmt.Errorf("updating the gate %q: %w", g.Name, err)
	}
	return next, nil
}

// createGate creates the gate. If a gate that it replaces has passing: false, so does the new one.
func (c *Controller) createGate(
	ctx context.Context, e *environments.Environment, gs gates, name string,
) (*v1alpha1.RolloutGate, error) {
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name}}
	for _, old := range gs.own {
		if !ptr.Deref(old.Spec.Passing, true) {
			g.Spec.Passing = new(false)
		}
	}
	setGate(g, e)
	if err := controllerutil.SetControllerReference(e, g, c.client.Scheme()); err != nil {
		return nil, err
	}
	err := c.client.Create(ctx, g, kube.FieldOwner)
	if apierrors.IsAlreadyExists(err) { // the cache does not have it yet
		resource := v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource()
		return nil, apierrors.NewConflict(resource, g.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("creating the gate %q: %w", g.Name, err)
	}
	return g, nil
}

// deleteGates deletes all gates except the one with a name. Those of the public controller and of earlier versions have
// other names.
func (c *Controller) deleteGates(ctx context.Context, list []*v1alpha1.RolloutGate, except string) error {
	for _, g := range list {
		if g.Name == except {
			continue
		}
		err := c.client.Delete(ctx, g.DeepCopy(), client.Preconditions{UID: &g.UID})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the gate %q: %w", g.Name, err)
		}
	}
	return nil
}

// verdicts returns the verdicts of a gate, or of the one it replaces. A quarantine counts while the others cannot be
// read.
func (gs gates) verdicts(g *v1alpha1.RolloutGate) []v1alpha1.GateVerdict {
	list := g.Status.Verdicts
	for _, old := range gs.own {
		if len(list) == 0 {
			list = old.Status.Verdicts
		}
	}
	return list
}

// setGate sets the spec and the annotations of a gate.
func setGate(g *v1alpha1.RolloutGate, e *environments.Environment) {
	environment.SetGateSpec(&g.Spec, e.Spec.RolloutRef.Name)
	if g.Annotations == nil {
		g.Annotations = map[string]string{}
	}
	g.Annotations[v1alpha1.AnnotationGatePrettyName] = "Promotion to " + e.Spec.Environment
}

// updateVerdicts updates the verdicts of the gate. Then it deletes the gates that this one replaces, so that there is
// always a gate that holds releases.
func (c *Controller) updateVerdicts(ctx context.Context, gs gates, g *v1alpha1.RolloutGate, o *observation) error {
	if g == nil {
		return nil
	}
	if err := c.patchStatus(ctx, gs, g, o); err != nil {
		return err
	}
	return c.deleteGates(ctx, gs.own, g.Name)
}

func (c *Controller) patchStatus(ctx context.Context, gs gates, g *v1alpha1.RolloutGate, o *observation) error {
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts, o.nextChange = o.evaluation().Verdicts(gs.verdicts(g))
	condition := o.readyCondition()
	if list := next.Status.Verdicts; condition.Status == metav1.ConditionTrue && len(list) > 0 && list[0].Message != "" {
		condition.Message = list[0].Message // kubectl get gates prints no other message
	}
	condition.ObservedGeneration = g.Generation
	apimeta.SetStatusCondition(&next.Status.Conditions, condition)
	if equality.Semantic.DeepEqual(g.Status, next.Status) {
		return nil
	}
	return kube.PatchStatus(ctx, c.client, g, next)
}
