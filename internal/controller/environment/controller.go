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
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/kube"
)

const (
	// workers is how many Environments are worked on together, and share how many of one namespace. Those that ask outside may wait for as
	// long as enough, and have workers of their own.
	workers, outsideWorkers = 8, 32
	share, outsideShare     = 2, 4
	// patience is how many intervals news may be old, and leastPatience how old at the least, before nothing is promoted on them.
	patience      = 5
	leastPatience = 10 * time.Minute
	// enough is how long one look at an outside backend may take. What was read stays, so that the next goes on from there.
	enough = 30 * time.Second
	// usualLook is after what time something is looked at again that tells nobody when it changes.
	usualLook = time.Minute
	// firstTry and lastTry are how soon and how late something that failed is tried again: news are not to come much later than they would.
	firstTry = 100 * time.Millisecond
	lastTry  = time.Minute
)

// Backends knows where the environments of an application meet.
type Backends interface {
	// For opens the backend of an Environment. An error that is an *environment.RefusedError lasts until somebody changes something.
	For(ctx context.Context, e *environments.Environment) (environment.Backend, error)
}

// Controller keeps Environments.
type Controller struct {
	client   client.Client
	live     client.Reader
	backends Backends
	clock    clock.PassiveClock
	// routes is what was found of HTTPRoutes lately.
	routes *cache.LRUExpireCache
	// routeless is until when the cluster is taken to know no HTTPRoutes, in seconds.
	routeless atomic.Int64
}

// New makes the controller. Live reads past the cache.
func New(c client.Client, live client.Reader, b Backends, clk clock.PassiveClock) *Controller {
	return &Controller{client: c, live: live, backends: b, clock: clk, routes: cache.NewLRUExpireCacheWithClock(mostRoutes, clk)}
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
	asked := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))
	// Those that ask outside have a queue and workers of their own: a backend that is slow, or an API server that belongs to a tenant,
	// delays nobody who meets in this cluster.
	for name, far := range map[string]bool{"environment": false, "environment-outside": true} {
		mine := reconcile.TypedFunc[*environments.Environment](func(ctx context.Context, e *environments.Environment) (ctrl.Result, error) {
			if outside(e) != far {
				return ctrl.Result{}, nil
			}
			return c.Reconcile(ctx, e)
		})
		options := kube.Shared(workers, share)
		if far {
			options = kube.Shared(outsideWorkers, outsideShare)
		}
		options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstTry, lastTry)
		err := ctrl.NewControllerManagedBy(mgr).
			Named(name).
			For(&environments.Environment{}, asked).
			Owns(&v1alpha1.RolloutGate{}).
			Watches(&v1alpha1.Rollout{}, handler.EnqueueRequestsFromMapFunc(c.ofRollout), builder.WithPredicates(matters())).
			Watches(&environments.Environment{}, kube.MapOf(c.ofSibling), asked).
			Watches(&corev1.Namespace{}, kube.MapOf(c.ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
			WithOptions(options).
			Complete(reconcile.AsReconciler(mgr.GetClient(), mine))
		if err != nil {
			return err
		}
	}
	return nil
}
func outside(e *environments.Environment) bool {
	return e.Spec.Backend != nil && e.Spec.Backend.Type != environments.BackendCluster
}

// Reconcile brings one Environment up to date.
func (c *Controller) Reconcile(ctx context.Context, e *environments.Environment) (ctrl.Result, error) {
	if !e.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // its gate goes with it
	}
	gs, err := c.gates(ctx, e)
	if err != nil {
		return kube.Finish(0, err)
	}
	v := c.look(ctx, e)
	g, err := c.keepGate(ctx, e, gs, v)
	if err != nil {
		return kube.Finish(0, err)
	}
	if err := c.judge(ctx, gs, g, v); err != nil {
		return kube.Finish(0, err)
	}
	next := e.DeepCopy()
	v.show(next, g)
	if !equality.Semantic.DeepEqual(e.Status, next.Status) {
		next.Status.LastStatusChangeTime = &metav1.Time{Time: c.clock.Now().Truncate(time.Second)}
		if err := kube.PatchStatus(ctx, c.client, e, next); err != nil {
			return kube.Finish(0, err)
		}
	}
	return kube.Finish(v.wait(), v.failure)
}

// look finds out how an Environment stands. What goes wrong is part of that.
func (c *Controller) look(ctx context.Context, e *environments.Environment) *view {
	v := &view{environment: e, now: c.clock.Now()}
	unreadable := v.read(e.Spec)
	key := types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}
	err := c.client.Get(ctx, key, &v.rollout)
	switch {
	case apierrors.IsNotFound(err):
		v.wrong("RolloutNotFound", fmt.Errorf("spec.rolloutRef: Rollout %s does not exist in the namespace of the Environment", key.Name))
		return v
	case err != nil:
		v.failure = fmt.Errorf("reading Rollout %q: %w", key, err)
		return v
	case e.Spec.Environment == "":
		v.wrong("NoName", errors.New("spec.environment is missing: name the environment, for instance production"))
		return v
	case unreadable != nil:
		v.wrong("InvalidSpec", unreadable)
		return v
	}
	if outside(e) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, enough)
		defer cancel()
	}
	b, err := c.backend(ctx, e)
	if err != nil {
		v.heard(err)
		return v
	}
	own := environment.Of(e, &v.rollout)
	own.URL = c.url(ctx, e)
	v.published(b.Publish(ctx, own))
	v.snapshot, err = b.Read(ctx, own.Application)
	v.heard(err)
	c.addURLs(ctx, e, v)
	v.own = own
	if path := v.snapshot.Cycle(own.Environment, own.After); path != nil {
		v.cycle(path)
	}
	return v
}

// backend opens the backend of an Environment, unless its Rollout has too many: each event of the Rollout reaches all of them.
func (c *Controller) backend(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	var list environments.EnvironmentList
	ofRollout := client.MatchingFields{kube.ByRollout: e.Spec.RolloutRef.Name}
	if err := c.client.List(ctx, &list, client.InNamespace(e.Namespace), ofRollout, client.Limit(cluster.Most+1), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	if len(list.Items) > cluster.Most {
		return nil, &environment.RefusedError{Err: fmt.Errorf("more than %d Environments are of Rollout %s: delete those that are not needed", cluster.Most, e.Spec.RolloutRef.Name)}
	}
	return c.backends.For(ctx, e)
}
