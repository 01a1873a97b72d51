package kube

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	// mostAnnotations is how many bytes of annotations are cached of an object whose owner may write what they like there.
	mostAnnotations = 16 << 10
	// mostCopies is the same for HealthChecks, which may have those of a DatadogMonitor and some of their own.
	mostCopies = 24 << 10
	// mostLabels and mostOwners are the same for labels and owner references.
	mostLabels, mostOwners = 8 << 10, 8 << 10
	// AnnotationTrimmed is on objects of the cache some of whose annotations were left out, and never on the API server. Without it, an
	// object that has one annotation left could lose that in a patch, and a patch that leaves none removes all there are.
	AnnotationTrimmed = "kuberik.com/trimmed"
)

// domains are those whose annotations are read.
var domains = []string{"kuberik.com", "fluxcd.io"}

// Trim takes out of an object what nobody reads of it, before it is cached: its managed fields, finalizers, and most annotations. The objects of the
// cache are never written as they are, but as patches, in which what is neither here nor there does not occur.
func Trim(o any) (any, error) {
	if m, err := meta.Accessor(o); err == nil {
		m.SetManagedFields(nil)
	}
	return TrimMetadata(o)
}

// TrimMetadata is Trim for objects whose managed fields are read.
func TrimMetadata(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return o, nil //nolint:nilerr // what has no metadata is no object: a cache may hand in a note that one was deleted
	}
	m.SetFinalizers(nil)
	trimOwners(m)
	kept, most := read, mostAnnotations
	switch o.(type) {
	case *metav1.PartialObjectMetadata: // a DatadogMonitor, whose labels and annotations are copied to its HealthCheck
		TrimLabels(m)
		kept = func(key string) bool { return key != corev1.LastAppliedConfigAnnotation }
	case *v1alpha1.HealthCheck:
		kept, most = func(string) bool { return true }, mostCopies
	}
	all := m.GetAnnotations()
	if some := trimmed(all, kept, most); len(some) < len(all) {
		some[AnnotationTrimmed] = "true"
		m.SetAnnotations(some)
	}
	return o, nil
}

// trimOwners keeps the controller of an object alone, where its owners take more than they ought to. One that is too large itself is nobody's
// controller.
func trimOwners(m metav1.Object) {
	owners := m.GetOwnerReferences()
	if sizeOf(owners...) <= mostOwners {
		return
	}
	m.SetOwnerReferences(nil)
	if c := metav1.GetControllerOf(&metav1.ObjectMeta{OwnerReferences: owners}); c != nil && sizeOf(*c) <= mostOwners {
		m.SetOwnerReferences([]metav1.OwnerReference{*c})
	}
}

// sizeOf is about how many bytes owner references take.
func sizeOf(owners ...metav1.OwnerReference) int {
	size := 0
	for i := range owners {
		o := &owners[i]
		size += 64 + len(o.APIVersion) + len(o.Kind) + len(o.Name) + len(o.UID)
	}
	return size
}

// TrimLabels keeps the smallest labels of an object, up to mostLabels. It is not for objects that are selected by their labels: where too
// many are refused instead, nobody gets out of a selection by adding some.
func TrimLabels(m metav1.Object) {
	all := m.GetLabels()
	if some := trimmed(all, func(string) bool { return true }, mostLabels); len(some) < len(all) {
		m.SetLabels(some)
	}
}

// read says whether an annotation is of a domain that is read.
func read(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.ContainsFunc(domains, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) })
}

// trimmed keeps those annotations that are read, the smallest first, up to so many bytes.
func trimmed(all map[string]string, kept func(string) bool, most int) map[string]string {
	var keys []string
	for key := range all {
		if kept(key) {
			keys = append(keys, key)
		}
	}
	size := func(key string) int { return len(key) + len(all[key]) }
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(size(a), size(b)), cmp.Compare(a, b)) })
	next := map[string]string{}
	for _, key := range keys {
		if most -= size(key); most < 0 {
			break
		}
		next[strings.Clone(key)] = strings.Clone(all[key])
	}
	return next
}
