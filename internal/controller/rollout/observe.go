package rollout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// observe gathers everything that a decision may depend on. What cannot be listed is an error: a list that failed is
// never taken for an empty one.
func (c *Controller) observe(ctx context.Context, ro *v1alpha1.Rollout) (release.Observation, error) {
	obs := release.Observation{
		Now: c.clock.Now(), UID: string(ro.UID), Name: ro.Name, Generation: ro.Generation,
		Annotations: ro.Annotations, Spec: ro.Spec, Status: ro.Status, IgnoreAnnotations: c.options.IgnoreAnnotations,
	}
	if c.options.SettleTime > 0 {
		obs.SettleUntil = ro.CreationTimestamp.Add(c.options.SettleTime)
	}
	policy, image, err := c.flux.Policy(ctx, policyOf(ro))
	if err != nil {
		return obs, err
	}
	obs.Policy = policy
	if obs.Targets, err = c.targets(ctx, c.flux, ro, image); err != nil {
		return obs, err
	}
	if obs.Gates, err = c.gates(ctx, false, ro, obs.Now); err != nil {
		return obs, err
	}
	if obs.Health, err = c.health(ctx, c.flux, ro, obs.Targets); err != nil {
		return obs, err
	}
	releases, err := approval.Releases(ctx, c.client, ro)
	if err != nil {
		return obs, err
	}
	obs.Details = details(releases)
	obs.PinnedTag = lookup(ro, releases, obs.Now)
	if err := c.readApprovals(ctx, approval.Reader{From: c.client, Policies: c.policies}, ro, releases, &obs); err != nil {
		return obs, err
	}
	obs.Elapsed = c.elapsed(ro, obs.Now)
	c.spans.SetPaused(client.ObjectKeyFromObject(ro), release.NotSetUp(obs.Targets))
	return obs, nil
}

func policyOf(ro *v1alpha1.Rollout) types.NamespacedName {
	return types.NamespacedName{Namespace: ro.Namespace, Name: ro.Spec.ReleasesImagePolicy.Name}
}

func (c *Controller) targets(
	ctx context.Context, from flux.Reader, ro *v1alpha1.Rollout, image string,
) ([]release.Target, error) {
	world, err := from.TargetObjects(ctx, ro.Namespace, ro.Name)
	if err != nil {
		return nil, err
	}
	want := flux.Desired{Rollout: ro.Name, Image: image}
	if len(ro.Status.History) > 0 {
		head := &ro.Status.History[0]
		want.Version, want.Token, want.Previous = head.Version, release.Token(string(ro.UID), head), ro.Status.Targets
	}
	targets := flux.Targets(world, want)
	return targets, c.rolledOut(ctx, ro, world, targets)
}

// gates lists the gates of a Rollout, and those that ought to be there, in the order of their names.
func (c *Controller) gates(
	ctx context.Context, live bool, ro *v1alpha1.Rollout, now time.Time,
) ([]*v1alpha1.RolloutGate, error) {
	list := c.cachedGates
	if live {
		list = c.storedGates
	}
	found, err := list(ctx, ro)
	if err != nil {
		return nil, fmt.Errorf("listing RolloutGates: %w", err)
	}
	found = gate.Limit(ro, found)
	for i := range found {
		found[i] = gate.ExpireSchedule(found[i], now)
	}
	if found, err = c.expected(ctx, ro, found, now); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *v1alpha1.RolloutGate) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// health reads what the selected checks report, from the cache or past it.
func (c *Controller) health(
	ctx context.Context, from flux.Reader, ro *v1alpha1.Rollout, targets []release.Target,
) (release.Health, error) {
	var h release.Health
	selector := ro.Spec.HealthCheckSelector
	if selector == nil {
		return h, nil
	}
	wanted, problem := c.usable(selector)
	if problem != "" {
		h.Problem = problem
		return h, nil
	}
	list, err := c.checks(ctx, from, ro, wanted)
	if err != nil {
		return h, err
	}
	for i := range list {
		if list[i].Spec.Mode == v1alpha1.ModeObserve {
			continue
		}
		report, err := c.report(ctx, from, ro, &list[i], targets)
		if err != nil {
			return h, err
		}
		h.Reports = append(h.Reports, report)
	}
	slices.SortFunc(h.Reports, func(a, b health.Report) int { return cmp.Compare(a.Name, b.Name) })
	if len(list) == 0 {
		h.Problem = "healthCheckSelector selects no HealthCheck"
	}
	return h, nil
}

