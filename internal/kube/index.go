package kube

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Keys of the cache indexes.
const (
	// ByRollout finds objects by the Rollout they belong to or take a version from.
	ByRollout = "kuberik.rollout"
	// ByRelease finds Approvals by their Release.
	ByRelease = "kuberik.release"
	// ByApplication finds Environments by their application.
	ByApplication = "kuberik.application"
	// ByGroup finds namespaces by the group that lets their Environments see each other.
	ByGroup = "kuberik.group"
	// ByPolicy finds Rollouts by their ImagePolicy.
	ByPolicy = "kuberik.policy"
	// BySource finds Kustomizations by the OCIRepository that is their source.
	BySource = "kuberik.source"
	// ByKustomization finds HealthChecks by the Kustomization they check.
	ByKustomization = "kuberik.kustomization"
	// ByScope finds Rollouts that select health checks of other namespaces, by the value CrossNamespace.
	ByScope = "kuberik.scope"
	// CrossNamespace is the only value of ByScope.
	CrossNamespace = "cross-namespace"
)

// SelectRollout is the field selector of kinds that have spec.rolloutRef.name. The API server supports it, so it works
// without a cache.
const SelectRollout = "spec.rolloutRef.name"

// Field selectors of Approvals and Overrides that the API server supports.
const (
	SelectRelease     = "spec.releaseRef.name"
	SelectRolloutName = "spec.rolloutRef.name"
)

// Index is a cache index of a kind.
type Index struct {
	// Object is an empty object of the kind.
	Object client.Object
	// Key of the index.
	Key string
	// Values returns the index values of an object.
	Values client.IndexerFunc
}

// AddIndexes adds indexes to a cache.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer, list ...Index) error {
	for _, i := range list {
		if err := indexer.IndexField(ctx, i.Object, i.Key, i.Values); err != nil {
			return fmt.Errorf("indexing %T by %q: %w", i.Object, i.Key, err)
		}
	}
	return nil
}
