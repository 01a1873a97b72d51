package details

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/oci"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// workers is the number of images that are read at the same time, and workersPerNamespace the number of those for
	// one namespace. A registry that does not respond occupies a worker until the read times out.
	workers             = 32
	workersPerNamespace = 4
	// minBackoff and maxBackoff bound the time after which a failed read is retried.
	minBackoff = 2 * time.Second
	maxBackoff = 10 * time.Minute
)

// Controller reads the images of Releases and writes their details to the status.
type Controller struct {
	client client.Client
	live   client.Reader
	flux   flux.Reader
	reader *oci.Reader
	// reads are the running reconciles.
	reads kube.ActiveReconciles
}

// New returns a Controller. Live bypasses the cache, since Secrets are never cached.
func New(c client.Client, live client.Reader, reader *oci.Reader) *Controller {
	return &Controller{client: c, live: live, flux: flux.Reader{Reader: c}, reader: reader}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=releases,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=releases/status,verbs=patch
//+kubebuilder:rbac:groups=image.toolkit.fluxcd.io,resources=imagepolicies;imagerepositories,verbs=get;list;watch

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	unread := kube.ObjectsMatching(func(rel *v1alpha1.Release) bool { return rel.Status.Details == nil })
	options := kube.FairOptions(workers, workersPerNamespace)
	options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff)
	return ctrl.NewControllerManagedBy(mgr).
		Named("details").
		For(&v1alpha1.Release{}, builder.WithPredicates(unread, predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Release{}, &c.reads).
		WithOptions(options).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile reads the image of one Release, unless its details are known.
func (c *Controller) Reconcile(ctx context.Context, rel *v1alpha1.Release) (ctrl.Result, error) {
	if rel.Status.Details != nil || !rel.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	ctx, end := c.reads.Begin(ctx, rel)
	defer end()
	details, err := c.read(ctx, rel)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the Release was deleted or changed, or the program ends
	}
	next := rel.DeepCopy()
	next.Status.Details = details
	condition := metav1.Condition{
		Type: v1alpha1.ConditionDetailsRead, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDetailsRead,
		Message: "the annotations of the image were read", ObservedGeneration: rel.Generation,
	}
	if err != nil {
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonDetailsNotRead
		condition.Message = version.Clean(err.Error(), 512)
		if errors.Is(err, oci.ErrNotFound) {
			condition.Reason = v1alpha1.ReasonImageNotFound
		}
	}
	if apimeta.SetStatusCondition(&next.Status.Conditions, condition) || details != nil {
		if err := c.project(ctx, next); err != nil {
			return kube.Finish(0, err)
		}
		if err := kube.PatchStatus(ctx, c.client, rel, next); err != nil {
			return kube.Finish(0, err)
		}
	}
	// Something that is missing, such as a Secret, may be created later, so a NotFound error is retried too.
	return ctrl.Result{}, err
}

// project completes the status of a Release by what the record of its Rollout says, so that one write does for both.
func (c *Controller) project(ctx context.Context, rel *v1alpha1.Release) error {
	var ro v1alpha1.Rollout
	key := types.NamespacedName{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}
	err := c.client.Get(ctx, key, &ro) // a copy: the answer to the write is decoded into what the status shares with it
	if err == nil && metav1.IsControlledBy(rel, &ro) {
		rel.Status = release.StatusOf(&ro, rel)
	}
	return client.IgnoreNotFound(err)
}

func (c *Controller) read(ctx context.Context, rel *v1alpha1.Release) (*v1alpha1.ReleaseDetails, error) {
	var ro v1alpha1.Rollout
	key := types.NamespacedName{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}
	if err := c.client.Get(ctx, key, &ro); err != nil {
		return nil, fmt.Errorf("reading Rollout %q: %w", key, err)
	}
	pull, reason, err := c.flux.Pull(
		ctx, types.NamespacedName{Namespace: rel.Namespace, Name: ro.Spec.ReleasesImagePolicy.Name},
	)
	switch {
	case err != nil:
		return nil, err
	case pull == nil:
		return nil, fmt.Errorf("the image cannot be read: %s", reason)
	}
	auth, maySend, err := c.auth(ctx, pull.Secret)
	if err != nil {
		return nil, err
	}
	d, err := c.reader.Details(ctx, oci.Ref{
		Image: pull.Image, Tag: rel.Spec.Version.Tag, Digest: rel.Spec.Version.Digest, Namespace: rel.Namespace,
		Insecure: pull.Insecure, MaySend: maySend,
	}, auth)
	if err != nil {
		return nil, err
	}
	return releaseDetails(d), nil
}

// auth returns the credentials that the ImageRepository names, and whether they may be sent to a URL of plain HTTP.
// Without a Secret it returns none, and the read is anonymous: the credentials of the controller itself are never used.
// The author of an ImageRepository may set insecure, but only the owner of the Secret can allow to send it without TLS.
func (c *Controller) auth(
	ctx context.Context, key types.NamespacedName,
) (oci.Auth, func(*url.URL) error, error) {
	if key.Name == "" {
		return oci.Auth{}, nil, nil
	}
	var secret corev1.Secret
	if err := c.live.Get(ctx, key, &secret); err != nil {
		return oci.Auth{}, nil, fmt.Errorf("reading Secret %q of the ImageRepository: %w", key.Name, err)
	}
	auth, err := oci.ParseAuth(secret.Data[corev1.DockerConfigJsonKey])
	if err != nil {
		return oci.Auth{}, nil, fmt.Errorf("reading Secret %q of the ImageRepository: %w", key.Name, err)
	}
	return auth, func(to *url.URL) error { return outbound.MaySend(&secret, to) }, nil
}

// releaseDetails converts the details of an image to those of a Release.
func releaseDetails(d oci.Details) *v1alpha1.ReleaseDetails {
	s := &v1alpha1.ReleaseDetails{
		Digest: d.Digest, Version: d.Version, Revision: d.Revision, Source: d.Source, Title: d.Title,
		Description: d.Description,
		Authors:     d.Authors, ArtifactType: d.ArtifactType,
	}
	if version.CheckTag(d.RollbackFloor) == nil {
		s.RollbackFloor = d.RollbackFloor
	}
	if !d.Created.IsZero() {
		s.Created = &metav1.Time{Time: d.Created.Truncate(time.Second)}
	}
	return s
}
