package flux

import (
	"context"
	"fmt"
	"slices"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// AddToScheme adds the Flux kinds that Kuberik reads and writes to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{
		imagev1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}

// Indexes returns the indexes that find the targets of a Rollout.
func Indexes() []kube.Index {
	return []kube.Index{
		{Object: &kustomizev1.Kustomization{}, Key: kube.ByRollout, Values: Rollouts},
		{Object: &sourcev1.OCIRepository{}, Key: kube.ByRollout, Values: Rollouts},
		kube.IndexOf(&kustomizev1.Kustomization{}, kube.BySource, func(k *kustomizev1.Kustomization) []string {
			if s := Source(k); s != "" {
				return []string{s}
			}
			return nil
		}),
	}
}

// Reader reads Flux objects.
type Reader struct {
	client.Reader
	// Live reports whether Reader bypasses the cache and therefore has no indexes.
	Live bool
	// Pages bounds how many live lists of one namespace are in memory at the same time. Default: no bound.
	Pages *fair.Slots
}

// pageSize is how many Flux objects of a live list are in memory whole: each may take what the API server allows, which
// is about 1.5 MB.
const pageSize = 10

// TargetKinds returns an empty object of each kind that can be a target of a Rollout.
func TargetKinds() []client.Object {
	return []client.Object{&kustomizev1.Kustomization{}, &sourcev1.OCIRepository{}}
}

// SourceKinds returns an empty object of each kind that tells which versions there are.
func SourceKinds() []client.Object {
	return []client.Object{&imagev1.ImagePolicy{}, &imagev1.ImageRepository{}}
}

// NewPolicy returns an empty ImagePolicy for a watch.
func NewPolicy() client.Object { return &imagev1.ImagePolicy{} }

// NewKustomization returns an empty Kustomization for a watch.
func NewKustomization() client.Object { return &kustomizev1.Kustomization{} }

// TargetObjects lists the Flux objects that a Rollout writes its version to, and the Kustomizations whose source is
// one of them. They may share memory with the cache and must not be changed.
func (r Reader) TargetObjects(ctx context.Context, namespace, rollout string) (TargetObjects, error) {
	if r.Live {
		return r.liveTargetObjects(ctx, namespace, rollout)
	}
	var objects TargetObjects
	var repos sourcev1.OCIRepositoryList
	byRollout := client.MatchingFields{kube.ByRollout: rollout}
	if err := r.List(ctx, &repos, client.InNamespace(namespace), byRollout, client.UnsafeDisableDeepCopy); err != nil {
		return objects, fmt.Errorf("listing OCIRepositories: %w", err)
	}
	objects.Repositories = repos.Items
	queries := []client.MatchingFields{byRollout}
	for i := range repos.Items {
		queries = append(queries, client.MatchingFields{kube.BySource: namespace + "/" + repos.Items[i].Name})
	}
	seen := map[string]bool{}
	for _, q := range queries {
		var list kustomizev1.KustomizationList
		if err := r.List(ctx, &list, client.InNamespace(namespace), q, client.UnsafeDisableDeepCopy); err != nil {
			return objects, fmt.Errorf("listing Kustomizations: %w", err)
		}
		for i := range list.Items {
			if name := list.Items[i].Name; !seen[name] {
				seen[name] = true
				objects.Kustomizations = append(objects.Kustomizations, list.Items[i])
			}
		}
	}
	return objects, nil
}

// liveTargetObjects is TargetObjects without indexes: it lists the namespace, page by page, and leaves out what belongs
// to other Rollouts.
func (r Reader) liveTargetObjects(ctx context.Context, namespace, rollout string) (TargetObjects, error) {
	var objects TargetObjects
	done, err := r.Pages.Take(ctx, namespace)
	if err != nil {
		return objects, err
	}
	defer done()
	sources, err := r.addRepositories(ctx, namespace, rollout, &objects)
	if err != nil {
		return objects, err
	}
	err = r.addKustomizations(ctx, namespace, rollout, sources, &objects)
	return objects, err
}

// addRepositories adds the OCIRepositories of a Rollout and returns their keys.
func (r Reader) addRepositories(
	ctx context.Context, namespace, rollout string, objects *TargetObjects,
) (map[string]bool, error) {
	sources := map[string]bool{}
	for list, err := range kube.Pages[sourcev1.OCIRepositoryList](ctx, r, pageSize, client.InNamespace(namespace)) {
		if err != nil {
			return nil, fmt.Errorf("listing OCIRepositories: %w", err)
		}
		for i := range list.Items {
			if repo := &list.Items[i]; !objects.large() && slices.Contains(Rollouts(repo), rollout) {
				objects.Repositories = append(objects.Repositories, kept(*repo))
				sources[namespace+"/"+repo.Name] = true
			}
		}
	}
	return sources, nil
}

// addKustomizations adds the Kustomizations of a Rollout and those whose source is one of its OCIRepositories.
func (r Reader) addKustomizations(
	ctx context.Context, namespace, rollout string, sources map[string]bool, objects *TargetObjects,
) error {
	for list, err := range kube.Pages[kustomizev1.KustomizationList](ctx, r, pageSize, client.InNamespace(namespace)) {
		if err != nil {
			return fmt.Errorf("listing Kustomizations: %w", err)
		}
		for i := range list.Items {
			if k := &list.Items[i]; !objects.large() && (sources[Source(k)] || slices.Contains(Rollouts(k), rollout)) {
				objects.Kustomizations = append(objects.Kustomizations, kept(*k))
			}
		}
	}
	return nil
}

