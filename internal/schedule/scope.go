package schedule

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Scope selects the Rollouts to which a schedule applies.
type Scope struct {
	// Rollouts selects Rollouts by their labels.
	Rollouts labels.Selector
	// Exempt selects the Rollouts that are excluded.
	Exempt labels.Selector
	// Namespaces selects namespaces by their labels. Nil selects every namespace.
	Namespaces labels.Selector
}

// NewScope returns the Scope of a schedule. Namespaces is the namespaceSelector of a ClusterRolloutSchedule; nil
// selects every namespace. The error names the invalid selector.
func NewScope(spec v1alpha1.ScheduleSpec, namespaces *v1alpha1.LabelSelector) (Scope, error) {
	var sc Scope
	var err error
	if sc.Rollouts, err = spec.RolloutSelector.Parse(); err != nil {
		return sc, fmt.Errorf("rolloutSelector is invalid: %w", err)
	}
	if sc.Exempt, err = spec.Exempt.Parse(); err != nil {
		return sc, fmt.Errorf("exempt is invalid: %w", err)
	}
	if sc.Exempt.Empty() { // a nil selector is not empty: it selects nothing
		return sc, errors.New("exempt is invalid: an empty selector would exempt every Rollout; " +
			"remove the field to exempt none")
	}
	if namespaces == nil {
		return sc, nil
	}
	if sc.Namespaces, err = namespaces.Parse(); err != nil {
		return sc, fmt.Errorf("namespaceSelector is invalid: %w", err)
	}
	return sc, nil
}

// Selects reports whether a schedule applies to a Rollout with these labels in a namespace with these labels.
func (s Scope) Selects(rollout, namespace map[string]string) bool {
	return s.Rollouts.Matches(labels.Set(rollout)) && !s.Exempt.Matches(labels.Set(rollout)) &&
		(s.Namespaces == nil || s.Namespaces.Matches(labels.Set(namespace)))
}
