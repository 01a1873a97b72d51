package health

import "github.com/kuberik/kuberik/api/v1alpha1"

// LabelShared on a Namespace, if "true", lets Rollouts of other namespaces select its health checks. The controller has
// to allow that too.
const LabelShared = "kuberik.com/share-health-checks"

// Selects reports whether a Rollout selects a check, given the labels of the check's namespace. A check of another
// namespace needs both the namespaceSelector of the Rollout and the label of the namespace.
func Selects(ro *v1alpha1.Rollout, check *v1alpha1.HealthCheck, namespace map[string]string) bool {
	s := ro.Spec.HealthCheckSelector
	if s == nil || !s.Selector.Matches(check.Labels) {
		return false
	}
	if s.NamespaceSelector == nil {
		return ro.Namespace == check.Namespace
	}
	return s.NamespaceSelector.Matches(namespace) && (ro.Namespace == check.Namespace || namespace[LabelShared] == "true")
}
