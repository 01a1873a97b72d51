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

// keeper is an object that is to keep a gate for a Rollout.
type keeper struct {
	kind, name string
	uid        types.UID
}

// absent lists, as closed gates, those that spec.requiredGates, a schedule or an Environment calls for and that do not exist: not yet, or
// because somebody deleted them. A release must not go out before they are created.
func (c *Controller) absent(ctx context.Context, ro *v1alpha1.Rollout, there []*v1alpha1.RolloutGate) ([]*v1alpha1.RolloutGate, error) {
	keepers, err := c.schedules(ctx, ro)
	if err != nil {
		return nil, err
	}
	promoters, err := c.promoters(ctx, ro)
	if err != nil {
		return nil, err
	}
	missing := gate.Required(ro, there)
	for _, k := range append(keepers, promoters...) {
		kept := slices.ContainsFunc(there, func(g *v1alpha1.RolloutGate) bool {
			owner := metav1.GetControllerOf(g)
			return owner != nil && owner.UID == k.uid
		})
		if !kept {
			missing = append(missing, gate.Missing(ro, k.kind, k.name, k.uid))
		}
	}
	return missing, nil
}

// schedules lists the schedules that are for a Rollout.
func (c *Controller) schedules(ctx context.Context, ro *v1alpha1.Rollout) ([]keeper, error) {
	var own v1alpha1.RolloutScheduleList
	if err := c.client.List(ctx, &own, client.InNamespace(ro.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing RolloutSchedules: %w", err)
	}
	var all v1alpha1.ClusterRolloutScheduleList
	if err := c.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing ClusterRolloutSchedules: %w", err)
	}
	var keepers []keeper
	for i := range own.Items {
		s := &own.Items[i]
		scope, err := schedule.NewScope(s.Spec, nil)
		if err == nil && s.DeletionTimestamp.IsZero() && scope.Selects(ro.Labels, nil) {
			keepers = append(keepers, keeper{v1alpha1.KindRolloutSchedule, s.Name, s.UID})
		}
	}
	for i := range all.Items {
		s := &all.Items[i]
		selects, err := c.selects(ctx, s, ro)
		if err != nil {
			return nil, err
		}
		if selects {
			keepers = append(keepers, keeper{v1alpha1.KindClusterRolloutSchedule, s.Name, s.UID})
		}
	}
	return keepers, nil
}

// selects says whether a cluster schedule is for a Rollout. One that cannot say whom it is for says so in its status.
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

// promoters lists the Environments that let releases come to a Rollout only after others.
func (c *Controller) promoters(ctx context.Context, ro *v1alpha1.Rollout) ([]keeper, error) {
	var list environments.EnvironmentList
	if err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name}); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	var keepers []keeper
	for i := range list.Items {
		if e := &list.Items[i]; e.DeletionTimestamp.IsZero() && environment.HasUpstreams(e.Spec) {
			keepers = append(keepers, keeper{"Environment", e.Name, e.UID})
		}
	}
	return keepers, nil
}
