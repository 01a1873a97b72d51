package rollout

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/schedule"
)

// gateOwner is an object that owns a gate of a Rollout.
type gateOwner struct {
	kind, name string
	uid        types.UID
}

// absent returns a placeholder for each gate that spec.requiredGates, a schedule or an Environment needs and that does not
// exist. A release must not be deployed before these gates are created. A gate that is being deleted does not count as one
// of them: its owner does not maintain it any more, so its state means nothing.
func (c *Controller) absent(ctx context.Context, ro *v1alpha1.Rollout, present []*v1alpha1.RolloutGate) ([]*v1alpha1.RolloutGate, error) {
	owners, err := c.schedules(ctx, ro)
	if err != nil {
		return nil, err
	}
	promoters, err := c.promoters(ctx, ro)
	if err != nil {
		return nil, err
	}
	missing := gate.MissingRequired(ro, present)
	for _, o := range append(owners, promoters...) {
		exists := slices.ContainsFunc(present, func(g *v1alpha1.RolloutGate) bool {
			owner := metav1.GetControllerOf(g)
			return owner != nil && owner.UID == o.uid && g.DeletionTimestamp.IsZero()
		})
		if !exists {
			missing = append(missing, gate.Placeholder(ro, o.kind, o.name, o.uid))
		}
	}
	return missing, nil
}

// schedules returns the schedules that select a Rollout.
func (c *Controller) schedules(ctx context.Context, ro *v1alpha1.Rollout) ([]gateOwner, error) {
	var own v1alpha1.RolloutScheduleList
	if err := c.client.List(ctx, &own, client.InNamespace(ro.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing RolloutSchedules: %w", err)
	}
	var all v1alpha1.ClusterRolloutScheduleList
	if err := c.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing ClusterRolloutSchedules: %w", err)
	}
	var owners []gateOwner
	for i := range own.Items {
		s := &own.Items[i]
		scope, err := schedule.NewScope(s.Spec, nil)
		if err == nil && s.DeletionTimestamp.IsZero() && scope.Selects(ro.Labels, nil) {
			owners = append(owners, gateOwner{v1alpha1.KindRolloutSchedule, s.Name, s.UID})
		}
	}
	for i := range all.Items {
		s := &all.Items[i]
		selects, err := c.selects(ctx, s, ro)
		if err != nil {
			return nil, err
		}
		if selects {
			owners = append(owners, gateOwner{v1alpha1.KindClusterRolloutSchedule, s.Name, s.UID})
		}
	}
	return owners, nil
}

// selects reports whether a cluster schedule selects a Rollout. An invalid one selects none.
func (c *Controller) selects(ctx context.Context, s *v1alpha1.ClusterRolloutSchedule, ro *v1alpha1.Rollout) (bool, error) {
	scope, problem := schedule.NewScope(s.Spec.ScheduleSpec, s.Spec.NamespaceSelector)
	if problem != nil || !s.DeletionTimestamp.IsZero() {
		return false, nil //nolint:nilerr // the schedule reports it
	}
	var ns corev1.Namespace
	if scope.Namespaces != nil {
		if err := c.client.Get(ctx, client.ObjectKey{Name: ro.Namespace}, &ns); err != nil {
			return false, fmt.Errorf("reading namespace %q: %w", ro.Namespace, err)
		}
	}
	return scope.Selects(ro.Labels, ns.Labels), nil
}

// promoters returns the Environments of a Rollout that have upstreams.
func (c *Controller) promoters(ctx context.Context, ro *v1alpha1.Rollout) ([]gateOwner, error) {
	var list environments.EnvironmentList
	if err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name}); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	var owners []gateOwner
	for i := range list.Items {
		if e := &list.Items[i]; e.DeletionTimestamp.IsZero() && environment.HasUpstreams(e.Spec) {
			owners = append(owners, gateOwner{"Environment", e.Name, e.UID})
		}
	}
	return owners, nil
}
