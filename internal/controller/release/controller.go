package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// workers is the number of concurrent reconciles, and workersPerNamespace the number of those in one namespace.
	workers             = 8
	workersPerNamespace = 2
	// standing is how long the status of a Release differs from the record before it is written, so that several changes
	// in a row cost one write.
	standing = 300 * time.Millisecond
	// busy is the time after which a Rollout is looked at that has to wait because versions are being handed to Flux.
	busy = 250 * time.Millisecond
)

// Controller creates, updates and deletes Releases.
type Controller struct {
	client   client.Client
	clock    clock.PassiveClock
	pressure *kube.Pressure
	differs  differences
}

// New returns a Controller. What causes the pressure goes before its work.
func New(c client.Client, clk clock.PassiveClock, p *kube.Pressure) *Controller {
	return &Controller{client: c, clock: clk, pressure: p, differs: differences{since: map[types.UID]time.Time{}}}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=releases,verbs=get;list;watch;create;delete
//+kubebuilder:rbac:groups=kuberik.com,resources=releases/status,verbs=patch
//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts/finalizers,verbs=update

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("release").
		For(&v1alpha1.Rollout{}).
		Owns(&v1alpha1.Release{}).
		WithOptions(kube.FairOptions(workers, workersPerNamespace)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile brings the Releases of one Rollout in line with its status.
func (c *Controller) Reconcile(ctx context.Context, ro *v1alpha1.Rollout) (ctrl.Result, error) {
	if !ro.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	leave, ok := c.pressure.Enter()
	if !ok {
		return ctrl.Result{RequeueAfter: busy}, nil
	}
	defer leave()
	existing, err := c.existing(ctx, ro)
	if err != nil {
		return kube.Finish(0, err)
	}
	var wait time.Duration
	for _, v := range desired(ro) {
		rel, ok := existing[version.Identity(v)]
		if !ok {
			if rel, err = c.create(ctx, ro, v); err != nil {
				return kube.Finish(0, err)
			}
		}
		left, err := c.update(ctx, ro, rel)
		if err != nil {
			return kube.Finish(0, err)
		}
		wait = kube.Sooner(wait, left)
	}
	return kube.Finish(wait, c.prune(ctx, ro, existing))
}

// existing returns the Releases of a Rollout.
func (c *Controller) existing(
	ctx context.Context, ro *v1alpha1.Rollout,
) (map[v1alpha1.ReleaseIdentity]*v1alpha1.Release, error) {
	var list v1alpha1.ReleaseList
	err := c.client.List(
		ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name},
		client.UnsafeDisableDeepCopy,
	)
	if err != nil {
		return nil, fmt.Errorf("listing Releases: %w", err)
	}
	existing := map[v1alpha1.ReleaseIdentity]*v1alpha1.Release{}
	for i := range list.Items {
		if rel := &list.Items[i]; metav1.IsControlledBy(rel, ro) {
			existing[version.Identity(rel.Spec.Version)] = rel
		}
	}
	return existing, nil
}

// desired returns the releases that have an object: the available ones, and those that were deployed without being
// available.
func desired(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
	list := slices.Clone(ro.Status.AvailableReleases)
	for _, e := range ro.Status.History {
		if version.Index(list, version.Identity(e.Version)) < 0 {
			list = append(list, e.Version)
		}
	}
	if tag, ok := release.PinnedUnknown(ro); ok {
		// The Release makes the details controller read the image before it is deployed.
		list = append(list, v1alpha1.VersionInfo{Tag: tag})
	}
	return list
}

// create creates the Release of a version. If another Rollout has a Release of that name, the name gets a suffix.
func (c *Controller) create(
	ctx context.Context, ro *v1alpha1.Rollout, v v1alpha1.VersionInfo,
) (*v1alpha1.Release, error) {
	key := client.ObjectKey{Namespace: ro.Namespace, Name: version.ReleaseName(ro.Name, version.Identity(v))}
	rel, err := c.createNamed(ctx, ro, v, key.Name)
	if !apierrors.IsAlreadyExists(err) {
		return rel, err
	}
	var existing v1alpha1.Release
	if err := c.client.Get(ctx, key, &existing); err != nil {
		return nil, fmt.Errorf("reading Release %q: %w", key, err)
	}
	if metav1.IsControlledBy(&existing, ro) && version.Identity(existing.Spec.Version) == version.Identity(v) {
		return &existing, nil
	}
	return c.createNamed(ctx, ro, v, version.UniqueName(key.Name, string(ro.UID)))
}

func (c *Controller) createNamed(
	ctx context.Context, ro *v1alpha1.Rollout, v v1alpha1.VersionInfo, name string,
) (*v1alpha1.Release, error) {
	rel := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: name, Labels: map[string]string{v1alpha1.LabelRollout: version.LabelValue(ro.Name)},
		},
		Spec: v1alpha1.ReleaseSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Version: v},
	}
	if err := controllerutil.SetControllerReference(ro, rel, c.client.Scheme()); err != nil {
		return nil, err
	}
	return rel, c.client.Create(ctx, rel, kube.FieldOwner)
}

// update writes the status of a Release if it has differed from the record for long enough. It returns how long to
// wait, or 0. The Release may be part of the cache.
func (c *Controller) update(ctx context.Context, ro *v1alpha1.Rollout, rel *v1alpha1.Release) (time.Duration, error) {
	status := release.StatusOf(ro, rel)
	if equality.Semantic.DeepEqual(rel.Status, status) {
		c.differs.forget(rel.UID)
		return 0, nil
	}
	now := c.clock.Now()
	if left := standing - now.Sub(c.differs.first(rel.UID, now)); left > 0 {
		return left, nil
	}
	next := rel.DeepCopy()
	next.Status = status
	if err := kube.PatchStatus(ctx, c.client, rel, next); err != nil {
		return 0, err
	}
	c.differs.forget(rel.UID)
	return 0, nil
}

// prune deletes the Releases that the Rollout no longer retains.
func (c *Controller) prune(
	ctx context.Context, ro *v1alpha1.Rollout, existing map[v1alpha1.ReleaseIdentity]*v1alpha1.Release,
) error {
	for id, rel := range existing {
		if release.Retained(ro, id) {
			continue
		}
		if err := c.client.Delete(ctx, rel, client.Preconditions{UID: &rel.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Release %q: %w", rel.Name, err)
		}
		c.differs.forget(rel.UID)
	}
	return nil
}
