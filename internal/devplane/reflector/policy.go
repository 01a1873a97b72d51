package reflector

import (
	"context"
	"errors"
	"fmt"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// policyController reconciles ImagePolicies.
type policyController struct {
	client client.Client
	tags   *tags
}

// register watches the same as Flux's controller: specs of policies, and scans that found different tags. So a moved
// tag is noticed only at the interval of the policy.
func (c *policyController) register(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&imagev1.ImagePolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&imagev1.ImageRepository{},
			handler.EnqueueRequestsFromMapFunc(c.requestsForRepository),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: tagsChanged})).
		WithOptions(options()).
		Complete(reconcile.AsReconciler(mgr.GetClient(), c))
}

func tagsChanged(e event.UpdateEvent) bool {
	was, okWas := e.ObjectOld.(*imagev1.ImageRepository)
	is, okIs := e.ObjectNew.(*imagev1.ImageRepository)
	if !okWas || !okIs || is.Status.LastScanResult == nil {
		return false
	}
	return was.Status.LastScanResult == nil ||
		was.Status.LastScanResult.Revision != is.Status.LastScanResult.Revision ||
		was.Status.CanonicalImageName != is.Status.CanonicalImageName
}

// requestsForRepository returns requests for the policies that refer to a repository.
func (c *policyController) requestsForRepository(ctx context.Context, repo client.Object) []reconcile.Request {
	var all imagev1.ImagePolicyList
	if err := c.client.List(ctx, &all); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing image policies")
		return nil
	}
	var requests []reconcile.Request
	for _, policy := range all.Items {
		if repositoryOf(&policy) == client.ObjectKeyFromObject(repo) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policy)})
		}
	}
	return requests
}

// Reconcile selects the latest image. While an error lasts, the previous image stays in the status.
func (c *policyController) Reconcile(ctx context.Context, policy *imagev1.ImagePolicy) (ctrl.Result, error) {
	if policy.Spec.Suspend || policy.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	before := policy.DeepCopy()
	err := c.selectLatest(ctx, policy)
	if err == nil {
		succeed(policy, describe(policy.Status))
	} else {
		err = setFailed(policy, err)
	}
	policy.Status.ObservedGeneration = policy.Generation
	if token, ok := meta.ReconcileAnnotationValue(policy.Annotations); ok {
		policy.Status.SetLastHandledReconcileRequest(token)
	}
	patchErr := c.client.Status().Patch(ctx, policy, client.MergeFrom(before))
	return ctrl.Result{RequeueAfter: policy.GetInterval()}, client.IgnoreNotFound(errors.Join(err, patchErr))
}

// Errors with a reason of their own.
var (
	errNoInterval   = errors.New("spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'")
	errNoRepository = errors.New("referenced ImageRepository does not exist")
	errNoTags       = errors.New("no tags in database")
	errNoAccess     = errors.New("access denied")
)

// accessDeniedReason is Flux's reason for a repository that does not allow the namespace of the policy.
const accessDeniedReason = "AccessDenied"

// setFailed sets the conditions for an error. It returns the error if a retry can help: otherwise a scan or a change of
// the policy triggers the next reconcile.
func setFailed(policy *imagev1.ImagePolicy, err error) error {
	switch {
	case errors.Is(err, errNoInterval):
		stall(policy, imagev1.IntervalNotConfiguredReason, err.Error())
	case errors.Is(err, errInvalidPolicy):
		stall(policy, "InvalidPolicy", err.Error())
	case errors.Is(err, errInvalidImage):
		stall(policy, imagev1.ImageURLInvalidReason, err.Error())
	case errors.Is(err, errNoTags):
		retry(policy, imagev1.DependencyNotReadyReason, err.Error())
	case errors.Is(err, errNoRepository):
		retry(policy, imagev1.DependencyNotReadyReason, err.Error())
		return err
	case errors.Is(err, errNoAccess):
		retry(policy, accessDeniedReason, err.Error())
		return err
	default:
		retry(policy, metav1.StatusFailure, err.Error())
		return err
	}
	return nil
}

