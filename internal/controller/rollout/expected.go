package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/schedule"
	"github.com/kuberik/kuberik/internal/version"
)

// gateOwner is an object that may own a gate of a Rollout.
type gateOwner struct {
	kind, name string
	uid        types.UID
	// selects reports whether the Rollout needs a gate of the owner.
	selects bool
	// spec is that of a schedule, and problem why its selectors are invalid.
	spec    *v1alpha1.ScheduleSpec
	problem error
}

// owns reports whether the owner controls a gate. It does not maintain a gate that is being deleted.
func (o *gateOwner) owns(g *v1alpha1.RolloutGate) bool {
	return gate.OwnedBy(g, o.kind, o.name, o.uid) && g.DeletionTimestamp.IsZero()
}

// expected returns the gates of a Rollout as their owners want them. It closes the gates of schedules that are closed
// now: anyone who may write gates may have opened them, or created them with the owner reference of a schedule. It adds
// a placeholder for each gate that spec.requiredGates, a schedule or an Environment needs and that does not exist. A
// release must not be deployed before these gates are created. A gate that is being deleted does not count as one of
// them: its owner does not maintain it any more, so its state means nothing.
func (c *Controller) expected(
	ctx context.Context, ro *v1alpha1.Rollout, present []*v1alpha1.RolloutGate, now time.Time,
) ([]*v1alpha1.RolloutGate, error) {
	owners, err := c.schedules(ctx, ro)
	if err != nil {
		return nil, err
	}
	promoters, err := c.promoters(ctx, ro)
	if err != nil {
		return nil, err
	}
	missing := gate.MissingRequired(ro, present)
	gates := slices.DeleteFunc(slices.Clone(present), func(g *v1alpha1.RolloutGate) bool {
		return slices.ContainsFunc(missing, func(m *v1alpha1.RolloutGate) bool { return m.Name == g.Name })
	})
	owners = append(owners, promoters...)
	for i := range owners {
		if o := &owners[i]; !o.close(gates, now) && o.selects {
			missing = append(missing, gate.Placeholder(ro, o.kind, o.name, o.uid))
		}
	}
	return append(gates, missing...), nil
}

// close closes the gates of a schedule that is closed now. It returns whether the owner has a gate.
func (o *gateOwner) close(gates []*v1alpha1.RolloutGate, now time.Time) (exists bool) {
	for i, g := range gates {
		if !o.owns(g) {
			continue
		}
		exists = true
		if o.spec == nil || !ptr.Deref(g.Spec.Passing, true) {
			continue
		}
		if eval := o.evaluate(now); !eval.Open {
			gates[i] = gate.CloseBySchedule(g, version.Clean(eval.Describe(o.label()), maxReason), eval.NextTransition)
		}
	}
	return exists
}

// evaluate returns the state of a schedule.
func (o *gateOwner) evaluate(now time.Time) schedule.Evaluation {
	if o.problem != nil {
		return schedule.Evaluation{Zone: time.UTC, Reason: v1alpha1.ReasonScheduleInvalid, Problem: o.problem.Error()}
	}
	return schedule.Evaluate(*o.spec, now)
}

// label returns the name of a schedule for messages.
func (o *gateOwner) label() string { return schedule.Label(o.kind, o.name) }

// maxReason is the maximum length of the reason of a gate in bytes.
const maxReason = 1024

// schedules returns the schedules that may own gates of a Rollout.
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
		if s := &own.Items[i]; s.DeletionTimestamp.IsZero() {
			scope, problem := schedule.NewScope(s.Spec, nil)
			selects := problem == nil && scope.Selects(ro.Labels, nil)
			owners = append(owners, gateOwner{v1alpha1.KindRolloutSchedule, s.Name, s.UID, selects, &s.Spec, problem})
		}
	}
	for i := range all.Items {
		s := &all.Items[i]
		if !s.DeletionTimestamp.IsZero() {
			continue
		}
		selects, problem, err := c.selects(ctx, s, ro)
		if err != nil {
			return nil, err
		}
		owners = append(owners, gateOwner{
			v1alpha1.KindClusterRolloutSchedule, s.Name, s.UID, selects, &s.Spec.ScheduleSpec, problem,
		})
	}
	return owners, nil
}

// selects reports whether a cluster schedule selects a Rollout. An invalid one, which has a problem, selects none.
func (c *Controller) selects(
	ctx context.Context, s *v1alpha1.ClusterRolloutSchedule, ro *v1alpha1.Rollout,
) (selects bool, problem, err error) {
	scope, problem := schedule.NewScope(s.Spec.ScheduleSpec, s.Spec.NamespaceSelector)
	if problem != nil {
		return false, problem, nil
	}
	var ns corev1.Namespace
	if scope.Namespaces != nil {
		if err := c.client.Get(ctx, client.ObjectKey{Name: ro.Namespace}, &ns); err != nil {
			return false, nil, fmt.Errorf("reading namespace %q: %w", ro.Namespace, err)
		}
	}
	return scope.Selects(ro.Labels, ns.Labels), nil, nil
}

// promoters returns the Environments of a Rollout that have upstreams.
func (c *Controller) promoters(ctx context.Context, ro *v1alpha1.Rollout) ([]gateOwner, error) {
	var list environments.EnvironmentList
	err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace),
		client.MatchingFields{kube.ByRollout: ro.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	var owners []gateOwner
	for i := range list.Items {
		if e := &list.Items[i]; e.DeletionTimestamp.IsZero() && environment.HasUpstreams(e.Spec) {
			owners = append(owners, gateOwner{kind: "Environment", name: e.Name, uid: e.UID, selects: true})
		}
	}
	return owners, nil
}
