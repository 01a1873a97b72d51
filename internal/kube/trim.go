package kube

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	// maxAnnotations is the maximum size in bytes of the cached annotations of an object.
	maxAnnotations = 16 << 10
	// maxHealthCheckAnnotations is the maximum for a HealthCheck, which may have copies of the annotations of a
	// DatadogMonitor besides its own.
	maxHealthCheckAnnotations = 24 << 10
	// maxLabels and maxOwners are the maximum sizes in bytes of the cached labels and owner references.
	maxLabels, maxOwners = 8 << 10, 8 << 10
	// AnnotationTrimmed marks cached objects without some of their annotations. It never reaches the API server.
	// Without it, a patch that removes the only cached annotation would remove all annotations of the object.
	AnnotationTrimmed = "kuberik.com/trimmed"
	// trimmedOwners is the value of AnnotationTrimmed on objects without some of their owner references.
	trimmedOwners = "owners"
)

// readDomains are the domains of the annotations that Kuberik reads.
var readDomains = []string{"kuberik.com", "fluxcd.io"}

// maxName is the maximum length of the name of an object in bytes.
const maxName = 253

// Trim removes what Kuberik does not read from an object before it is cached: managed fields, finalizers, and most
// annotations. It replaces fields of the spec that are larger than the schema allows: objects that were stored before
// the schema had a limit may have such fields, and the replaced ones are refused like the original. Cached objects are
// written only as patches against the cached object, which do not contain the removed fields.
func Trim(o any) (any, error) {
	if m, err := meta.Accessor(o); err == nil {
		m.SetManagedFields(nil)
	}
	trimSpec(o)
	return TrimMetadata(o)
}

// trimSpec replaces fields of a spec that are larger than the schema allows.
func trimSpec(o any) {
	switch o := o.(type) {
	case *v1alpha1.Rollout:
		shorten(&o.Spec.ReleasesImagePolicy)
		if s := o.Spec.HealthCheckSelector; s != nil {
			s.Selector.Trim()
			s.NamespaceSelector.Trim()
		}
	case *v1alpha1.RolloutSchedule:
		trimSchedule(&o.Spec)
	case *v1alpha1.ClusterRolloutSchedule:
		trimSchedule(&o.Spec.ScheduleSpec)
		o.Spec.NamespaceSelector.Trim()
	case *v1alpha1.RolloutGate:
		shorten(&o.Spec.RolloutRef)
		o.Spec.HTTP.Trim()
	case *v1alpha1.HealthCheck:
		trimCheck(&o.Spec)
	case *environments.Environment:
		shorten(&o.Spec.RolloutRef)
		if o.Spec.Backend != nil {
			shorten(o.Spec.Backend.SecretRef)
		}
	}
}

func trimSchedule(s *v1alpha1.ScheduleSpec) {
	s.RolloutSelector.Trim()
	s.Exempt.Trim()
}

func trimCheck(s *v1alpha1.HealthCheckSpec) {
	if s.HTTP != nil {
		s.HTTP.Trim()
	}
	if s.Datadog != nil {
		shorten(s.Datadog.MonitorRef)
		shorten(s.Datadog.SecretRef)
	}
}

// shorten shortens a name that is longer than the name of any object. It stays longer, so that it names none.
func shorten(ref *corev1.LocalObjectReference) {
	if ref != nil && len(ref.Name) > maxName {
		ref.Name = strings.ToValidUTF8(ref.Name[:maxName], "") + "…(too long)"
	}
}

// TrimMetadata is Trim for kinds whose managed fields Kuberik reads.
func TrimMetadata(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return o, nil //nolint:nilerr // the cache also passes tombstones of deleted objects, which have no metadata
	}
	m.SetFinalizers(nil)
	ownersTrimmed := trimOwners(m)
	keep, limit := isRead, maxAnnotations
	switch o.(type) {
	case *metav1.PartialObjectMetadata: // a DatadogMonitor, whose labels and annotations are copied to its HealthCheck
		TrimLabels(m)
		keep = func(key string) bool { return key != corev1.LastAppliedConfigAnnotation }
	case *v1alpha1.HealthCheck:
		keep, limit = func(string) bool { return true }, maxHealthCheckAnnotations
	}
	all := m.GetAnnotations()
	if kept := smallest(all, keep, limit); len(kept) < len(all) {
		kept[AnnotationTrimmed] = "true"
		m.SetAnnotations(kept)
	}
	if ownersTrimmed {
		marked := map[string]string{AnnotationTrimmed: trimmedOwners}
		for key, value := range m.GetAnnotations() {
			if key != AnnotationTrimmed {
				marked[key] = value
			}
		}
		m.SetAnnotations(marked)
	}
	return o, nil
}

// trimOwners removes all owner references except the controller if they are larger than maxOwners, and the controller
// too if its reference alone is larger. It reports whether it has removed any. See RetainTrimmedOwners.
func trimOwners(m metav1.Object) bool {
	owners := m.GetOwnerReferences()
	if sizeOf(owners...) <= maxOwners {
		return false
	}
	m.SetOwnerReferences(nil)
	if c := metav1.GetControllerOf(&metav1.ObjectMeta{OwnerReferences: owners}); c != nil && sizeOf(*c) <= maxOwners {
		m.SetOwnerReferences([]metav1.OwnerReference{*c})
	}
	return true
}

// sizeOf returns the approximate size of owner references in bytes.
func sizeOf(owners ...metav1.OwnerReference) int {
	size := 0
	for i := range owners {
		o := &owners[i]
		size += 64 + len(o.APIVersion) + len(o.Kind) + len(o.Name) + len(o.UID)
	}
	return size
}

// TrimLabels keeps the smallest labels of an object, up to 8 KiB. Do not use it for objects that are selected by label:
// their author could leave a selection by adding labels. Refuse objects with too many labels instead.
func TrimLabels(m metav1.Object) {
	all := m.GetLabels()
	if kept := smallest(all, func(string) bool { return true }, maxLabels); len(kept) < len(all) {
		m.SetLabels(kept)
	}
}

// isRead reports whether Kuberik reads annotations of the domain of a key.
func isRead(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.ContainsFunc(readDomains, func(d string) bool {
		return domain == d || strings.HasSuffix(domain, "."+d)
	})
}

// smallest returns the smallest entries whose key keep accepts, up to a limit in bytes.
func smallest(all map[string]string, keep func(string) bool, limit int) map[string]string {
	var keys []string
	for key := range all {
		if keep(key) {
			keys = append(keys, key)
		}
	}
	size := func(key string) int { return len(key) + len(all[key]) }
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(size(a), size(b)), cmp.Compare(a, b)) })
	next := map[string]string{}
	for _, key := range keys {
		if limit -= size(key); limit < 0 {
			break
		}
		next[strings.Clone(key)] = strings.Clone(all[key])
	}
	return next
}
