package rollout

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/observed"
	"github.com/kuberik/kuberik/internal/release"
)

// coalesce is how long after a change of a status a Rollout is looked at, so that several changes in a row cost one
// reconcile and one write.
const coalesce = 100 * time.Millisecond

// passes bounds how often one reconcile looks again without giving others their turn.
const passes = 8

// shares is how many namespaces it takes to keep all workers busy.
const shares = 4

// Options of the controller.
type Options struct {
	// Workers is how many Rollouts are reconciled at once; of one namespace, a quarter of that. Default 16.
	Workers int
	// SettleTime is how long after its creation a Rollout waits before its first automatic deployment, so that gates and
	// checks that are created after it hold it too. Default: not at all.
	SettleTime time.Duration
	// IgnoreAnnotations turns the one-shot annotations off.
	IgnoreAnnotations bool
	// CrossNamespaces lets Rollouts select checks of other namespaces that share theirs.
	CrossNamespaces bool
	// Notifier hands events to Flux. Nil: nobody does.
	Notifier *flux.Notifier
	// Policies verifies the admission policies for Approvals and Overrides. It is required.
	Policies *approval.PolicyVerifier
	// Pressure is told whether Rollouts wait to be looked at that may lead to a write to Flux. Nil: nobody asks.
	Pressure *kube.Pressure
	// Inventory judges the workloads of Kustomizations. Default: one that reads past the cache, without a bound.
	Inventory kustomization.Checker
}

// Controller reconciles Rollouts.
type Controller struct {
	client   client.Client
	live     client.Reader
	policies *approval.PolicyVerifier
	flux     flux.Reader
	// pages bounds what is listed past the cache at the same time.
	pages *fair.Slots
	// inventory judges the workloads of Kustomizations.
	inventory kustomization.Checker
	pinner    flux.Pinner
	events    events.EventRecorder
	clock     clock.PassiveClock
	seen      *observed.Clock
	spans     *observed.Spans
	// messages limits writes that change messages only.
	messages kube.Messages
	options  Options
}

// New makes the controller. Live reads past the cache.
func New(
	c client.Client, live client.Reader, recorder events.EventRecorder, clk clock.PassiveClock, o Options,
) *Controller {
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Inventory.Live == nil {
		o.Inventory.Live = live
	}
	seen := observed.NewClock(unobserved)
	return &Controller{
		client: c, live: live, policies: o.Policies, flux: flux.Reader{Reader: c}, pages: fair.NewSlots(1),
		inventory: o.Inventory, pinner: flux.Pinner{Client: c},
		events: recorder, clock: clk, seen: seen, spans: observed.NewSpans(seen), options: o,
	}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts,verbs=get;list;watch;patch
//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts/status,verbs=patch
//+kubebuilder:rbac:groups=kuberik.com,resources=releases;rolloutgates;healthchecks,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=approvals;overrides,verbs=get;list;watch
//+kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutschedules;clusterrolloutschedules,verbs=get;list;watch
//+kubebuilder:rbac:groups=environments.kuberik.com,resources=environments,verbs=get;list;watch
//+kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
//+kubebuilder:rbac:groups=image.toolkit.fluxcd.io,resources=imagepolicies,verbs=get;list;watch
//+kubebuilder:rbac:groups=kustomize.toolkit.fluxcd.io,resources=kustomizations,verbs=get;list;watch;patch
//+kubebuilder:rbac:groups=source.toolkit.fluxcd.io,resources=ocirepositories,verbs=get;list;watch;patch
//+kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	b := ctrl.NewControllerManagedBy(mgr).
		Named("rollout").
		For(&v1alpha1.Rollout{}, builder.WithPredicates(predicate.Not(onlyStatus()))).
		Watches(&v1alpha1.Rollout{}, kube.Late(&handler.EnqueueRequestForObject{}, coalesce, kube.OnlyStatus),
			builder.WithPredicates(onlyStatus())).
		Watches(flux.NewPolicy(), handler.EnqueueRequestsFromMapFunc(c.ofPolicy)).
		Watches(&v1alpha1.RolloutGate{}, kube.EnqueueRequests(ofGate)).
		Watches(&v1alpha1.HealthCheck{}, handler.EnqueueRequestsFromMapFunc(c.ofCheck)).
		Watches(&v1alpha1.Release{}, kube.LateAlways(kube.EnqueueRequests(ofRelease), coalesce)).
		Watches(&v1alpha1.Approval{}, kube.EnqueueRequests(c.ofApproval)).
		Watches(&v1alpha1.Override{}, kube.EnqueueRequests(ofOverride)).
		WithOptions(kube.FairOptionsWithPressure(c.options.Workers, c.options.Workers/shares, c.options.Pressure))
	if c.options.CrossNamespaces {
		b = b.Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(c.ofNamespace))
	}
	for _, kind := range []client.Object{&v1alpha1.RolloutSchedule{}, &v1alpha1.ClusterRolloutSchedule{},
		&environments.Environment{}} {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(c.requestsForGateOwner),
			builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	}
	for _, kind := range approval.PolicyKinds() {
		b = b.Watches(kind, handler.EnqueueRequestsFromMapFunc(c.requestsForAdmissionPolicy),
			builder.WithPredicates(predicate.NewPredicateFuncs(approval.IsPolicy)))
	}
	for _, kind := range flux.TargetKinds() {
		b = b.Watches(kind, kube.Late(handler.EnqueueRequestsFromMapFunc(c.ofTarget), coalesce, asksSameRollouts))
	}
	if err := mgr.Add(manager.RunnableFunc(c.keepObserving)); err != nil {
		return err
	}
	return b.Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile brings one Rollout forward, until there is nothing to do at once.
