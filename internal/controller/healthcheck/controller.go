package healthcheck

import (
	"context"
	"errors"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/observed"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// Workers is how many probes of checks that call out there are at once, and share how many of one namespace. Most of a probe is
	// waiting, and a source that never answers must not keep those of others from being asked.
	Workers = 256
	share   = 32
	// insideWorkers and insideShare are the same for checks that read the cluster only, which wait for no other.
	insideWorkers = 64
	insideShare   = 16
)

// Class is a class of checks that Kuberik answers for.
type Class struct {
	health.Traits
	// Checker that asks.
	Checker health.Checker
}

// Options of the controller.
type Options struct {
	// Classes that Kuberik answers for.
	Classes map[string]Class
	// CrossNamespaces lets Rollouts select checks of other namespaces that share theirs.
	CrossNamespaces bool
	// Budget of the expressions of each namespace. Default: one of its own.
	Budget *fair.Budget
}

// Controller keeps the status of HealthChecks.
type Controller struct {
	client  client.Client
	cross   bool
	classes map[string]Class
	clock   clock.PassiveClock
	streaks *streaks
	budget  *fair.Budget
	// probes are the reconciles that are under way.
	probes kube.ActiveReconciles
	// messages limits writes that change messages only.
	messages kube.Messages
	// awake runs while the process does.
	awake *observed.Clock
}

