package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// defaultInterval is the default of spec.http.interval.
	defaultInterval = 30 * time.Second
	// maxConcurrent is the number of releases that one gate asks about concurrently.
	maxConcurrent = 4
	// maxVerdicts is the maximum number of verdicts of a gate.
	maxVerdicts = 60
)

// Asker asks whether a release may pass a gate of class http. If ctx ends, the verdict is meaningless. apicheck.Asker
// implements it.
type Asker interface {
	Ask(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict
	// Compile returns an error if an expression of an http gate is invalid for every release.
	Compile(ctx context.Context, g *v1alpha1.RolloutGate) error
}

// Option is an option of New.
type Option func(*Controller)

// WithHTTPAsker makes the controller evaluate gates of class http. Without it, they stay closed.
func WithHTTPAsker(a Asker) Option {
	return func(c *Controller) { c.asker, c.answers = a, newAnswers() }
}

// WithBudget makes the controller share a budget with others. Defaults to its own budget.
func WithBudget(b *fair.Budget) Option {
	return func(c *Controller) { c.budget = b }
}

// reconcileHTTP writes the verdicts of an http gate. It asks about the releases that are not open yet.
func (c *Controller) reconcileHTTP(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
	if c.asker == nil || !g.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if wait := c.budget.Wait(g.Namespace, c.clock.Now()); wait > 0 {
		return kube.Finish(wait, nil)
	}
	ctx, end := c.asks.Begin(ctx, g)
	defer end()
	var meter fair.Meter
	ctx = fair.WithMeter(ctx, &meter)
	defer func() { c.budget.Spend(g.Namespace, meter.Taken(), c.clock.Now()) }() // also what write compiles
	ro, missing, err := c.rollout(ctx, g)
	if err != nil {
		return kube.Finish(0, err)
	}
	list, wait := c.askAll(ctx, g, ro)
	if errors.Is(context.Cause(ctx), kube.ErrOutdated) {
		return ctrl.Result{}, nil
	}
	if ctx.Err() != nil {
		return kube.Finish(0, fmt.Errorf("asking for gate %q: %w", client.ObjectKeyFromObject(g), context.Cause(ctx)))
	}
	held, err := c.write(ctx, g, mergeVerdicts(g, list, c.clock.Now()), missing)
	return kube.Finish(kube.Sooner(wait, held), err)
}

// askAll returns the verdicts for the releases that need one, and after what time to ask again; 0 if there is nothing
// to ask. The caller writes all verdicts together, so that an older release is not deployed because its answer came
// first.
func (c *Controller) askAll(
	ctx context.Context, g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout,
) ([]v1alpha1.GateVerdict, time.Duration) {
	versions := releasesToEvaluate(ro)
	list := make([]v1alpha1.GateVerdict, len(versions))
	again := make([]time.Duration, len(versions))
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for i, v := range versions {
		var known bool
		if list[i], again[i], known = c.known(g, version.Identity(v)); known {
			continue
		}
		group.Go(func() error {
			list[i], again[i] = c.askOne(ctx, g, v)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // an answer is never an error
	again = slices.DeleteFunc(again, func(d time.Duration) bool { return d == 0 })
	if len(again) == 0 {
		return list, 0
	}
	return list, slices.Min(again)
}

// known returns a verdict that needs no request: the spec decides it, the gate is open for the release under this spec,
// or the last answer is recent. In the last case, again is after what time to ask again.
func (c *Controller) known(
	g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity,
) (stored v1alpha1.GateVerdict, again time.Duration, known bool) {
	withoutStatus := g.DeepCopy()
	withoutStatus.Status = v1alpha1.RolloutGateStatus{AllowedVersions: g.Status.AllowedVersions}
	if v := gate.Evaluate(withoutStatus, id, gate.Context{Now: c.clock.Now()}); v.Reason != gate.ReasonNoVerdict {
		return verdict(id, v), 0, true
	}
	for _, old := range currentVerdicts(g) {
		if old.Release == id.Tag && old.Digest == id.Digest && old.State == v1alpha1.GateOpen {
			return old, 0, true
		}
	}
	last, ok := c.answers.last(g, id)
	if !ok {
		return stored, 0, false
	}
	if last.verdict.Open() {
		return verdict(id, last.verdict), 0, true
	}
	again = last.at.Add(fair.Backoff(interval(g), last.failures-1)).Sub(c.clock.Now())
	return verdict(id, last.verdict), again, again > 0
}

func (c *Controller) askOne(
	ctx context.Context, g *v1alpha1.RolloutGate, release v1alpha1.VersionInfo,
) (v v1alpha1.GateVerdict, again time.Duration) {
	id := version.Identity(release)
	r := expr.Release{Tag: id.Tag, Digest: id.Digest, Rollout: g.Spec.RolloutRef.Name, Namespace: g.Namespace}
	if release.Revision != nil {
		r.Revision = *release.Revision
	}
	answer := c.asker.Ask(ctx, g, r)
	if ctx.Err() != nil {
		return v, 0
	}
	failures := c.answers.add(g, id, answer, c.clock.Now())
	if answer.Open() {
		return verdict(id, answer), 0
	}
	return verdict(id, answer), fair.Backoff(interval(g), failures-1)
}

func verdict(id v1alpha1.ReleaseIdentity, v gate.Verdict) v1alpha1.GateVerdict {
	return v1alpha1.GateVerdict{Release: id.Tag, Digest: id.Digest, State: v.State, Reason: v.Reason, Message: v.Message}
}

// currentVerdicts returns the verdicts for the current spec, and none of an older one.
func currentVerdicts(g *v1alpha1.RolloutGate) []v1alpha1.GateVerdict {
	if g.Status.ObservedGeneration != g.Generation {
		return nil
	}
	return g.Status.Verdicts
}

// mergeVerdicts sets the times of verdicts, and adds the open verdicts of other releases: the gate does not ask about
// them again if they need a verdict once more.
func mergeVerdicts(g *v1alpha1.RolloutGate, list []v1alpha1.GateVerdict, now time.Time) []v1alpha1.GateVerdict {
	old := currentVerdicts(g)
	for i := range list {
		v := &list[i]
		if v.Since == nil {
			v.Since = &metav1.Time{Time: now.Truncate(time.Second)}
		}
		isSame := func(o v1alpha1.GateVerdict) bool {
			return identity(o) == identity(*v) && o.State == v.State && o.Reason == v.Reason && o.Since != nil
		}
		if at := slices.IndexFunc(old, isSame); at >= 0 {
			v.Since = old[at].Since
		}
	}
	for _, o := range old {
		listed := slices.ContainsFunc(list, func(v v1alpha1.GateVerdict) bool { return identity(v) == identity(o) })
		if o.State == v1alpha1.GateOpen && !listed {
			list = append(list, o)
		}
	}
	return list[:min(len(list), maxVerdicts)]
}

func identity(v v1alpha1.GateVerdict) v1alpha1.ReleaseIdentity {
	return v1alpha1.ReleaseIdentity{Tag: v.Release, Digest: v.Digest}
}

func interval(g *v1alpha1.RolloutGate) time.Duration {
	if g.Spec.HTTP == nil || g.Spec.HTTP.Interval == nil {
		return defaultInterval
	}
	if d, err := g.Spec.HTTP.Interval.Parse(); err == nil && d > 0 {
		return d
	}
	return defaultInterval
}
