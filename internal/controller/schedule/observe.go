package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/schedule"
)

// subject is a schedule of either kind.
type subject struct {
	kind   string
	object client.Object
	spec   v1alpha1.ScheduleSpec
	status v1alpha1.ScheduleStatus
	// namespaces of a cluster schedule; nil means all.
	namespaces *metav1.LabelSelector
	// with is a copy of the object that has another status.
	with func(v1alpha1.ScheduleStatus) client.Object
}

func namespaced(s *v1alpha1.RolloutSchedule) *subject {
	return &subject{
		kind: v1alpha1.KindRolloutSchedule, object: s, spec: s.Spec, status: s.Status,
		with: func(status v1alpha1.ScheduleStatus) client.Object {
			next := s.DeepCopy()
			next.Status = status
			return next
		},
	}
}

func cluster(s *v1alpha1.ClusterRolloutSchedule) *subject {
	return &subject{
		kind: v1alpha1.KindClusterRolloutSchedule, object: s, spec: s.Spec.ScheduleSpec, status: s.Status, namespaces: s.Spec.NamespaceSelector,
		with: func(status v1alpha1.ScheduleStatus) client.Object {
			next := s.DeepCopy()
			next.Status = status
			return next
		},
	}
}

// gates lists the gates of a schedule in every namespace, those first that were made first.
func (c *Controller) gates(ctx context.Context, s *subject) ([]*v1alpha1.RolloutGate, error) {
	var list v1alpha1.RolloutGateList
	if err := c.client.List(ctx, &list, client.MatchingFields{bySchedule: s.key()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the gates of %s: %w", s, err)
	}
	var found []*v1alpha1.RolloutGate
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp.IsZero() {
			found = append(found, &list.Items[i])
		}
	}
	slices.SortFunc(found, func(a, b *v1alpha1.RolloutGate) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// heldBy are the Rollouts that gates name.
func heldBy(gates []*v1alpha1.RolloutGate) []types.NamespacedName {
	var rollouts []types.NamespacedName
	for _, g := range gates {
		rollouts = append(rollouts, types.NamespacedName{Namespace: g.Namespace, Name: g.Spec.RolloutRef.Name})
	}
	return ordered(rollouts)
}

// rollouts lists those that a schedule has a say in.
func (c *Controller) rollouts(ctx context.Context, s *subject, sc schedule.Scope) ([]types.NamespacedName, error) {
	within, err := c.within(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("listing the namespaces of %s: %w", s, err)
	}
	var all v1alpha1.RolloutList
	err = c.client.List(ctx, &all, client.InNamespace(s.object.GetNamespace()), client.MatchingLabelsSelector{Selector: sc.Rollouts},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Rollouts of %s: %w", s, err)
	}
	var list []types.NamespacedName
	for i := range all.Items {
		ro := &all.Items[i]
		if ro.DeletionTimestamp.IsZero() && !sc.Exempt.Matches(labels.Set(ro.Labels)) && within(ro.Namespace) {
			list = append(list, client.ObjectKeyFromObject(ro))
		}
	}
	return ordered(list), nil
}

// within tells the namespaces of a schedule from others.
func (c *Controller) within(ctx context.Context, sc schedule.Scope) (func(namespace string) bool, error) {
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

// ordered sorts names and keeps each once.
func ordered(list []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(list, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(list)
}
