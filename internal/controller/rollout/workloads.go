package rollout

import (
	"context"
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/release"
)

const (
	// soonest and latest bound how long it takes until workloads that have not rolled out are read again. Between them, it
	// is a part of the time that has passed since the deployment, so that reads become rarer.
	soonest, latest = time.Second, 15 * time.Second
	rereadPart      = 8
)

// rolledOut holds the targets whose workloads are not known to run what Flux has applied. Workloads are read past the
// cache, until they have rolled out for the first time; then the record says so.
func (c *Controller) rolledOut(
	ctx context.Context, ro *v1alpha1.Rollout, world flux.TargetObjects, targets []release.Target,
) error {
	if len(ro.Status.History) == 0 || !release.InFlight(&ro.Status.History[0]) {
		return nil
	}
	for i := range targets {
		t := &targets[i]
		if !t.Applied || slices.ContainsFunc(ro.Status.Targets, func(r v1alpha1.TargetStatus) bool {
			return r.Applied && r.Kind == t.Kind && r.Name == t.Name && r.Variable == t.Variable
		}) {
			continue
		}
		for _, k := range world.KustomizationsFor(*t) {
			reason, message, err := c.inventory.RolledOut(ctx, k)
			if err != nil {
				return err
			}
			if reason != "" {
				t.Applied, t.Held, t.Message = false, reason, message
			}
		}
	}
	return nil
}

// rereadAt is when workloads that have not rolled out are read again; zero if there are none.
func rereadAt(ro *v1alpha1.Rollout, obs *release.Observation) time.Time {
	if !slices.ContainsFunc(obs.Targets, func(t release.Target) bool { return t.Held != "" }) {
		return time.Time{}
	}
	passed := obs.Now.Sub(cutoff(ro))
	return obs.Now.Add(min(max(passed/rereadPart, soonest), latest))
}
