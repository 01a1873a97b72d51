package healthcheck

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
)

// maxDeployments is how many deployments a check covers.
const maxDeployments = 50

// deployed returns the applied deployments of the Rollouts that select a check.
func (c *Controller) deployed(ctx context.Context, check *v1alpha1.HealthCheck) ([]health.Release, error) {
	selecting, err := c.selectingRollouts(ctx, check)
	if err != nil {
		return nil, err
	}
	var list []health.Release
	for _, ro := range selecting {
		if len(ro.Status.History) > 0 && applied(ro) {
			list = append(list, released(ro))
		}
	}
	slices.SortFunc(list, func(a, b health.Release) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Rollout, b.Rollout))
	})
	return list[:min(len(list), maxDeployments)], nil
}

// selectingRollouts returns the Rollouts that select a check.
func (c *Controller) selectingRollouts(ctx context.Context, check *v1alpha1.HealthCheck) ([]*v1alpha1.Rollout, error) {
	start := c.clock.Now()
	// Every check reads every Rollout and its selector: with thousands of both, this takes a whole core.
	defer func() { c.budget.Spend(check.Namespace, c.clock.Since(start), c.clock.Now()) }()
	namespace, queries, err := c.rolloutQueries(ctx, check)
	if err != nil {
		return nil, err
	}
	var found []*v1alpha1.Rollout
	for _, q := range queries {
		var list v1alpha1.RolloutList
		if err := c.client.List(ctx, &list, q, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing Rollouts: %w", err)
		}
		for i := range list.Items {
			ro := &list.Items[i]
			if health.Selects(ro, check, namespace) &&
				!slices.ContainsFunc(found, func(f *v1alpha1.Rollout) bool { return f.UID == ro.UID }) {
				found = append(found, ro)
			}
		}
	}
	return found, nil
}

// rolloutQueries returns the queries for the Rollouts that may select a check, and the labels of its namespace:
// Rollouts of that namespace, and those that select checks of other namespaces.
func (c *Controller) rolloutQueries(
	ctx context.Context, check *v1alpha1.HealthCheck,
) (map[string]string, []client.ListOption, error) {
	queries := []client.ListOption{client.InNamespace(check.Namespace)}
	if !c.cross {
		return nil, queries, nil
	}
	var ns corev1.Namespace
	if err := c.client.Get(ctx, client.ObjectKey{Name: check.Namespace}, &ns); err != nil {
		return nil, nil, fmt.Errorf("reading namespace %q: %w", check.Namespace, err)
	}
	return ns.Labels, append(queries, client.MatchingFields{kube.ByScope: kube.CrossNamespace}), nil
}

// applied reports whether Flux has applied the newest deployment of a Rollout on every target.
func applied(ro *v1alpha1.Rollout) bool {
	return len(ro.Status.Targets) > 0 &&
		!slices.ContainsFunc(ro.Status.Targets, func(t v1alpha1.TargetStatus) bool { return !t.Applied })
}

func released(ro *v1alpha1.Rollout) health.Release {
	head := &ro.Status.History[0]
	r := health.Release{
		Namespace: ro.Namespace, Rollout: ro.Name, Tag: head.Version.Tag, Digest: head.Version.Digest,
		Token: release.Token(string(ro.UID), head), DeployedAt: release.Cutoff(head), InFlight: release.InFlight(head),
	}
	if head.Version.Revision != nil {
		r.Revision = *head.Version.Revision
	}
	return r
}

// releaseToCheck returns the deployment to check: one in flight without a result, else one in flight, else any.
func releaseToCheck(check *v1alpha1.HealthCheck, releases []health.Release) health.Release {
	var chosen health.Release
	rank := -1
	for _, r := range releases {
		score := 0
		if r.InFlight {
			score++
			if !covers(check.Status.Deployments, deployments(check, []health.Release{r})) {
				score++
			}
		}
		if score > rank {
			chosen, rank = r, score
		}
	}
	return chosen
}

// deployments returns the entries of deployments in the status of a check.
func deployments(check *v1alpha1.HealthCheck, releases []health.Release) []v1alpha1.CheckedDeployment {
	var list []v1alpha1.CheckedDeployment
	for _, r := range releases {
		list = append(list, health.Deployment(check, r.Namespace, r.Rollout, r.Token))
	}
	return list
}

// newestDeployment returns the time and the Rollout of the newest deployment in flight that has not started to bake, of
// the Rollouts that select the check.
func (c *Controller) newestDeployment(ctx context.Context, check *v1alpha1.HealthCheck) (time.Time, string, error) {
	var newest time.Time
	var name string
	selecting, err := c.selectingRollouts(ctx, check)
	for _, ro := range selecting {
		if len(ro.Status.History) == 0 || !release.InFlight(&ro.Status.History[0]) ||
			ro.Status.History[0].BakeStartTime != nil {
			continue
		}
		if cutoff := release.Cutoff(&ro.Status.History[0]); name == "" || cutoff.After(newest) {
			newest, name = cutoff, ro.Name
		}
	}
	return newest, name, err
}
