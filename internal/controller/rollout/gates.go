package rollout

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
)

// gatesPerPage is how many RolloutGates are read from the API server at once. Each may list a thousand versions.
const gatesPerPage = 20

// cachedGates lists the gates of a Rollout from the cache, whose memory they share: they must not be changed.
func (c *Controller) cachedGates(ctx context.Context, ro *v1alpha1.Rollout) ([]*v1alpha1.RolloutGate, error) {
	var list v1alpha1.RolloutGateList
	err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace),
		client.MatchingFields{kube.ByRollout: ro.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	var found []*v1alpha1.RolloutGate
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	return found, nil
}

// storedGates lists the gates of a Rollout page by page from the API server, as they would be cached, and no more than
// it takes to see that there are too many.
func (c *Controller) storedGates(ctx context.Context, ro *v1alpha1.Rollout) ([]*v1alpha1.RolloutGate, error) {
	done, err := c.pages.Take(ctx, ro.Namespace)
	if err != nil {
		return nil, err
	}
	defer done()
	var found []*v1alpha1.RolloutGate
	for list, err := range kube.Pages[v1alpha1.RolloutGateList](
		ctx, c.live, gatesPerPage, client.InNamespace(ro.Namespace), client.MatchingFields{kube.SelectRollout: ro.Name},
	) {
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			if _, err := kube.Trim(&list.Items[i]); err != nil {
				return nil, err
			}
			found = append(found, list.Items[i].DeepCopy())
		}
		if len(found) > gate.MaxGates {
			break
		}
	}
	return found, nil
}