// selectLatest selects the latest image.
func (c *policyController) selectLatest(ctx context.Context, policy *imagev1.ImagePolicy) error {
	if policy.GetDigestReflectionPolicy() == imagev1.ReflectAlways && policy.Spec.Interval == nil {
		return errNoInterval
	}
	repo, err := c.repository(ctx, policy)
	if err != nil {
		return fmt.Errorf("getting the referred ImageRepository: %w", err)
	}
	image, err := parse(repo)
	if err != nil {
		return err
	}
	found, known := c.tags.get(image.Name())
	if !known || len(found) == 0 {
		return errNoTags
	}
	tag, err := latest(policy.Spec, found)
	if err != nil {
		return err
	}
	ref := &imagev1.ImageRef{Name: repo.Spec.Image, Tag: tag}
	if keep, digest := digestWithoutQuery(policy, ref); keep {
		ref.Digest = digest
	} else {
		head, err := remote.Head(image.Tag(tag), remote.WithContext(ctx))
		if err != nil {
			return fmt.Errorf("fetching digest of %s: %w", ref, err)
		}
		ref.Digest = head.Digest.String()
	}
	if was := policy.Status.LatestRef; was == nil || *was != *ref {
		policy.Status.ObservedPreviousRef, policy.Status.LatestRef = was, ref
	}
	return nil
}

// digestWithoutQuery reports whether the registry need not be queried, and returns the digest in that case.
func digestWithoutQuery(policy *imagev1.ImagePolicy, ref *imagev1.ImageRef) (bool, string) {
	was := policy.Status.LatestRef
	switch policy.GetDigestReflectionPolicy() {
	case imagev1.ReflectAlways:
		return false, ""
	case imagev1.ReflectIfNotPresent:
		if was == nil || was.Name != ref.Name || was.Tag != ref.Tag || was.Digest == "" {
			return false, ""
		}
		return true, was.Digest
	default:
		return true, ""
	}
}

// repository returns the repository of a policy, if it allows the namespace of the policy.
func (c *policyController) repository(
	ctx context.Context, policy *imagev1.ImagePolicy,
) (*imagev1.ImageRepository, error) {
	key := repositoryOf(policy)
	repo := &imagev1.ImageRepository{}
	if err := c.client.Get(ctx, key, repo); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("%w: %w", errNoRepository, err)
		}
		return nil, err
	}
	if key.Namespace == policy.Namespace {
		return repo, nil
	}
	return repo, c.checkAccess(ctx, policy.Namespace, repo)
}

// checkAccess returns an error unless the repository allows policies of a namespace.
func (c *policyController) checkAccess(ctx context.Context, namespace string, repo *imagev1.ImageRepository) error {
	denied := fmt.Errorf("%w: ImageRepository %s/%s does not allow namespace %s", errNoAccess, repo.Namespace, repo.Name,
		namespace)
	if repo.Spec.AccessFrom == nil {
		return denied
	}
	ns := &corev1.Namespace{}
	if err := c.client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return err
	}
	for _, selector := range repo.Spec.AccessFrom.NamespaceSelectors {
		if labels.SelectorFromSet(selector.MatchLabels).Matches(labels.Set(ns.Labels)) {
			return nil
		}
	}
	return denied
}

func repositoryOf(policy *imagev1.ImagePolicy) types.NamespacedName {
	ref := policy.Spec.ImageRepositoryRef
	if ref.Namespace == "" {
		ref.Namespace = policy.Namespace
	}
	return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
}

// describe returns the message of a ready policy.
func describe(status imagev1.ImagePolicyStatus) string {
	is, was := status.LatestRef, status.ObservedPreviousRef
	message := fmt.Sprintf("Latest image tag for %s resolved to %s", is.Name, is.Tag)
	if is.Digest != "" {
		message += " with digest " + is.Digest
	}
	if was != nil && *was != *is {
		message += " (previously " + was.String() + ")"
	}
	return message
}
