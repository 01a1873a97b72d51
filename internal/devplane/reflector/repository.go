package reflector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// maxLatestTags is the number of tags in status.lastScanResult.latestTags.
const maxLatestTags = 10

// repositoryController reconciles ImageRepositories.
type repositoryController struct {
	client client.Client
	tags   *tags
	now    func() time.Time
}

func (c *repositoryController) register(mgr ctrl.Manager) error {
	changed := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&imagev1.ImageRepository{}, builder.WithPredicates(changed)).
		WithOptions(options()).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

// Reconcile scans the repository if a scan is due, and requeues for the next one.
func (c *repositoryController) Reconcile(ctx context.Context, repo *imagev1.ImageRepository) (ctrl.Result, error) {
	if repo.Spec.Suspend || repo.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if rest := c.untilDue(repo); rest > 0 {
		return ctrl.Result{RequeueAfter: rest}, nil
	}
	before := repo.DeepCopy()
	err := c.scan(ctx, repo)
	switch {
	case err == nil:
		succeed(repo, fmt.Sprintf("successful scan: found %d tags", repo.Status.LastScanResult.TagCount))
	case errors.Is(err, errInvalidImage):
		stall(repo, imagev1.ImageURLInvalidReason, err.Error())
	default:
		retry(repo, imagev1.ReadOperationFailedReason, err.Error())
	}
	repo.Status.ObservedGeneration = repo.Generation
	if token, ok := meta.ReconcileAnnotationValue(repo.Annotations); ok {
		repo.Status.SetLastHandledReconcileRequest(token)
	}
	patchErr := c.client.Status().Patch(ctx, repo, client.MergeFrom(before))
	if errors.Is(err, errInvalidImage) {
		err = nil // only a change of the object can help
	}
	return ctrl.Result{RequeueAfter: repo.GetRequeueAfter()}, client.IgnoreNotFound(errors.Join(err, patchErr))
}

// untilDue returns the time until the next scan; 0 if it is due.
func (c *repositoryController) untilDue(repo *imagev1.ImageRepository) time.Duration {
	token, _ := meta.ReconcileAnnotationValue(repo.Annotations)
	result := repo.Status.LastScanResult
	_, known := c.tags.get(repo.Status.CanonicalImageName)
	switch {
	case result == nil || !known:
		return 0
	case repo.Status.ObservedGeneration != repo.Generation:
		return 0
	case token != repo.Status.GetLastHandledReconcileRequest():
		return 0
	}
	return max(0, result.ScanTime.Add(repo.Spec.Interval.Duration).Sub(c.now()))
}

// scan lists the tags and stores them.
func (c *repositoryController) scan(ctx context.Context, repo *imagev1.ImageRepository) error {
	image, err := parse(repo)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, repo.GetTimeout())
	defer cancel()
	all, err := remote.List(image, remote.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("listing tags of %q: %w", repo.Spec.Image, err)
	}
	included, err := withoutExcluded(repo.GetExclusionList(), all)
	if err != nil {
		return err
	}
	c.tags.set(image.Name(), included)
	repo.Status.CanonicalImageName = image.Name()
	repo.Status.ObservedExclusionList = repo.GetExclusionList()
	repo.Status.LastScanResult = &imagev1.ScanResult{
		Revision:   revision(included),
		TagCount:   len(included),
		ScanTime:   metav1.NewTime(c.now()),
		LatestTags: lastTags(included),
	}
	return nil
}

// errInvalidImage means that spec.image is not a repository.
var errInvalidImage = errors.New("invalid image")

// parse parses spec.image, which is a repository without tag or scheme.
func parse(repo *imagev1.ImageRepository) (name.Repository, error) {
	var options []name.Option
	if repo.Spec.Insecure {
		options = append(options, name.Insecure)
	}
	image, err := name.NewRepository(repo.Spec.Image, options...)
	if err != nil {
		return image, fmt.Errorf("%w %q: %w", errInvalidImage, repo.Spec.Image, err)
	}
	return image, nil
}

// revision returns a hash of the tags.
func revision(sorted []string) string {
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:8])
}

// lastTags returns the last tags in descending order.
func lastTags(sorted []string) []string {
	last := slices.Clone(sorted[max(0, len(sorted)-maxLatestTags):])
	slices.Reverse(last)
	return last
}
