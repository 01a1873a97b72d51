package kustomization

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
)

// RolledOut returns why the workloads of a Kustomization are not known to run what Flux has applied, as
// v1alpha1.ReasonWorkloadsNotReady or v1alpha1.ReasonWorkloadsUnknown with a message, or "" if all have rolled out.
// Without spec.wait, Flux is ready as soon as the API server has accepted the objects, while the pods of the version
// before still serve. The inventory is read from the API server.
func (c Checker) RolledOut(ctx context.Context, known *flux.KustomizationState) (reason, message string, err error) {
	k, problem, err := c.read(ctx, types.NamespacedName{Namespace: known.Namespace, Name: known.Name})
	switch {
	case err != nil:
		return "", "", err
	case problem != "":
		return v1alpha1.ReasonWorkloadsUnknown, problem, nil
	case k.Revision != known.Revision:
		return v1alpha1.ReasonWorkloadsNotReady, "Kustomization " + k.Name + " has changed, and is looked at again", nil
	case k.Remote && k.HealthChecked:
		return "", "", nil
	case k.Remote:
		return v1alpha1.ReasonWorkloadsUnknown, "Kustomization " + k.Name +
			" is applied to another cluster, where Kuberik does not see its workloads: set spec.wait: true, so that Flux " +
			"waits for them", nil
	}
	findings, err := c.checkObjects(ctx, k,
		slices.DeleteFunc(slices.Clone(k.Inventory), func(o flux.Object) bool { return !flux.IsWorkload(o.GroupKind()) }),
		&flux.Evaluator{})
	if err != nil {
		return "", "", err
	}
	if message := joinMessages(findings, v1alpha1.HealthUnknown); message != "" {
		return v1alpha1.ReasonWorkloadsUnknown, message, nil
	}
	for _, state := range []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, v1alpha1.HealthPending} {
		if message := joinMessages(findings, state); message != "" {
			return v1alpha1.ReasonWorkloadsNotReady, message, nil
		}
	}
	return "", "", nil
}

// checkObjects evaluates objects, a few at a time.
func (c Checker) checkObjects(
	ctx context.Context, k *flux.KustomizationState, objects []flux.Object, expressions *flux.Evaluator,
) ([]objectHealth, error) {
	findings := make([]objectHealth, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, o := range objects {
		group.Go(func() (err error) {
			findings[i], err = c.checkObject(ctx, k, o, expressions)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("reading the inventory of Kustomization %q: %w", k.Name, err)
	}
	return findings, nil
}
