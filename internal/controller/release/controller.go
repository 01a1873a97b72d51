package release

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// workers is how many Rollouts are worked on together, and share how many of one namespace.
const (
	workers = 8
	share   = 2
)

// Controller keeps Release objects.
type Controller struct {
	client client.Client
}

// New makes the controller.
func New(c client.Client) *Controller { return &Controller{client: c} }

//+kubebuilder:rbac:groups=kuberik.com,resources=releases,verbs=get;list;watch;create;delete
//+kubebuilder:rbac:groups=kuberik.com,resources=releases/status,verbs=patch
//+kubebuilder:rbac:groups=kuberik.com,resources=rollouts/finalizers,verbs=update

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("release").
		For(&v1alpha1.Rollout{}).
		Owns(&v1alpha1.Release{}).
		WithOptions(kube.Shared(workers, share)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile brings the Release objects of one Rollout in line with its record.
func (c *Controller) Reconcile(ctx context.Context, ro *v1alpha1.Rollout) (ctrl.Result, error) {
	if !ro.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	var list v1alpha1.ReleaseList
	if err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name}); err != nil {
		return kube.Finish(0, fmt.Errorf("listing Releases: %w", err))
	}
	known := map[v1alpha1.ReleaseIdentity]*v1alpha1.Release{}
	for i := range list.Items {
		if rel := &list.Items[i]; metav1.IsControlledBy(rel, ro) {
			known[version.Identity(rel.Spec.Version)] = rel
		}
	}
	for _, v := range wanted(ro) {
		rel, ok := known[version.Identity(v)]
		if !ok {
			var err error
			if rel, err = c.create(ctx, ro, v); err != nil {
				return kube.Finish(0, err)
			}
		}
		if err := c.update(ctx, ro, rel); err != nil {
			return kube.Finish(0, err)
		}
	}
	return kube.Finish(0, c.prune(ctx, ro, known))
}

// wanted lists the releases that have an object: those that are known, and those that were deployed without being known.
func wanted(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
	list := append([]v1alpha1.VersionInfo(nil), ro.Status.AvailableReleases...)
	for _, e := range ro.Status.History {
		if version.Index(list, version.Identity(e.Version)) < 0 {
			list = append(list, e.Version)
		}
	}
	if tag, ok := release.PinnedUnknown(ro); ok {
		list = append(list, v1alpha1.VersionInfo{Tag: tag}) // so that the registry is asked for it before it is deployed
	}
	return list
}

// create makes the object of a release. A name that another Rollout has taken is made longer.
func (c *Controller) create(ctx context.Context, ro *v1alpha1.Rollout, v v1alpha1.VersionInfo) (*v1alpha1.Release, error) {
	rel := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ro.Namespace, Name: version.ReleaseName(ro.Name, version.Identity(v)),
			Labels: map[string]string{v1alpha1.LabelRollout: version.LabelValue(ro.Name)},
		},
		Spec: v1alpha1.ReleaseSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Version: v},
	}
	if err := controllerutil.SetControllerReference(ro, rel, c.client.Scheme()); err != nil {
		return nil, err
	}
	err := c.client.Create(ctx, rel, kube.FieldOwner)
	if !apierrors.IsAlreadyExists(err) {
		return rel, err
	}
	taken := client.ObjectKeyFromObject(rel)
	if err := c.client.Get(ctx, taken, rel); err != nil {
		return nil, fmt.Errorf("reading Release %q: %w", taken, err)
	}
	if metav1.IsControlledBy(rel, ro) && version.Identity(rel.Spec.Version) == version.Identity(v) {
		return rel, nil
	}
	rel.ObjectMeta = metav1.ObjectMeta{
		Namespace: ro.Namespace, Name: version.UniqueName(taken.Name, string(ro.UID)), Labels: rel.Labels,
	}
	rel.Spec = v1alpha1.ReleaseSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Version: v}
	if err := controllerutil.SetControllerReference(ro, rel, c.client.Scheme()); err != nil {
		return nil, err
	}
	return rel, c.client.Create(ctx, rel, kube.FieldOwner)
}

// update writes what the record says, if that is not what the object says already.
func (c *Controller) update(ctx context.Context, ro *v1alpha1.Rollout, rel *v1alpha1.Release) error {
	next := release.Standing(ro, rel)
	if equality.Semantic.DeepEqual(rel.Status, next) {
		return nil
	}
	before := rel.DeepCopy()
	rel.Status = next
	return kube.PatchStatus(ctx, c.client, before, rel)
}

// prune deletes the objects of releases that retention has dropped.
func (c *Controller) prune(ctx context.Context, ro *v1alpha1.Rollout, known map[v1alpha1.ReleaseIdentity]*v1alpha1.Release) error {
	for id, rel := range known {
		if release.Retained(ro, id) {
			continue
		}
		if err := c.client.Delete(ctx, rel, client.Preconditions{UID: &rel.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Release %q: %w", rel.Name, err)
		}
	}
	return nil
}
