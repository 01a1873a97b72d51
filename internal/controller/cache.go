package controller

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health/script"
	"github.com/kuberik/kuberik/internal/kube"
)

// caches returns the cache options. The cache keeps only the fields that are read, and only the Jobs of script checks, so that other
// fields, annotations, finalizers and owner references of tenants use no memory.
func caches(namespaces []string) (cache.Options, error) {
	checkJobs, err := labels.Parse(script.LabelCheck)
	if err != nil {
		return cache.Options{}, fmt.Errorf("selecting Jobs: %w", err)
	}
	o := cache.Options{
		DefaultTransform:  kube.Trim,
		DefaultNamespaces: map[string]cache.Config{},
		ByObject: map[client.Object]cache.ByObject{
			&batchv1.Job{}:          {Label: checkJobs, Transform: chain(script.Trim, kube.Trim)},
			&v1alpha1.HealthCheck{}: {Transform: chain(script.TrimCheck, kube.Trim)},
		},
	}
	for _, kind := range flux.TargetKinds() { // their managed fields say who else writes the version
		o.ByObject[kind] = cache.ByObject{Transform: chain(flux.Trim, kube.TrimMetadata)}
	}
	for _, kind := range flux.SourceKinds() {
		o.ByObject[kind] = cache.ByObject{Transform: chain(flux.Trim, kube.Trim)}
	}
	for _, n := range namespaces {
		o.DefaultNamespaces[n] = cache.Config{}
	}
	for _, kind := range approval.PolicyKinds() { // their managed fields say when they were written
		o.ByObject[kind] = cache.ByObject{Transform: func(o any) (any, error) { return o, nil }}
	}
	return o, nil
}

// chain returns a transform that calls a function for one kind and then the transform of all kinds.
func chain(own func(any), all func(any) (any, error)) func(any) (any, error) {
	return func(o any) (any, error) {
		own(o)
		return all(o)
	}
}
