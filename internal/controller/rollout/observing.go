package rollout

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/release"
)

const (
	// observeEvery is how often the API server is asked for an answer while a deadline or a bake is measured.
	observeEvery = time.Second
	// unobserved is how long the API server may be silent before the time without an answer does not count.
	unobserved = 5 * time.Second
)

// elapsed is how much of the current span of a Rollout was observed; nil if nothing is measured.
func (c *Controller) elapsed(ro *v1alpha1.Rollout, now time.Time) *time.Duration {
	key := client.ObjectKeyFromObject(ro)
	span, ok := release.Span(ro.Spec, ro.Status)
	if !ok {
		c.spans.Forget(key)
		return nil
	}
	span.UID = string(ro.UID)
	elapsed := c.spans.Elapsed(key, span, now, now)
	return &elapsed
}

// keepObserving asks the API server for an answer every second while anything is measured. Only that shows whether the
// cluster can be observed: a watch without events and a watch that is cut look the same.
func (c *Controller) keepObserving(ctx context.Context) error {
	ticker := time.NewTicker(observeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if key, ok := c.spans.Any(); ok {
				c.ask(ctx, key)
			}
		}
	}
}

// ask notes when the API server answers about a Rollout. That it is gone is an answer too.
func (c *Controller) ask(ctx context.Context, key client.ObjectKey) {
	ctx, cancel := context.WithTimeout(ctx, unobserved)
	defer cancel()
	err := c.live.Get(ctx, key, &v1alpha1.Rollout{})
	if apierrors.IsNotFound(err) {
		c.spans.Forget(key)
	}
	if client.IgnoreNotFound(err) == nil {
		c.seen.Observe(c.clock.Now())
	}
}

// reconsider decides again on what the targets and the checks say past the cache. Nothing fails on a cache that lags
// behind, as after an outage of the API server, or while that gives no answer.
func (c *Controller) reconsider(
	ctx context.Context, ro *v1alpha1.Rollout, obs release.Observation,
) (release.Observation, release.Decision, error) {
	from := flux.Reader{Reader: c.live, Live: true, Pages: c.pages}
	_, image, err := c.flux.Policy(ctx, policyOf(ro))
	if err != nil {
		return obs, release.Decision{}, err
	}
	if obs.Targets, err = c.targets(ctx, from, ro, image); err != nil {
		return obs, release.Decision{}, err
	}
	if obs.Health, err = c.health(ctx, from, ro, obs.Targets); err != nil {
		return obs, release.Decision{}, err
	}
	c.seen.Observe(c.clock.Now())
	return obs, release.Decide(obs), nil
}
