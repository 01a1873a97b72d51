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
	// AnnotationTrimmed is on objects of the cache some of whose annotations were left out, and never on the API server. Without it, an
	// object that has one annotation left could lose that in a patch, and a patch that leaves none removes all there are.
	AnnotationTrimmed = "kuberik.com/trimmed"
)

// domains are those whose annotations are read.
var domains = []string{"kuberik.com", "fluxcd.io"}

// Trim takes out of an object what nobody reads of it, before it is cached: its managed fields, and most annotations. The objects of the
// cache are never written as they are, but as patches, in which what is neither here nor there does not occur.
func Trim(o any) (any, error) {
	if m, err := meta.Accessor(o); err == nil {
		m.SetManagedFields(nil)
	}
	return TrimAnnotations(o)
}

// TrimAnnotations is Trim for objects whose managed fields are read.
func TrimAnnotations(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return o, nil //nolint:nilerr // what has no metadata is no object: a cache may hand in a note that one was deleted
	}
	kept, most := read, mostAnnotations
	switch o.(type) {
	case *metav1.PartialObjectMetadata: // a DatadogMonitor, whose annotations are copied to its HealthCheck
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
