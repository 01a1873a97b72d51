package environment

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/kube"
)

const (
	// workers is the number of concurrent reconciles, and workersPerNamespace the number of those in one namespace.
	workers             = 8
	workersPerNamespace = 2
	// outsideWorkers and outsideWorkersPerNamespace are the same for Environments with an outside backend, whose
	// reconciles may take up to outsideTimeout.
	outsideWorkers             = 32
	outsideWorkersPerNamespace = 4
	// maxAgeIntervals is the number of intervals for which a snapshot is used, and minMaxAge the least time.
	maxAgeIntervals = 5
	minMaxAge       = 10 * time.Minute
	// outsideTimeout bounds the calls to an outside backend in one reconcile. The backend keeps what it has read, and
	// the next reconcile continues.
	outsideTimeout = 30 * time.Second
	// takenInterval is how often the Environment checks whether the name of its gate is free again.
	takenInterval = time.Minute
	// minBackoff and maxBackoff bound the time after which a failed reconcile is retried.
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Minute
)

// Backends opens the backends of Environments.
type Backends interface {
	// For returns the backend of an Environment. The error is an *environment.RefusedError if it lasts until somebody
	// changes something.
	For(ctx context.Context, e *environments.Environment) (environment.Backend, error)
}

// Controller reconciles Environments.
type Controller struct {
	client   client.Client
	live     client.Reader
	backends Backends
	clock    clock.PassiveClock
	// urls are the URLs of HTTPRoutes, by name.
	urls *fair.Cache[string, cachedURL]
	// noRoutesUntil is the Unix time until which the cluster is assumed not to have the CRD of HTTPRoutes.
	noRoutesUntil atomic.Int64
}

// New returns a Controller. Live bypasses the cache.
func New(c client.Client, live client.Reader, b Backends, clk clock.PassiveClock) *Controller {
	return &Controller{
		client: c, live: live, backends: b, clock: clk,
		urls: fair.NewCache[string, cachedURL](maxURLs, maxURLsOfNamespace, nil),
	}
}

//+kubebuilder:rbac:groups=environments.kuberik.com,resources=environments,verbs=get;list;watch
//+kubebuilder:rbac:groups=environments.kuberik.com,resources=environments/status,verbs=patch
//+kubebuilder:rbac:groups=environments.kuberik.com,resources=environments/finalizers,verbs=update
//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates,verbs=get;list;watch;create;patch;delete
//+kubebuilder:rbac:groups=kuberik.com,resources=rolloutgates/status,verbs=patch
//+kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
//+kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	specChanged := builder.WithPredicates(
		predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}),
	)
	// Environments with an outside backend have a queue and workers of their own, so that a slow backend, or the API
	// server of a tenant, does not delay the others.
	for name, isOutside := range map[string]bool{"environment": false, "environment-outside": true} {
		reconciler := func(ctx context.Context, e *environments.Environment) (ctrl.Result, error) {
			if hasOutsideBackend(e) != isOutside {
				return ctrl.Result{}, nil
			}
			return c.Reconcile(ctx, e)
		}
		options := kube.FairOptions(workers, workersPerNamespace)
		if isOutside {
			options = kube.FairOptions(outsideWorkers, outsideWorkersPerNamespace)
		}
		options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff)
		err := ctrl.NewControllerManagedBy(mgr).
			Named(name).
			For(&environments.Environment{}, specChanged).
			Owns(&v1alpha1.RolloutGate{}).
			Watches(&v1alpha1.Rollout{}, kube.EnqueueRequests(c.requestsForRollout), builder.WithPredicates(rolloutChanged())).
			Watches(&environments.Environment{}, kube.EnqueueRequests(c.requestsForEnvironment), specChanged).
			Watches(&corev1.Namespace{}, kube.EnqueueRequests(c.requestsForNamespace),
				builder.WithPredicates(predicate.LabelChangedPredicate{})).
			WithOptions(options).
			Complete(reconcile.AsReconciler(mgr.GetClient(), reconcile.TypedFunc[*environments.Environment](reconciler)))
		if err != nil {
			return err
		}
	}
	return nil
}