// kept is what is kept of an object, as the cache has it.
func kept[T any, P interface {
	*T
	client.Object
}](o T) T {
	Trim(P(&o))
	if _, err := kube.TrimMetadata(P(&o)); err != nil {
		return o // it has metadata
	}
	return o
}

// Policy reads an ImagePolicy and the image it selects from. If it does not exist, Found is false.
func (r Reader) Policy(ctx context.Context, key types.NamespacedName) (release.Policy, string, error) {
	var p imagev1.ImagePolicy
	switch err := r.Get(ctx, key, &p); {
	case apierrors.IsNotFound(err):
		return Policy(nil), "", nil
	case err != nil:
		return release.Policy{}, "", fmt.Errorf("reading ImagePolicy %q: %w", key, err)
	}
	return Policy(&p), Image(&p), nil
}

// Kustomization reads the state of a Kustomization, or returns nil if it does not exist. A failure that does not count
// against the version is returned as Retrying.
func (r Reader) Kustomization(ctx context.Context, key types.NamespacedName) (*KustomizationState, error) {
	var k kustomizev1.Kustomization
	switch err := r.Get(ctx, key, &k); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Kustomization %q: %w", key, err)
	}
	state := stateOf(&k)
	if state.Progress != Failed {
		return state, nil
	}
	writers, err := r.SourceRollouts(ctx, &k)
	if err == nil && setupProblem(&k, len(writers) > 0) != "" {
		state.Progress = Retrying
	}
	return state, err
}

// Pull holds what is needed to read an image from its registry.
type Pull struct {
	// Image repository without a tag.
	Image string
	// Insecure allows plain HTTP.
	Insecure bool
	// Secret with the credentials. Its name is empty if there is none.
	Secret types.NamespacedName
}

// Pull returns how to read the image of an ImagePolicy, from its ImageRepository. If that cannot be used, it returns
// nil and the reason. Kuberik does not use the credentials of another namespace.
func (r Reader) Pull(ctx context.Context, policy types.NamespacedName) (*Pull, string, error) {
	var p imagev1.ImagePolicy
	if err := r.Get(ctx, policy, &p); err != nil {
		return nil, "the ImagePolicy cannot be read", client.IgnoreNotFound(err)
	}
	key := types.NamespacedName{Namespace: p.Spec.ImageRepositoryRef.Namespace, Name: p.Spec.ImageRepositoryRef.Name}
	if key.Namespace != "" && key.Namespace != p.Namespace {
		return nil, "the ImageRepository is in another namespace, whose credentials are not used", nil
	}
	key.Namespace = p.Namespace
	var repo imagev1.ImageRepository
	if err := r.Get(ctx, key, &repo); err != nil {
		return nil, "the ImageRepository cannot be read", client.IgnoreNotFound(err)
	}
	pull := &Pull{Image: repo.Spec.Image, Insecure: repo.Spec.Insecure}
	if repo.Spec.SecretRef != nil {
		pull.Secret = types.NamespacedName{Namespace: repo.Namespace, Name: repo.Spec.SecretRef.Name}
	}
	return pull, "", nil
}

// SourceRollouts returns the names of the Rollouts that write to the OCIRepository of a Kustomization.
func (r Reader) SourceRollouts(ctx context.Context, obj client.Object) ([]string, error) {
	k, ok := obj.(*kustomizev1.Kustomization)
	if !ok || Source(k) == "" {
		return nil, nil
	}
	var repo sourcev1.OCIRepository
	err := r.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: k.Spec.SourceRef.Name}, &repo)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return Rollouts(&repo), nil
}

// Policy returns what an ImagePolicy selected. A nil ImagePolicy does not exist. One with a filter that is too large to
// be evaluated selects nothing: its tags could not be ordered, and every Rollout of the namespace may evaluate it.
func Policy(p *imagev1.ImagePolicy) release.Policy {
	if p == nil {
		return release.Policy{}
	}
	order, err := order(p.Spec)
	if err != nil {
		return release.Policy{Found: true, Problem: "spec.filterTags.pattern of the ImagePolicy " + err.Error()}
	}
	out := release.Policy{Found: true, Problem: notReadyMessage(p.Status.Conditions), Order: order}
	if ref := p.Status.LatestRef; ref != nil {
		out.Tag, out.Digest = ref.Tag, ref.Digest
	}
	return out
}

// order returns how an ImagePolicy orders tags, or nil if it has no policy. It returns an error if the filter of the
// tags is invalid or too large.
func order(spec imagev1.ImagePolicySpec) (*version.Order, error) {
	var filter version.Filter
	if f := spec.FilterTags; f != nil {
		var err error
		if filter, err = version.NewFilter(f.Pattern, f.Extract); err != nil {
			return nil, err
		}
	}
	const descending = "desc"
	switch c := spec.Policy; {
	case c.SemVer != nil:
		return version.NewOrder(version.OrderSemver, false, filter), nil
	case c.Alphabetical != nil:
		return version.NewOrder(version.OrderAlphabetical, c.Alphabetical.Order == descending, filter), nil
	case c.Numerical != nil:
		return version.NewOrder(version.OrderNumerical, c.Numerical.Order == descending, filter), nil
	}
	return nil, nil
}

// Image returns the image repository that an ImagePolicy selects from, or "".
func Image(p *imagev1.ImagePolicy) string {
	if p == nil || p.Status.LatestRef == nil {
		return ""
	}
	return p.Status.LatestRef.Name
}
