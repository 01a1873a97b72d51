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
	// defaultInterval is after which a gate that is not open asks again.
	defaultInterval = 30 * time.Second
	// atOnce is how many releases one gate asks about at the same time.
	atOnce = 4
	// kept is how many verdicts a gate has at most.
	kept = 60
)

// Asker asks whether a release may pass a gate of class http. If ctx ends before there is an answer, what it returns means nothing.
type Asker interface {
	Ask(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict
	// Compile returns what is wrong with the expressions of a gate, before any release is in question.
	Compile(ctx context.Context, spec *v1alpha1.HTTPGate) error
}

// Option is what New may be given besides what every Controller needs.
type Option func(*Controller)

// WithHTTPAsker makes the controller answer for gates of class http. Default: it leaves them alone, and so they are closed.
func WithHTTPAsker(a Asker) Option {
	return func(c *Controller) { c.asker, c.answers = a, newAnswers() }
}

// WithBudget makes the controller keep a budget that it shares. Default: one of its own.
func WithBudget(b *fair.Budget) Option {
	return func(c *Controller) { c.budget = b }
}

// ask writes what the URL of a gate says of the releases in question, and asks about those that it has not let pass yet.
func (c *Controller) ask(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
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
	ro, missing, err := c.rollout(ctx, g)
	if err != nil {
		return kube.Finish(0, err)
	}
	list, wait := c.answersFor(ctx, g, ro)
	c.budget.Spend(g.Namespace, meter.Taken(), c.clock.Now())
	if errors.Is(context.Cause(ctx), kube.ErrOutdated) {
		return ctrl.Result{}, nil
	}
	if ctx.Err() != nil {
		return kube.Finish(0, fmt.Errorf("asking for gate %q: %w", client.ObjectKeyFromObject(g), context.Cause(ctx)))
	}
	return kube.Finish(wait, c.write(ctx, g, remembered(g, list, c.clock.Now()), missing))
}

// answersFor lists what is said of the releases in question, and after what time to ask again; 0 if there is nothing to ask. All of it
// is written at once, so that an older release is not deployed because the answer about it came first.
func (c *Controller) answersFor(ctx context.Context, g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout) ([]v1alpha1.GateVerdict, time.Duration) {
	versions := inQuestion(ro)
	list := make([]v1alpha1.GateVerdict, len(versions))
	again := make([]time.Duration, len(versions))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, v := range versions {
		var known bool
		if list[i], again[i], known = c.known(g, version.Identity(v)); known {
			continue
		}
		group.Go(func() error {
			list[i], again[i] = c.question(ctx, g, v)
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

// known is what need not be asked: what the spec says by itself, what was let pass under this spec, and what was asked just now. For
// that it says when to ask again.
func (c *Controller) known(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) (v v1alpha1.GateVerdict, again time.Duration, known bool) {
	unasked := g.DeepCopy()
	unasked.Status = v1alpha1.RolloutGateStatus{AllowedVersions: g.Status.AllowedVersions}
	if said := gate.Evaluate(unasked, id, gate.Context{Now: c.clock.Now()}); said.Reason != gate.ReasonNoVerdict {
		return verdict(id, said), 0, true
	}
	for _, old := range present(g) {
		if old.Release == id.Tag && old.Digest == id.Digest && old.State == v1alpha1.GateOpen {
			return old, 0, true
		}
	}
	last, ok := c.answers.last(g, id)
	if !ok {
		return v, 0, false
	}
	if last.verdict.Open() {
		return verdict(id, last.verdict), 0, true
	}
	again = last.at.Add(fair.Backoff(interval(g), last.hard-1)).Sub(c.clock.Now())
	return verdict(id, last.verdict), again, again > 0
}

func (c *Controller) question(ctx context.Context, g *v1alpha1.RolloutGate, about v1alpha1.VersionInfo) (v v1alpha1.GateVerdict, again time.Duration) {
	id := version.Identity(about)
	r := expr.Release{Tag: id.Tag, Digest: id.Digest, Rollout: g.Spec.RolloutRef.Name, Namespace: g.Namespace}
	if about.Revision != nil {
		r.Revision = *about.Revision
	}
	said := c.asker.Ask(ctx, g, r)
	if ctx.Err() != nil {
		return v, 0
	}
	hard := c.answers.add(g, id, said, c.clock.Now())
	if said.Open() {
		return verdict(id, said), 0
	}
	return verdict(id, said), fair.Backoff(interval(g), hard-1)
}

func verdict(id v1alpha1.ReleaseIdentity, v gate.Verdict) v1alpha1.GateVerdict {
	return v1alpha1.GateVerdict{Release: id.Tag, Digest: id.Digest, State: v.State, Reason: v.Reason, Message: v.Message}
}

// present are the verdicts that were given under the spec as it is now. All others are forgotten.
func present(g *v1alpha1.RolloutGate) []v1alpha1.GateVerdict {
	if g.Status.ObservedGeneration != g.Generation {
		return nil
	}
	return g.Status.Verdicts
}

// remembered gives verdicts the time since which they hold, and adds what the gate has let pass before: it is not asked again, should it
// be in question once more.
func remembered(g *v1alpha1.RolloutGate, list []v1alpha1.GateVerdict, now time.Time) []v1alpha1.GateVerdict {
	old := present(g)
	for i := range list {
		v := &list[i]
		if v.Since == nil {
			v.Since = &metav1.Time{Time: now.Truncate(time.Second)}
		}
		same := func(o v1alpha1.GateVerdict) bool {
			return about(o) == about(*v) && o.State == v.State && o.Reason == v.Reason && o.Since != nil
		}
		if at := slices.IndexFunc(old, same); at >= 0 {
			v.Since = old[at].Since
		}
	}
	for _, o := range old {
		listed := slices.ContainsFunc(list, func(v v1alpha1.GateVerdict) bool { return about(v) == about(o) })
		if o.State == v1alpha1.GateOpen && !listed {
			list = append(list, o)
		}
	}
	return list[:min(len(list), kept)]
}

func about(v v1alpha1.GateVerdict) v1alpha1.ReleaseIdentity {
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
