package kube

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Keys of the indexes that the caches keep.
const (
	// ByRollout finds objects by the Rollout they belong to, or that they ask for versions.
	ByRollout = "kuberik.rollout"
	// ByRelease finds Approvals by the Release they are about.
	ByRelease = "kuberik.release"
	// ByApplication finds Environments by their application.
	ByApplication = "kuberik.application"
	// ByGroup finds the namespaces whose Environments meet.
	ByGroup = "kuberik.group"
	// ByPolicy finds Rollouts by their ImagePolicy.
	ByPolicy = "kuberik.policy"
	// BySource finds Kustomizations by the OCIRepository they are made from.
	BySource = "kuberik.source"
	// ByKustomization finds HealthChecks by the Kustomization they look at.
	ByKustomization = "kuberik.kustomization"
	// ByReach finds the Rollouts that look for health checks beyond their own namespace, by the value Beyond.
	ByReach = "kuberik.reach"
	// Beyond is the only value of ByReach.
	Beyond = "beyond"
)

// SelectRollout is the server-side field selector of kinds that name their Rollout in spec.rolloutRef.name. It works without a
// cache.
const SelectRollout = "spec.rolloutRef.name"

// Server-side field selectors of Approvals and of Overrides.
const (
	SelectRelease     = "spec.releaseName"
	SelectRolloutName = "spec.rolloutName"
)

// Index is one index of one kind.
type Index struct {
	// Object of the kind.
	Object client.Object
	// Key of the index.
	Key string
	// Values of an object.
	Values client.IndexerFunc
}

// AddIndexes registers indexes with a cache.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer, list ...Index) error {
	for _, i := range list {
		if err := indexer.IndexField(ctx, i.Object, i.Key, i.Values); err != nil {
			return fmt.Errorf("indexing %T by %q: %w", i.Object, i.Key, err)
		}
	}
	return nil
}
