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
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// workers is how many images are read at once, and share how many of one namespace. A registry that never answers keeps a worker
	// for a while.
	workers  = 32
	share    = 4
	firstTry = 2 * time.Second
	lastTry  = 10 * time.Minute
)

// Controller fills in the details of Releases.
type Controller struct {
	client client.Client
	live   client.Reader
	flux   flux.Reader
	reader *oci.Reader
	// reads are the reconciles that are under way.
	reads kube.Runs
}

// New makes the controller. Live reads past the cache: Secrets are never cached.
func New(c client.Client, live client.Reader, reader *oci.Reader) *Controller {
	return &Controller{client: c, live: live, flux: flux.Reader{Reader: c}, reader: reader}
}

//+kubebuilder:rbac:groups=kuberik.com,resources=releases,verbs=get;list;watch
//+kubebuilder:rbac:groups=kuberik.com,resources=releases/status,verbs=patch
//+kubebuilder:rbac:groups=image.toolkit.fluxcd.io,resources=imagepolicies;imagerepositories,verbs=get;list;watch

// Register adds the controller to a manager.
func (c *Controller) Register(mgr ctrl.Manager) error {
	unread := kube.When(func(rel *v1alpha1.Release) bool { return rel.Status.Details == nil })
	options := kube.Shared(workers, share)
	options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstTry, lastTry)
	return ctrl.NewControllerManagedBy(mgr).
		Named("details").
		For(&v1alpha1.Release{}, builder.WithPredicates(unread, predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Release{}, &c.reads).
		WithOptions(options).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile reads the image of one Release, if it was not read yet.
func (c *Controller) Reconcile(ctx context.Context, rel *v1alpha1.Release) (ctrl.Result, error) {
	if rel.Status.Details != nil || !rel.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	ctx, end := c.reads.Begin(ctx, rel)
	defer end()
	details, err := c.read(ctx, rel)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the Release is gone, or the program ends
	}
	next := rel.DeepCopy()
	condition := metav1.Condition{
		Type: v1alpha1.ConditionDetailsRead, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDetailsRead,
		Message: "the annotations of the image were read", ObservedGeneration: rel.Generation,
	}
	if err != nil {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, v1alpha1.ReasonDetailsNotRead, version.Clean(err.Error(), 512)
		if errors.Is(err, oci.ErrNotFound) {
			condition.Reason = v1alpha1.ReasonImageNotFound
		}
	}
	next.Status.Details = details
	if apimeta.SetStatusCondition(&next.Status.Conditions, condition) || details != nil {
		if err := kube.PatchStatus(ctx, c.client, rel, next); err != nil {
			return kube.Finish(0, err)
		}
	}
	// What is missing, such as a Secret, may come: not found is to be tried again like any other failure.
	return ctrl.Result{}, err
}

func (c *Controller) read(ctx context.Context, rel *v1alpha1.Release) (*v1alpha1.ReleaseDetails, error) {
	var ro v1alpha1.Rollout
	key := types.NamespacedName{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}
	if err := c.client.Get(ctx, key, &ro); err != nil {
		return nil, fmt.Errorf("reading Rollout %q: %w", key, err)
	}
	pull, why, err := c.flux.Pull(ctx, types.NamespacedName{Namespace: rel.Namespace, Name: ro.Spec.ReleasesImagePolicy.Name})
	switch {
	case err != nil:
		return nil, err
	case pull == nil:
		return nil, fmt.Errorf("image details: %s", why)
	}
	auth, maySend, err := c.auth(ctx, pull.Secret)
	if err != nil {
		return nil, err
	}
	d, err := c.reader.Details(ctx, oci.Ref{
		Image: pull.Image, Tag: rel.Spec.Version.Tag, Digest: rel.Spec.Version.Digest, Insecure: pull.Insecure, MaySend: maySend,
	}, auth)
	if err != nil {
		return nil, err
	}
	return status(d), nil
}

// auth reads the credentials that the ImageRepository names. Without any, the registry is asked anonymously: those of the
// controller itself are nobody's to use. Whoever writes an ImageRepository may set insecure; that the credentials go out in clear text is
// for the owner of the Secret to allow.
func (c *Controller) auth(ctx context.Context, key types.NamespacedName) (oci.Auth, func(*url.URL) error, error) {
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

func status(d oci.Details) *v1alpha1.ReleaseDetails {
	s := &v1alpha1.ReleaseDetails{
		Digest: d.Digest, Version: d.Version, Revision: d.Revision, Source: d.Source, Title: d.Title, Description: d.Description,
		Authors: d.Authors, ArtifactType: d.ArtifactType,
	}
	if version.CheckTag(d.RollbackFloor) == nil {
		s.RollbackFloor = d.RollbackFloor
	}
	if !d.Created.IsZero() {
		s.Created = &metav1.Time{Time: d.Created.Truncate(time.Second)}
	}
	return s
}
