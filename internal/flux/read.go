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

	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
)

// AddToScheme registers the Flux kinds that Kuberik reads and writes.
func AddToScheme(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{imagev1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme} {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}

// Indexes that the controllers need to get from a Rollout to its targets.
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
	// Live is whether Reader reads past the cache, where there are no indexes.
	Live bool
}

// Watched are the kinds whose changes matter to a Rollout that asks for them by name.
func Watched() []client.Object {
	return []client.Object{&kustomizev1.Kustomization{}, &sourcev1.OCIRepository{}}
}

// NewPolicy is an empty ImagePolicy, to be watched.
func NewPolicy() client.Object { return &imagev1.ImagePolicy{} }

// NewKustomization is an empty Kustomization, to be watched.
func NewKustomization() client.Object { return &kustomizev1.Kustomization{} }

// World lists what a Rollout hands its version to, and what is made from that.
func (r Reader) World(ctx context.Context, namespace, rollout string) (World, error) {
	if r.Live {
		return r.liveWorld(ctx, namespace, rollout)
	}
	var w World
	var repos sourcev1.OCIRepositoryList
	if err := r.List(ctx, &repos, client.InNamespace(namespace), client.MatchingFields{kube.ByRollout: rollout}); err != nil {
		return w, fmt.Errorf("listing OCIRepositories: %w", err)
	}
	w.Repositories = repos.Items
	queries := []client.MatchingFields{{kube.ByRollout: rollout}}
	for i := range repos.Items {
		queries = append(queries, client.MatchingFields{kube.BySource: namespace + "/" + repos.Items[i].Name})
	}
	seen := map[string]bool{}
	for _, q := range queries {
		var list kustomizev1.KustomizationList
		if err := r.List(ctx, &list, client.InNamespace(namespace), q); err != nil {
			return w, fmt.Errorf("listing Kustomizations: %w", err)
		}
		for i := range list.Items {
			if name := list.Items[i].Name; !seen[name] {
				seen[name] = true
				w.Kustomizations = append(w.Kustomizations, list.Items[i])
			}
		}
	}
	return w, nil
}

// liveWorld is World without indexes: it lists the namespace and leaves out what belongs to other Rollouts.
func (r Reader) liveWorld(ctx context.Context, namespace, rollout string) (World, error) {
	var w World
	var repos sourcev1.OCIRepositoryList
	if err := r.List(ctx, &repos, client.InNamespace(namespace)); err != nil {
		return w, fmt.Errorf("listing OCIRepositories: %w", err)
	}
	sources := map[string]bool{}
	for i := range repos.Items {
		if slices.Contains(Rollouts(&repos.Items[i]), rollout) {
			w.Repositories = append(w.Repositories, repos.Items[i])
			sources[namespace+"/"+repos.Items[i].Name] = true
		}
	}
	var list kustomizev1.KustomizationList
	if err := r.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return w, fmt.Errorf("listing Kustomizations: %w", err)
	}
	for i := range list.Items {
		if k := &list.Items[i]; sources[Source(k)] || slices.Contains(Rollouts(k), rollout) {
			w.Kustomizations = append(w.Kustomizations, *k)
		}
	}
	return w, nil
}

// Policy reads an ImagePolicy, and the image it selects from. One that does not exist is a policy that was not found.
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

// Applied reads what a Kustomization has come to. Nil: it does not exist. A failure that is not the fault of a version is one that may pass.
func (r Reader) Applied(ctx context.Context, key types.NamespacedName) (*Applied, error) {
	var k kustomizev1.Kustomization
	switch err := r.Get(ctx, key, &k); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Kustomization %q: %w", key, err)
	}
	a := applied(&k)
	if a.Progress != Broken {
		return a, nil
	}
	writers, err := r.SourceRollouts(ctx, &k)
	if err == nil && setup(&k, len(writers) > 0) != "" {
		a.Progress = Hindered
	}
	return a, err
}

// Pull is how an image is read from its registry.
type Pull struct {
	// Image repository, without tag.
	Image string
	// Insecure allows plain HTTP.
	Insecure bool
	// Secret with the credentials; its name is empty if there is none.
	Secret types.NamespacedName
}

// Pull says how the image of an ImagePolicy is read, as its ImageRepository has it. An ImageRepository of another namespace is
// used only if that namespace allows it; nil: not readable, for the reason given.
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

// SourceRollouts names the Rollouts that write the OCIRepository a Kustomization is made from.
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
