package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/schedule"
)

// anySchedule is a RolloutSchedule or a ClusterRolloutSchedule.
type anySchedule struct {
	kind   string
	object client.Object
	spec   v1alpha1.ScheduleSpec
	status v1alpha1.ScheduleStatus
	// namespaces is the namespaceSelector of a ClusterRolloutSchedule. Nil selects every namespace.
	namespaces *v1alpha1.LabelSelector
	// withStatus returns a copy of the object with another status.
	withStatus func(v1alpha1.ScheduleStatus) client.Object
}

func namespaced(s *v1alpha1.RolloutSchedule) *anySchedule {
	return &anySchedule{
		kind: v1alpha1.KindRolloutSchedule, object: s, spec: s.Spec, status: s.Status,
		withStatus: func(status v1alpha1.ScheduleStatus) client.Object {
			next := s.DeepCopy()
			next.Status = status
			return next
		},
	}
}

func cluster(s *v1alpha1.ClusterRolloutSchedule) *anySchedule {
	return &anySchedule{
		kind: v1alpha1.KindClusterRolloutSchedule, object: s, spec: s.Spec.ScheduleSpec, status: s.Status,
		namespaces: s.Spec.NamespaceSelector,
		withStatus: func(status v1alpha1.ScheduleStatus) client.Object {
			next := s.DeepCopy()
			next.Status = status
			return next
		},
	}
}

// gates lists the gates of a schedule in every namespace, the oldest first.
func (c *Controller) gates(ctx context.Context, s *anySchedule) ([]*v1alpha1.RolloutGate, error) {
	var list v1alpha1.RolloutGateList
	err := c.client.List(ctx, &list, client.MatchingFields{scheduleIndex: s.key()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the gates of %s: %w", s, err)
	}
	var found []*v1alpha1.RolloutGate
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			found = append(found, &list.Items[i])
		}
	}
	slices.SortFunc(found, func(a, b *v1alpha1.RolloutGate) int {
		return cmp.Or(
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return found, nil
}

// rolloutsOf returns the Rollouts of gates.
func rolloutsOf(gates []*v1alpha1.RolloutGate) []types.NamespacedName {
	var rollouts []types.NamespacedName
	for _, g := range gates {
		rollouts = append(rollouts, types.NamespacedName{Namespace: g.Namespace, Name: g.Spec.RolloutRef.Name})
	}
	return sortedUnique(rollouts)
}

// rollouts lists the Rollouts to which a schedule applies.
func (c *Controller) rollouts(ctx context.Context, s *anySchedule, sc schedule.Scope) ([]types.NamespacedName, error) {
	inScope, err := c.namespaceFilter(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("listing the namespaces of %s: %w", s, err)
	}
	var all v1alpha1.RolloutList
	err = c.client.List(ctx, &all, client.InNamespace(s.object.GetNamespace()),
		client.MatchingLabelsSelector{Selector: sc.Rollouts}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Rollouts of %s: %w", s, err)
	}
	var list []types.NamespacedName
	for i := range all.Items {
		ro := &all.Items[i]
		if ro.DeletionTimestamp.IsZero() && !sc.Exempt.Matches(labels.Set(ro.Labels)) && inScope(ro.Namespace) {
			list = append(list, client.ObjectKeyFromObject(ro))
		}
	}
	return sortedUnique(list), nil
}

// namespaceFilter returns a function that reports whether the schedule selects a namespace.
func (c *Controller) namespaceFilter(ctx context.Context, sc schedule.Scope) (func(namespace string) bool, error) {
	if sc.Namespaces == nil {
		return func(string) bool { return true }, nil
	}
	var list corev1.NamespaceList
	err := c.client.List(ctx, &list, client.MatchingLabelsSelector{Selector: sc.Namespaces}, client.UnsafeDisableDeepCopy)
	names := map[string]bool{}
	for i := range list.Items {
		names[list.Items[i].Name] = true
	}
	return func(namespace string) bool { return names[namespace] }, err
}

// sortedUnique sorts names and removes duplicates.
func sortedUnique(list []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(list, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(list)
}
