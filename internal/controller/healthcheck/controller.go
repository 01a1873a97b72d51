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
	// Workers is how many probes of external checks run at the same time, and share how many of one namespace. Probes
	// mostly wait, and a source that never responds must not delay others.
	Workers = 256
	share   = 32
	// clusterWorkers and clusterShare are the same for checks that read from the cluster only.
	clusterWorkers = 64
	clusterShare   = 16
)

// Class is a class of checks that Kuberik evaluates.
type Class struct {
	health.Traits
	// Checker of the class.
	Checker health.Checker
}

// Options of the controller.
type Options struct {
	// Classes that Kuberik evaluates.
	Classes map[string]Class
	// CrossNamespaces lets Rollouts select checks of other namespaces that share theirs.
	CrossNamespaces bool
	// Budget of the expressions of each namespace. Defaults to a new one.
	Budget *fair.Budget
}

// Controller reconciles HealthChecks.
type Controller struct {
	client  client.Client
	cross   bool
	classes map[string]Class
	clock   clock.PassiveClock
	streaks *streaks
	budget  *fair.Budget
	// probes are the active reconciles.
	probes kube.ActiveReconciles
	// messages limits writes that change messages only.
	messages kube.Messages
	// processClock shows whether the process was stopped.
	processClock *observed.Clock
}

// New returns a Controller.
func New(c client.Client, clk clock.PassiveClock, o Options) *Controller {
	if o.Budget == nil {
		o.Budget = &fair.Budget{}
	}
	return &Controller{
		client: c, classes: o.Classes, cross: o.CrossNamespaces, clock: clk, streaks: newStreaks(), budget: o.Budget,
		processClock: observed.NewClock(maxGap),
	}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=healthchecks/status,verbs=patch
//+kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
//+kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch
//+kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations,verbs=get;list;watch

// Register adds two controllers to a manager: one for external checks, and one for all others.
func (c *Controller) Register(mgr ctrl.Manager) error {
	if err := mgr.Add(manager.RunnableFunc(c.runProcessClock)); err != nil {
		return err
	}
	externalChecks := ctrl.NewControllerManagedBy(mgr).
		Named("healthcheck-outside").
		WithOptions(kube.FairOptions(Workers, share))
	if err := c.complete(mgr, externalChecks, true); err != nil {
		return err
	}
	clusterChecks := ctrl.NewControllerManagedBy(mgr).
		Named("healthcheck").
		Owns(&batchv1.Job{}).
		Watches(flux.NewKustomization(), handler.EnqueueRequestsFromMapFunc(c.requestsForKustomization)).
		WithOptions(kube.FairOptions(clusterWorkers, clusterShare))
	return c.complete(mgr, clusterChecks, false)
}

// complete builds one of the two controllers. Each ignores the checks of the other.
func (c *Controller) complete(mgr ctrl.Manager, b *builder.Builder, external bool) error {
	handles := func(check *v1alpha1.HealthCheck) bool { return c.classes[health.Class(check)].External == external }
	return b.
		For(&v1alpha1.HealthCheck{}, builder.WithPredicates(kube.ObjectsMatching(handles))).
		Watches(&v1alpha1.HealthCheck{}, &c.probes).
		Watches(&v1alpha1.Rollout{},
			kube.EnqueueRequests(func(ctx context.Context, ro *v1alpha1.Rollout) []reconcile.Request {
				return c.requestsForRollout(ctx, ro, handles)
			})).
		Complete(reconcile.AsReconciler(mgr.GetClient(), reconcile.TypedFunc[*v1alpha1.HealthCheck](
			func(ctx context.Context, check *v1alpha1.HealthCheck) (ctrl.Result, error) {
				if !handles(check) {
					return ctrl.Result{}, nil
				}
				return c.Reconcile(ctx, check)
			})))
}

// Reconcile evaluates one check.
func (c *Controller) Reconcile(ctx context.Context, check *v1alpha1.HealthCheck) (ctrl.Result, error) {
	if !check.DeletionTimestamp.IsZero() {
		c.streaks.forget(check)
		return ctrl.Result{}, nil
	}
	kind, ours := c.classes[health.Class(check)]
	if !ours {
		return kube.Finish(0, c.reset(ctx, check))
	}
	now, byRevision := c.clock.Now(), kind.Binding == health.ByRevision
	if wait := c.budget.Wait(check.Namespace, now); wait > 0 {
		return kube.Finish(spread(wait), nil)
	}
	releases, err := c.deployed(ctx, check)
	if err != nil {
		return kube.Finish(0, err)
	}
	if wait := c.streaks.due(check, releases, byRevision, now); wait > 0 {
		return kube.Finish(wait, nil)
	}
	ctx, end := c.probes.Begin(ctx, check)
	defer end()
	gaps := c.gaps()
	in := health.CheckInput{Now: now, Check: check, Release: releaseToCheck(check, releases)}
	report, expensive, err := c.probe(ctx, kind.Checker, in)
	switch {
	case ctx.Err() != nil:
		return ctrl.Result{}, nil // the check or the deployment has changed
	case c.gaps() != gaps:
		return kube.Finish(retryDelay, nil) // a timeout may have passed while the process was stopped
	}
	c.streaks.setGaps(gaps)
	if err != nil {
		report = health.Report{State: v1alpha1.HealthPending, Message: err.Error()}
	}
	if err := c.write(ctx, check, c.evaluate(kind, check, releases, report), byRevision); err != nil {
		return kube.Finish(0, err)
	}
	return kube.Finish(spread(c.streaks.pause(check, report, expensive, c.clock.Now())), nil)
}

// evaluate returns the result of a probe, and the deployments that it is for.
func (c *Controller) evaluate(
	kind Class, check *v1alpha1.HealthCheck, releases []health.Release, r health.Report,
) verdict {
	if !kind.PerDeployment {
		return c.streaks.count(check, releases, r, c.clock.Now())
	}
	once := check.DeepCopy()
	once.Spec.FailureThreshold, once.Spec.SuccessThreshold = 1, 1
	var about []health.Release
	if s := releaseToCheck(check, releases); s.Token != "" {
		about = append(about, s)
	}
	v := c.streaks.count(once, about, r, c.clock.Now())
	for _, d := range deployments(check, releases) {
		if slices.Contains(check.Status.Deployments, d) && !slices.Contains(v.About, d) {
			v.About = append(v.About, d)
		}
	}
	return v
}

// probe runs a check within its timeout. It reports that the probe was expensive if it took the whole timeout, or if an
// expression exceeded its cost limit.
func (c *Controller) probe(
	ctx context.Context, checker health.Checker, s health.CheckInput,
) (report health.Report, expensive bool, err error) {
	timeout := outbound.Timeout(s.Check.Spec.Timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout+timeoutGrace)
	defer cancel()
	var meter fair.Meter
	report, err = checker.Check(fair.WithMeter(ctx, &meter), s)
	c.budget.Spend(s.Check.Namespace, meter.Taken(), c.clock.Now())
	return report, c.clock.Since(s.Now) >= timeout || errors.Is(err, expr.ErrCost), err
}

// interval returns the time until the next probe. It is shorter for a pending check that reads from the cluster only.
func interval(check *v1alpha1.HealthCheck, report health.Report) time.Duration {
	every := duration(check.Spec.Interval, defaultInterval)
	if d, err := time.ParseDuration(check.Annotations[v1alpha1.AnnotationRequeueInterval]); err == nil &&
		check.Spec.Interval == nil {
		every = max(d, minInterval)
	}
	if t, ours := health.TraitsOf(check); report.State == v1alpha1.HealthPending && ours && !t.External {
		return min(every, pendingInterval)
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
