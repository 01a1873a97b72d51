package schedule

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Scope is whom a schedule is for.
type Scope struct {
	// Rollouts by their labels.
	Rollouts labels.Selector
	// Exempt are those of them that are left alone.
	Exempt labels.Selector
	// Namespaces by their labels. Nil selects all.
	Namespaces labels.Selector
}

// NewScope reads the selectors of a schedule, with that of a cluster schedule for namespaces, or nil. An error says which cannot be used.
func NewScope(spec v1alpha1.ScheduleSpec, namespaces *metav1.LabelSelector) (Scope, error) {
	var sc Scope
	var err error
	if sc.Rollouts, err = metav1.LabelSelectorAsSelector(&spec.RolloutSelector); err != nil {
		return sc, fmt.Errorf("rolloutSelector cannot be used: %w", err)
	}
	if sc.Exempt, err = metav1.LabelSelectorAsSelector(spec.Exempt); err != nil {
		return sc, fmt.Errorf("exempt cannot be used: %w", err)
	}
	if sc.Exempt.Empty() { // which nil is not: it selects nothing
		return sc, errors.New("exempt cannot be used: it is empty, so it would leave every Rollout alone")
	}
	if namespaces == nil {
		return sc, nil
	}
	if sc.Namespaces, err = metav1.LabelSelectorAsSelector(namespaces); err != nil {
		return sc, fmt.Errorf("namespaceSelector cannot be used: %w", err)
	}
	return sc, nil
}

// Selects says whether a schedule is for a Rollout, by its labels and those of its namespace.
func (s Scope) Selects(rollout, namespace map[string]string) bool {
	return s.Rollouts.Matches(labels.Set(rollout)) && !s.Exempt.Matches(labels.Set(rollout)) &&
		(s.Namespaces == nil || s.Namespaces.Matches(labels.Set(namespace)))
}
