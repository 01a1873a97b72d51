package controller

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health/script"
	"github.com/kuberik/kuberik/internal/kube"
)

// caches returns the cache options. The cache keeps only the fields that are read, and only the Jobs of script checks,
// so that other fields, annotations, finalizers and owner references of tenants use no memory.
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
	transforms, err := transformsByKind(o)
	o.NewInformer = kube.PagedInformers(transforms)
	return o, err
}

// transformsByKind returns a function that returns the transform of a kind.
func transformsByKind(o cache.Options) (func(runtime.Object) toolscache.TransformFunc, error) {
	scheme, byKind := Scheme(), map[schema.GroupVersionKind]toolscache.TransformFunc{}
	for object, options := range o.ByObject {
		kind, err := apiutil.GVKForObject(object, scheme)
		if err != nil {
			return nil, err
		}
		byKind[kind] = options.Transform
	}
	return func(object runtime.Object) toolscache.TransformFunc {
		if kind, err := apiutil.GVKForObject(object, scheme); err == nil && byKind[kind] != nil {
			return byKind[kind]
		}
		return o.DefaultTransform
	}, nil
}

// chain returns a transform that calls a function for one kind and then the transform of all kinds.
func chain(own func(any), all func(any) (any, error)) func(any) (any, error) {
	return func(o any) (any, error) {
		own(o)
		return all(o)
	}
}