// hasOutsideBackend reports whether an Environment uses a backend outside of the cluster.
func hasOutsideBackend(e *environments.Environment) bool {
	return e.Spec.Backend != nil && e.Spec.Backend.Type != environments.BackendCluster
}

// Reconcile reconciles one Environment.
func (c *Controller) Reconcile(ctx context.Context, e *environments.Environment) (ctrl.Result, error) {
	if !e.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the garbage collector deletes the gate
	}
	gs, err := c.gates(ctx, e)
	if err != nil {
		return kube.Finish(0, err)
	}
	o := c.observe(ctx, e)
	g, err := c.reconcileGate(ctx, e, gs, o)
	if err != nil {
		return kube.Finish(0, err)
	}
	if err := c.updateVerdicts(ctx, gs, g, o); err != nil {
		return kube.Finish(0, err)
	}
	next := e.DeepCopy()
	o.setStatus(next, g)
	if !equality.Semantic.DeepEqual(e.Status, next.Status) {
		next.Status.LastStatusChangeTime = &metav1.Time{Time: c.clock.Now().Truncate(time.Second)}
		if err := kube.PatchStatus(ctx, c.client, e, next); err != nil {
			return kube.Finish(0, err)
		}
	}
	return kube.Finish(o.requeueAfter(), o.failure)
}

// observe publishes the state of an Environment and reads those of the others. Errors are part of the observation.
func (c *Controller) observe(ctx context.Context, e *environments.Environment) *observation {
	o := &observation{environment: e, now: c.clock.Now()}
	invalid := o.parseSpec(e.Spec)
	key := types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}
	err := c.client.Get(ctx, key, &o.rollout)
	switch {
	case apierrors.IsNotFound(err):
		o.setProblem(environments.ReasonRolloutNotFound,
			fmt.Errorf("spec.rolloutRef: Rollout %s does not exist in the namespace of the Environment", key.Name))
		return o
	case err != nil:
		o.failure = fmt.Errorf("reading Rollout %q: %w", key, err)
		return o
	case e.Spec.Environment == "":
		o.setProblem(environments.ReasonNoName, errors.New("spec.environment is missing: name the environment, for "+
			"instance production"))
		return o
	case invalid != nil:
		o.setProblem(environments.ReasonInvalidSpec, invalid)
		return o
	}
	if hasOutsideBackend(e) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, outsideTimeout)
		defer cancel()
	}
	b, err := c.backend(ctx, e)
	if err != nil {
		o.addBackendError(err)
		return o
	}
	own := environment.StateOf(e, &o.rollout)
	own.URL = c.url(ctx, e)
	o.addPublishError(b.Publish(ctx, own))
	o.snapshot, err = b.Read(ctx, own.Application)
	o.addBackendError(err)
	c.addURLs(ctx, e, o)
	o.own = own
	if path := o.snapshot.Cycle(own.Environment, own.After); path != nil {
		o.setCycle(path)
	}
	return o
}

// backend returns the backend of an Environment. It is refused if the Rollout has too many Environments, since each
// event of the Rollout enqueues all of them.
func (c *Controller) backend(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	var list environments.EnvironmentList
	err := c.client.List(ctx, &list, client.InNamespace(e.Namespace),
		client.MatchingFields{kube.ByRollout: e.Spec.RolloutRef.Name}, client.Limit(cluster.MaxEnvironments+1),
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	if len(list.Items) > cluster.MaxEnvironments {
		return nil, &environment.RefusedError{Err: fmt.Errorf(
			"the Rollout %s has more than %d Environments: delete those that are not needed",
			e.Spec.RolloutRef.Name, cluster.MaxEnvironments)}
	}
	return c.backends.For(ctx, e)
}