func (c *Controller) Reconcile(ctx context.Context, ro *v1alpha1.Rollout) (ctrl.Result, error) {
	if !ro.DeletionTimestamp.IsZero() {
		c.spans.Forget(client.ObjectKeyFromObject(ro))
		return ctrl.Result{}, nil
	}
	for i := range passes {
		// A pass after the first comes after a write that went through, which proves that the Rollout is fresh.
		wait, wrote, err := c.pass(ctx, ro, i > 0)
		switch {
		case err != nil:
			return kube.Finish(0, err)
		case wait != 0 || !wrote:
			return kube.Finish(max(wait, 0), nil)
		}
	}
	return kube.Finish(time.Second, nil)
}

// sooner returns the earlier of two times. A zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// pass observes, decides, acts and writes once. It returns how long to wait, or 0 to look again at once, and whether it
// wrote.
func (c *Controller) pass(ctx context.Context, ro *v1alpha1.Rollout, fresh bool) (time.Duration, bool, error) {
	obs, err := c.observe(ctx, ro)
	if err != nil {
		return 0, false, fmt.Errorf("observing: %w", err)
	}
	dec := release.Decide(obs)
	if dec.Rereads {
		if obs, dec, err = c.reconsider(ctx, ro, obs); err != nil {
			return 0, false, fmt.Errorf("observing past the cache: %w", err)
		}
	}
	if obs, dec, err = c.prove(ctx, ro, obs, dec, fresh); err != nil {
		return 0, false, err
	}
	dec.Again = sooner(dec.Again, rereadAt(ro, &obs))
	wrote, held, err := c.conclude(ctx, ro, obs, dec, fresh)
	dec.Again = sooner(dec.Again, held)
	switch wait := dec.Again.Sub(obs.Now); {
	case err != nil:
		return 0, false, err
	case dec.Again.IsZero():
		return -1, wrote, nil
	default:
		return max(wait, 0), wrote, nil
	}
}

// conclude acts and writes. It returns whether it wrote, and until when the write was held back.
func (c *Controller) conclude(
	ctx context.Context, ro *v1alpha1.Rollout, obs release.Observation, dec release.Decision, fresh bool,
) (wrote bool, held time.Time, err error) {
	acted := c.act(ctx, ro, obs, dec)
	if acted == nil && fresh && onlyHandsOver(dec) {
		return false, time.Time{}, nil
	}
	if wrote, held, err = c.record(ctx, ro, obs, dec, acted); err == nil {
		err = acted
	}
	return wrote, held, err
}