// usable parses a selector, or returns why it cannot be used. The problem holds the release and is shown.
func (c *Controller) usable(s *v1alpha1.HealthCheckSelector) (wanted labels.Selector, problem string) {
	if s.NamespaceSelector != nil && !c.options.CrossNamespaces {
		return nil, "this controller does not allow checks of other namespaces (--cross-namespace-health-checks): remove " +
			"healthCheckSelector.namespaceSelector"
	}
	wanted, err := s.Selector.Parse()
	if err != nil {
		return nil, "healthCheckSelector.selector cannot be used: " + err.Error()
	}
	if _, err := s.NamespaceSelector.Parse(); err != nil {
		return nil, "healthCheckSelector.namespaceSelector cannot be used: " + err.Error()
	}
	return wanted, ""
}

// checks lists the selected checks: of the namespace of the Rollout, or of those that its namespaceSelector chooses and
// that share theirs.
func (c *Controller) checks(
	ctx context.Context, from flux.Reader, ro *v1alpha1.Rollout, selector labels.Selector,
) ([]v1alpha1.HealthCheck, error) {
	opts := []client.ListOption{client.MatchingLabelsSelector{Selector: selector}}
	beyond := ro.Spec.HealthCheckSelector.NamespaceSelector != nil
	if !beyond {
		opts = append(opts, client.InNamespace(ro.Namespace))
	}
	items, err := c.listChecks(ctx, from, ro.Namespace, opts)
	if err != nil || !beyond {
		return items, err
	}
	var selected []v1alpha1.HealthCheck
	for i := range items {
		var ns corev1.Namespace
		if err := c.client.Get(ctx, client.ObjectKey{Name: items[i].Namespace}, &ns); err != nil {
			return nil, fmt.Errorf("reading namespace %q: %w", items[i].Namespace, err)
		}
		if health.Selects(ro, &items[i], ns.Labels) {
			selected = append(selected, items[i])
		}
	}
	return selected, nil
}

// checksPerPage is how many HealthChecks are read from the API server at once. Each may have a jobTemplate of more than
// one MiB.
const checksPerPage = 10

// listChecks lists HealthChecks from the cache, or page by page from the API server without their definitions, which no
// report depends on.
func (c *Controller) listChecks(
	ctx context.Context, from flux.Reader, namespace string, opts []client.ListOption,
) ([]v1alpha1.HealthCheck, error) {
	if !from.Live {
		var list v1alpha1.HealthCheckList
		if err := from.List(ctx, &list, opts...); err != nil {
			return nil, fmt.Errorf("listing HealthChecks: %w", err)
		}
		return list.Items, nil
	}
	done, err := c.pages.Take(ctx, namespace)
	if err != nil {
		return nil, err
	}
	defer done()
	var found []v1alpha1.HealthCheck
	for list, err := range kube.Pages[v1alpha1.HealthCheckList](ctx, from, checksPerPage, opts...) {
		if err != nil {
			return nil, fmt.Errorf("listing HealthChecks: %w", err)
		}
		for i := range list.Items {
			if _, err := kube.Trim(&list.Items[i]); err != nil {
				return nil, fmt.Errorf("reading HealthCheck %q: %w", list.Items[i].Name, err)
			}
			spec := &list.Items[i].Spec
			spec.Script, spec.HTTP, spec.Datadog, spec.Prometheus = nil, nil, nil, nil
			found = append(found, list.Items[i])
		}
	}
	return found, nil
}

// report reads one check, and says whether it speaks for what is deployed now.
func (c *Controller) report(
	ctx context.Context, from flux.Reader, ro *v1alpha1.Rollout, check *v1alpha1.HealthCheck, targets []release.Target,
) (health.Report, error) {
	r := health.Report{
		Name: check.Name, Namespace: check.Namespace, State: health.Normal(check.Status.Status),
		Revision: check.Status.ObservedRevision,
		Since:    when(check.Status.LastChangeTime), LastError: when(check.Status.LastErrorTime),
	}
	if check.Namespace != ro.Namespace {
		r.Name = check.Namespace + "/" + check.Name
	}
	if check.Status.Message != nil {
		r.Message = *check.Status.Message
	} else if check.Status.Status == "" {
		r.Message = "nobody has reported on the check yet"
	}
	if !check.DeletionTimestamp.IsZero() { // nobody evaluates it any more
		r.State, r.Message = v1alpha1.HealthPending, "the HealthCheck is being deleted"
	}
	var err error
	switch traits, _ := health.TraitsOf(check); traits.Binding {
	case health.ByRevision:
		r.ByRevision = true
		r.Current, err = aboutRevision(ctx, from, check, targets)
	case health.ByDeployment:
		r.ByRevision = true
		r.Current = aboutDeployment(ro, check)
		if cutoff := cutoff(ro); r.Current && r.State == v1alpha1.HealthUnhealthy && r.Since.Before(cutoff) {
			r.Since = cutoff // it is still unhealthy, and has been asked anew since the retry
		}
	default:
		r.Current = !r.Since.Before(cutoff(ro))
	}
	return r, err
}