// New makes the controller.
func New(c client.Client, clk clock.PassiveClock, o Options) *Controller {
	if o.Budget == nil {
		o.Budget = &fair.Budget{}
	}
	return &Controller{
		client: c, classes: o.Classes, cross: o.CrossNamespaces, clock: clk, streaks: newStreaks(), budget: o.Budget,
		awake: observed.NewClock(stoodStill),
	}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks/status,verbs=patch
//+kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
//+kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch
//+kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations,verbs=get;list;watch

// Register adds two controllers to a manager: one for the checks that call out, and one for all others.
func (c *Controller) Register(mgr ctrl.Manager) error {
	if err := mgr.Add(manager.RunnableFunc(c.stayAwake)); err != nil {
		return err
	}
	calling := ctrl.NewControllerManagedBy(mgr).
		Named("healthcheck-outside").
		WithOptions(kube.FairOptions(Workers, share))
	if err := c.complete(mgr, calling, true); err != nil {
		return err
	}
	reading := ctrl.NewControllerManagedBy(mgr).
		Named("healthcheck").
		Owns(&batchv1.Job{}).
		Watches(flux.NewKustomization(), handler.EnqueueRequestsFromMapFunc(c.ofKustomization)).
		WithOptions(kube.FairOptions(insideWorkers, insideShare))
	return c.complete(mgr, reading, false)
}

// complete adds what the two controllers have in common. Each leaves the checks of the other alone. A check whose class is changed is one
// of the other's from then on.
func (c *Controller) complete(mgr ctrl.Manager, b *builder.Builder, outside bool) error {
	mine := func(check *v1alpha1.HealthCheck) bool { return c.classes[health.Class(check)].External == outside }
	return b.
		For(&v1alpha1.HealthCheck{}, builder.WithPredicates(kube.ObjectsMatching(mine))).
		Watches(&v1alpha1.HealthCheck{}, &c.probes).
		Watches(&v1alpha1.Rollout{}, kube.EnqueueRequests(func(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
			return c.ofRollout(ctx, ro, mine)
		})).
		Complete(reconcile.AsReconciler(mgr.GetClient(), reconcile.TypedFunc[*v1alpha1.HealthCheck](
			func(ctx context.Context, check *v1alpha1.HealthCheck) (ctrl.Result, error) {
				if !mine(check) {
					return ctrl.Result{}, nil
				}
				return c.Reconcile(ctx, check)
			})))
}

// Reconcile brings the status of one check up to date.
func (c *Controller) Reconcile(ctx context.Context, check *v1alpha1.HealthCheck) (ctrl.Result, error) {
	if !check.DeletionTimestamp.IsZero() {
		c.streaks.forget(check)
		return ctrl.Result{}, nil
	}
	kind, ours := c.classes[health.Class(check)]
	if !ours {
		return kube.Finish(0, c.reset(ctx, check))
	}
	now := c.clock.Now()
	if wait := c.budget.Wait(check.Namespace, now); wait > 0 {
		return kube.Finish(spread(wait), nil)
	}
	releases, err := c.deployed(ctx, check)
	if err != nil {
		return kube.Finish(0, err)
	}
	if wait := c.streaks.due(check, releases, kind.Binding == health.ByRevision, now); wait > 0 {
		return kube.Finish(wait, nil)
	}
	ctx, end := c.probes.Begin(ctx, check)
	defer end()
	gaps := c.gaps()
	report, hard, err := c.probe(ctx, kind.Checker, health.Subject{Now: now, Check: check, Release: subject(check, releases)})
	switch {
	case ctx.Err() != nil:
		return ctrl.Result{}, nil // what was asked is not what is wanted any more
	case c.gaps() != gaps:
		return kube.Finish(again, nil) // what timed out may have been answered while the process stood still
	}
	c.streaks.stoodStill(gaps)
	if err != nil {
		report = health.Report{State: v1alpha1.HealthPending, Message: err.Error()}
	}
	verdict := c.judge(kind, check, releases, report)
	if err := c.write(ctx, check, verdict, kind.Binding == health.ByRevision); err != nil {
		return kube.Finish(0, err)
	}
	return kube.Finish(spread(c.streaks.pause(check, report, hard, c.clock.Now())), nil)
}

// judge says what a probe amounts to, and for which deployments.
func (c *Controller) judge(kind Class, check *v1alpha1.HealthCheck, releases []health.Release, r health.Report) verdict {
	if !kind.PerDeployment {
		return c.streaks.judge(check, releases, r, c.clock.Now())
	}
	once := check.DeepCopy()
	once.Spec.FailureThreshold, once.Spec.SuccessThreshold = 1, 1
	var about []health.Release
	if s := subject(check, releases); s.Token != "" {
		about = append(about, s)
	}
	v := c.streaks.judge(once, about, r, c.clock.Now())
	for _, d := range deployments(check, releases) {
		if slices.Contains(check.Status.Deployments, d) && !slices.Contains(v.About, d) {
			v.About = append(v.About, d)
		}
	}
	return v
}

// probe asks, for as long as the check allows. A source that does not answer in time is one that could not be asked. It is hard on the
// controller if it took all that time, or if its expression took more steps than one may.
func (c *Controller) probe(ctx context.Context, checker health.Checker, s health.Subject) (report health.Report, hard bool, err error) {
	timeout := outbound.Timeout(s.Check.Spec.Timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout+grace)
	defer cancel()
	var meter fair.Meter
	report, err = checker.Check(fair.WithMeter(ctx, &meter), s)
	c.budget.Spend(s.Check.Namespace, meter.Taken(), c.clock.Now())
	return report, c.clock.Since(s.Now) >= timeout || errors.Is(err, expr.ErrCost), err
}

// interval is how long to wait before the check is asked again. One that has no verdict yet is asked sooner, where asking costs nobody
// outside the cluster anything.
func interval(check *v1alpha1.HealthCheck, report health.Report) time.Duration {
	every := duration(check.Spec.Interval, defaultInterval)
	if d, err := time.ParseDuration(check.Annotations[v1alpha1.AnnotationRequeueInterval]); err == nil && check.Spec.Interval == nil {
		every = max(d, shortest)
	}
	if t, ours := health.TraitsOf(check); report.State == v1alpha1.HealthPending && ours && !t.External {
		return min(every, eager)
	}
	return every
}

func duration(d *v1alpha1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	if v, err := d.Parse(); err == nil && v > 0 {
		return v
	}
	return otherwise
}
