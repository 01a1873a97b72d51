package health

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// LabelShared on a Namespace, if "true", lets Rollouts of other namespaces select its health checks, where the controller allows
// that at all.
const LabelShared = "kuberik.com/share-health-checks"

// Selects says whether a Rollout is judged by a check, given the labels of the namespace of the check. A namespace is crossed only
// where both sides agree: the Rollout by its namespaceSelector, the namespace by its label.
func Selects(ro *v1alpha1.Rollout, check *v1alpha1.HealthCheck, namespace map[string]string) bool {
	s := ro.Spec.HealthCheckSelector
	if s == nil || !matches(s.Selector, check.Labels) {
		return false
	}
	if s.NamespaceSelector == nil {
		return ro.Namespace == check.Namespace
	}
	return matches(s.NamespaceSelector, namespace) && (ro.Namespace == check.Namespace || namespace[LabelShared] == "true")
}

// matches says whether labels are selected. Without a selector, or with one that cannot be used, nothing is.
func matches(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}