// cutoff is the time from which on reports count for the last deployment; zero if there is none.
func cutoff(ro *v1alpha1.Rollout) time.Time {
	if len(ro.Status.History) == 0 {
		return time.Time{}
	}
	return release.Cutoff(&ro.Status.History[0])
}

// aboutRevision reports whether a check of a Kustomization speaks for what that has come to, for the version that was
// asked for.
func aboutRevision(
	ctx context.Context, from flux.Reader, check *v1alpha1.HealthCheck, targets []release.Target,
) (bool, error) {
	key, err := kustomization.KeyOf(check)
	if err != nil {
		return false, nil //nolint:nilerr // the check itself reports what is wrong with it
	}
	applied, err := from.Kustomization(ctx, key)
	if err != nil || applied == nil {
		return false, err
	}
	asked := !slices.ContainsFunc(targets, func(t release.Target) bool { return t.Problem == "" && !t.Asked })
	return asked && applied.Progress.Attempted() && check.Status.ObservedRevision == applied.Revision, nil
}

// aboutDeployment reports whether a check that probes speaks for the last deployment of a Rollout.
func aboutDeployment(ro *v1alpha1.Rollout, check *v1alpha1.HealthCheck) bool {
	if len(ro.Status.History) == 0 {
		return true
	}
	asked := health.Deployment(check, ro.Namespace, ro.Name, release.Token(string(ro.UID), &ro.Status.History[0]))
	return check.Status.ObservedGeneration == check.Generation &&
		slices.Contains(check.Status.Deployments, asked)
}

// lookupTime is how long a pin to a tag that is not known waits for the registry to be asked.
const lookupTime = 15 * time.Second

// lookup is what the registry says of a pinned tag that is not known. The Release of that tag exists only to ask.
func lookup(ro *v1alpha1.Rollout, releases []*v1alpha1.Release, now time.Time) release.TagLookup {
	tag, ok := release.PinnedUnknown(ro)
	if !ok {
		return release.TagLookup{}
	}
	i := slices.IndexFunc(releases, func(rel *v1alpha1.Release) bool {
		return version.Identity(rel.Spec.Version) == v1alpha1.ReleaseIdentity{Tag: tag}
	})
	if i < 0 {
		return release.TagLookup{State: release.TagPending}
	}
	until := releases[i].CreationTimestamp.Add(lookupTime)
	read := apimeta.FindStatusCondition(releases[i].Status.Conditions, v1alpha1.ConditionDetailsRead)
	switch {
	case read == nil && now.Before(until):
		return release.TagLookup{State: release.TagPending, Until: until}
	case read != nil && read.Reason == v1alpha1.ReasonImageNotFound:
		return release.TagLookup{State: release.TagNotFound}
	}
	return release.TagLookup{}
}

// details is what the images of known releases say of themselves.
func details(releases []*v1alpha1.Release) []release.Details {
	var known []release.Details
	for _, rel := range releases {
		if rel.Status.Details != nil {
			known = append(known, release.Details{
				Release: version.Identity(rel.Spec.Version), ReleaseDetails: *rel.Status.Details,
			})
		}
	}
	slices.SortFunc(known, func(a, b release.Details) int {
		return cmp.Or(cmp.Compare(a.Release.Tag, b.Release.Tag), cmp.Compare(a.Release.Digest, b.Release.Digest))
	})
	return known
}

// readApprovals adds the Approvals and Overrides of releases to an observation.
func (c *Controller) readApprovals(
	ctx context.Context, from approval.Reader, ro *v1alpha1.Rollout, releases []*v1alpha1.Release,
	obs *release.Observation,
) error {
	read, err := from.Read(ctx, ro, releases)
	obs.Approvals, obs.Overrides, obs.UnverifiedReason = read.Approvals, read.Overrides, read.UnverifiedReason
	return err
}

func when(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
