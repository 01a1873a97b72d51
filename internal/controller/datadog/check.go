package datadog

import (
	"encoding/json"
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
	// AnnotationHealthCheck set to "true" on a DatadogMonitor makes a HealthCheck of it.
	AnnotationHealthCheck = "kuberik.com/health-check"
	// AnnotationMonitorName and AnnotationMonitorUID on a HealthCheck say which DatadogMonitor it was made of.
	AnnotationMonitorName = "kuberik.com/datadog-monitor-name"
	// AnnotationMonitorUID on a HealthCheck is the UID of that DatadogMonitor.
	AnnotationMonitorUID = "kuberik.com/datadog-monitor-uid"
	// AnnotationCopied on a HealthCheck lists what was copied from the DatadogMonitor, so that it goes when it goes there.
	AnnotationCopied = "kuberik.com/datadog-copied"
	// LabelMonitor on a HealthCheck is the name of the DatadogMonitor, shortened where it is too long for a label.
	LabelMonitor = "kuberik.com/datadog-monitor"
	// LabelManagedBy on a HealthCheck says what makes it.
	LabelManagedBy = "kuberik.com/managed-by"
	// ManagedBy is the value of LabelManagedBy on checks that are made of DatadogMonitors.
	ManagedBy = "datadog-controller"

	prefix  = "datadog-check-"
	maxName = 253
)

var monitorKind = schema.GroupVersionKind{Group: "datadoghq.com", Version: "v1alpha1", Kind: "DatadogMonitor"}

// owning are the domains of labels and annotations by which tools know what they own, and may delete. A check is owned by its
// monitor and by nothing else. The label app.kubernetes.io/instance is copied: people select by it, and Argo CD leaves alone what
// has an owner.
var owning = []string{
	"fluxcd.io", "argoproj.io", "kubectl.kubernetes.io", "applyset.kubernetes.io", "helm.sh", "k14s.io", "config.k8s.io",
	"config.kubernetes.io", "cli-utils.sigs.k8s.io", "cattle.io",
}

// name of the check that is made of a monitor.
func name(monitor string) string {
	if n := prefix + monitor; len(n) <= maxName {
		return n
	}
	return version.UniqueName(prefix+monitor, monitor)
}

// wanted says whether a monitor asks for a check.
func wanted(monitor *metav1.PartialObjectMetadata) bool {
	return monitor.Annotations[AnnotationHealthCheck] == "true"
}

// mayCopy says whether a label or annotation of a monitor is for its check too.
func mayCopy(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return true
	}
	owned := slices.ContainsFunc(owning, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) })
	return !owned && key != "app.kubernetes.io/managed-by" && key != AnnotationHealthCheck && key != kube.AnnotationTrimmed
}

// record is what AnnotationCopied holds.
type record struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

// shape gives a check what it has of its monitor. What people have added to it stays. A check that was made before there was a
// record of what is copied loses the marks of other tools that were copied to it.
func shape(check *v1alpha1.HealthCheck, monitor *metav1.PartialObjectMetadata) error {
	var before record
	text, recorded := check.Annotations[AnnotationCopied]
	if recorded && json.Unmarshal([]byte(text), &before) != nil {
		before = record{} // somebody edited it: what cannot be told apart stays
	}
	if !recorded {
		before = record{Labels: foreign(check.Labels), Annotations: foreign(check.Annotations)}
	}
	labels, annotations := copied(monitor.Labels), copied(monitor.Annotations)
	now, err := json.Marshal(record{Labels: keys(labels), Annotations: keys(annotations)})
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
		owner.BlockOwnerDeletion = nil // where rights to block are enforced, one would need that to write finalizers of monitors
		check.OwnerReferences = append(check.OwnerReferences, *owner)
	}
	ask(&check.Spec, monitor.Name)
	return nil
}

// ask makes the check one of the monitor. How often it is asked, and what counts how much, is for people to set.
func ask(spec *v1alpha1.HealthCheckSpec, monitor string) {
	class := v1alpha1.HealthClassDatadog
	next := v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: monitor}}
	if spec.Datadog != nil {
		next.Site = spec.Datadog.Site
	}
	spec.Class, spec.Datadog = &class, &next
	spec.HTTP, spec.Prometheus, spec.Script = nil, nil, nil
}

// copied is what a check takes over of the labels or annotations of its monitor.
func copied(of map[string]string) map[string]string {
	taken := map[string]string{}
	for key, value := range of {
		if mayCopy(key) {
			taken[key] = value
		}
	}
	return taken
}

// foreign lists the keys that should not have been copied.
func foreign(have map[string]string) []string {
	var list []string
	for key := range have {
		if !mayCopy(key) {
			list = append(list, key)
		}
	}
	return list
}

// merge takes out what was given before and puts in what is given now.
func merge(have map[string]string, before []string, now map[string]string) map[string]string {
	next := map[string]string{}
	for key, value := range have {
		if !slices.Contains(before, key) {
			next[key] = value
		}
	}
	for key, value := range now {
		next[key] = value
	}
	return next
}

func keys(of map[string]string) []string {
	var list []string
	for key := range of {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}
