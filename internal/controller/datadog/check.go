package datadog

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// AnnotationHealthCheck with the value "true" on a DatadogMonitor creates a HealthCheck for it.
	AnnotationHealthCheck = "kuberik.com/health-check"
	// AnnotationMonitorName on a HealthCheck is the name of its DatadogMonitor.
	AnnotationMonitorName = "kuberik.com/datadog-monitor-name"
	// AnnotationMonitorUID on a HealthCheck is the UID of its DatadogMonitor.
	AnnotationMonitorUID = "kuberik.com/datadog-monitor-uid"
	// AnnotationCopied on a HealthCheck lists the keys that were copied from the DatadogMonitor, so that they are
	// removed when the monitor no longer has them.
	AnnotationCopied = "kuberik.com/datadog-copied"
	// LabelMonitor on a HealthCheck is the name of its DatadogMonitor, shortened if it is too long for a label.
	LabelMonitor = "kuberik.com/datadog-monitor"
	// LabelManagedBy on a HealthCheck is the controller that manages it.
	LabelManagedBy = "kuberik.com/managed-by"
	// ManagedBy is the value of LabelManagedBy on the HealthChecks of DatadogMonitors.
	ManagedBy = "datadog-controller"

	prefix  = "datadog-check-"
	maxName = 253
)

var monitorKind = schema.GroupVersionKind{Group: "datadoghq.com", Version: "v1alpha1", Kind: "DatadogMonitor"}

// toolDomains are the domains of labels and annotations by which tools identify objects that they own and may delete.
// They are not copied, because a check is owned by its monitor only. The label app.kubernetes.io/instance is copied:
// it is used in selectors, and Argo CD does not delete objects that have an owner.
var toolDomains = []string{
	"fluxcd.io", "argoproj.io", "kubectl.kubernetes.io", "applyset.kubernetes.io", "helm.sh", "k14s.io", "config.k8s.io",
	"config.kubernetes.io", "cli-utils.sigs.k8s.io", "cattle.io",
}

// checkName returns the name of the check of a monitor.
func checkName(monitor string) string {
	if n := prefix + monitor; len(n) <= maxName {
		return n
	}
	return version.UniqueName(prefix+monitor, monitor)
}

// hasCheck reports whether a monitor has the annotation that creates a check.
func hasCheck(monitor *metav1.PartialObjectMetadata) bool {
	return monitor.Annotations[AnnotationHealthCheck] == "true"
}

// isCopied reports whether a label or annotation of a monitor is copied to its check.
func isCopied(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return true
	}
	owned := slices.ContainsFunc(
		toolDomains, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) },
	)
	return !owned && key != "app.kubernetes.io/managed-by" && key != AnnotationHealthCheck && key != kube.AnnotationTrimmed
}

// copiedKeys is the value of AnnotationCopied.
type copiedKeys struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

// setDesired sets the labels, annotations, owner and spec of a check. It keeps what users have added. On a check
// without AnnotationCopied, it removes labels and annotations of other tools that were copied by an earlier version.
func setDesired(check *v1alpha1.HealthCheck, monitor *metav1.PartialObjectMetadata) error {
	var before copiedKeys
	text, hasRecord := check.Annotations[AnnotationCopied]
	if hasRecord && json.Unmarshal([]byte(text), &before) != nil {
		before = copiedKeys{} // it was edited: keep all keys
	}
	if !hasRecord {
		before = copiedKeys{Labels: keysNotCopied(check.Labels), Annotations: keysNotCopied(check.Annotations)}
	}
	labels, annotations := filterCopied(monitor.Labels), filterCopied(monitor.Annotations)
	now, err := json.Marshal(copiedKeys{Labels: sortedKeys(labels), Annotations: sortedKeys(annotations)})
	if err != nil {
		return err
	}
	labels[LabelMonitor], labels[LabelManagedBy] = version.LabelValue(monitor.Name), ManagedBy
	annotations[AnnotationMonitorName], annotations[AnnotationMonitorUID] = monitor.Name, string(monitor.UID)
	annotations[AnnotationCopied] = string(now)
	check.Labels = merge(check.Labels, before.Labels, labels)
	check.Annotations = merge(check.Annotations, before.Annotations, annotations)
	if metav1.GetControllerOf(check) == nil {
		owner := metav1.NewControllerRef(monitor, monitorKind)
		owner.BlockOwnerDeletion = nil // blocking needs the permission to update finalizers of monitors on some clusters
		check.OwnerReferences = append(check.OwnerReferences, *owner)
	}
	setSource(&check.Spec, monitor.Name)
	return nil
}

// setSource makes the monitor the source of the check. It keeps all fields that are not about the source.
func setSource(spec *v1alpha1.HealthCheckSpec, monitor string) {
	class := v1alpha1.HealthClassDatadog
	next := v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: monitor}}
	if spec.Datadog != nil {
		next.Site = spec.Datadog.Site
	}
	spec.Class, spec.Datadog = &class, &next
	spec.HTTP, spec.Prometheus, spec.Script = nil, nil, nil
}

// filterCopied returns the labels or annotations of a monitor that are copied.
func filterCopied(of map[string]string) map[string]string {
	taken := map[string]string{}
	for key, value := range of {
		if isCopied(key) {
			taken[key] = value
		}
	}
	return taken
}

// keysNotCopied returns the keys that are not copied.
func keysNotCopied(have map[string]string) []string {
	var list []string
	for key := range have {
		if !isCopied(key) {
			list = append(list, key)
		}
	}
	return list
}

// merge returns a map without the keys in before and with the entries of now.
func merge(have map[string]string, before []string, now map[string]string) map[string]string {
	next := map[string]string{}
	for key, value := range have {
		if !slices.Contains(before, key) {
			next[key] = value
		}
	}
	maps.Copy(next, now)
	return next
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
