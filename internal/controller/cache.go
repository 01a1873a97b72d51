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

// caches says what is cached: of each object what is read of it, and no Jobs but those of script checks. What a tenant puts into other
// fields, annotations, finalizers and owner references costs the controller no memory.
func caches(namespaces []string) (cache.Options, error) {
	ofChecks, err := labels.Parse(script.LabelCheck)
	if err != nil {
		return cache.Options{}, fmt.Errorf("selecting Jobs: %w", err)
	}
	o := cache.Options{
		DefaultTransform:  kube.Trim,
		DefaultNamespaces: map[string]cache.Config{},
		ByObject: map[client.Object]cache.ByObject{
			&batchv1.Job{}:          {Label: ofChecks, Transform: trimming(script.Trim, kube.Trim)},
			&v1alpha1.HealthCheck{}: {Transform: trimming(script.TrimCheck, kube.Trim)},
		},
	}
	for _, kind := range flux.TargetKinds() { // their managed fields tell who else writes the version
		o.ByObject[kind] = cache.ByObject{Transform: trimming(flux.Trim, kube.TrimMetadata)}
	}
	for _, kind := range flux.SourceKinds() {
		o.ByObject[kind] = cache.ByObject{Transform: trimming(flux.Trim, kube.Trim)}
	}
	for _, n := range namespaces {
		o.DefaultNamespaces[n] = cache.Config{}
	}
	for _, kind := range approval.PolicyKinds() { // their managed fields tell when they were written
		o.ByObject[kind] = cache.ByObject{Transform: func(o any) (any, error) { return o, nil }}
	}
	return o, nil
}

// trimming trims what only one kind has, before it trims what all kinds have.
func trimming(own func(any), all func(any) (any, error)) func(any) (any, error) {
	return func(o any) (any, error) {
		own(o)
		return all(o)
	}
}
