package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
	"github.com/kuberik/kuberik/test/env"
)

// writers is how many objects are written at the same time.
const writers = 16

// repository is the ImageRepository of each namespace.
const repository = "app"

// set is the Rollouts of the controller or those of the floor, each with an ImagePolicy and a Kustomization of its
// name.
type set struct {
	client            client.Client
	name              string
	image             string
	total, namespaces int
}

// namespace returns one of the namespaces.
func (s set) namespace(i int) string { return fmt.Sprintf("bench-%s-%d", s.name, i) }

// list returns the namespaces.
func (s set) list() string {
	var names []string
	for i := range s.namespaces {
		names = append(names, s.namespace(i))
	}
	return strings.Join(names, ",")
}

// key returns the name of a Rollout and its namespace.
func (s set) key(i int) client.ObjectKey {
	return client.ObjectKey{Namespace: s.namespace(i % s.namespaces), Name: fmt.Sprintf("app-%d", i)}
}

// create creates everything, with a first tag selected.
func (s set) create(ctx context.Context, first tag) error {
	for i := range s.namespaces {
		at := metav1.ObjectMeta{Namespace: s.namespace(i), Name: repository}
		for _, o := range []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: at.Namespace}},
			&imagev1.ImageRepository{ObjectMeta: at, Spec: imagev1.ImageRepositorySpec{Image: s.image, Insecure: true}},
		} {
			if err := s.client.Create(ctx, o); err != nil {
				return err
			}
		}
	}
	return s.each(ctx, s.total, func(ctx context.Context, i int) error { return s.createOne(ctx, i, first) })
}

func (s set) createOne(ctx context.Context, i int, first tag) error {
	at := metav1.ObjectMeta{Namespace: s.key(i).Namespace, Name: s.key(i).Name}
	policy := &imagev1.ImagePolicy{ObjectMeta: at, Spec: imagev1.ImagePolicySpec{
		ImageRepositoryRef: meta.NamespacedObjectReference{Name: repository},
		Policy:             imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: "*"}},
	}}
	if err := s.client.Create(ctx, policy); err != nil {
		return err
	}
	if err := s.selectTag(ctx, i, first); err != nil {
		return err
	}
	target := &kustomizev1.Kustomization{ObjectMeta: at, Spec: kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: time.Hour}, Prune: true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "manifests"},
	}}
	target.Annotations = map[string]string{
		v1alpha1.AnnotationSubstitutePrefix + variable + v1alpha1.AnnotationSubstituteSuffix: at.Name,
	}
	rollout := &v1alpha1.Rollout{ObjectMeta: at}
	rollout.Spec.ReleasesImagePolicy.Name = at.Name
	return errors.Join(s.client.Create(ctx, target), s.client.Create(ctx, rollout))
}

// each does something for the first so many Rollouts, several at a time.
func (s set) each(ctx context.Context, count int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range count {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// selectTag makes an ImagePolicy select a tag, as image-reflector-controller does.
func (s set) selectTag(ctx context.Context, i int, t tag) error {
	policy := &imagev1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.key(i).Namespace, Name: s.key(i).Name}}
	return patchStatus(ctx, s.client, policy, map[string]any{
		"observedGeneration": 1,
		"latestRef":          map[string]any{"name": s.image, "tag": t.name, "digest": t.digest},
		"conditions":         []metav1.Condition{ready(1)},
	})
}

// check reports an error unless every one of the first so many Rollouts is Available with a tag.
func (s set) check(ctx context.Context, count int, t tag) error {
	for n := range s.namespaces {
		var list v1alpha1.RolloutList
		if err := s.client.List(ctx, &list, client.InNamespace(s.namespace(n))); err != nil {
			return err
		}
		for i := range list.Items {
			ro := &list.Items[i]
			var number int
			if _, err := fmt.Sscanf(ro.Name, "app-%d", &number); err != nil || number >= count {
				continue
			}
			if ro.Status.Phase != v1alpha1.PhaseAvailable || ro.Status.CurrentVersion != t.name {
				return fmt.Errorf("rollout %s/%s is %s with %s, and %s is selected: %s",
					ro.Namespace, ro.Name, ro.Status.Phase, ro.Status.CurrentVersion, t.name, ro.Status.WaitsFor)
			}
		}
	}
	return nil
}

// tag is an image that was pushed.
type tag struct{ name, digest string }

// push pushes an image, or makes up a digest where there is no registry.
func push(ctx context.Context, image string, number int, exists bool) (tag, error) {
	t := tag{name: fmt.Sprintf("1.%d.0", number)}
	t.digest = env.Digest(t.name)
	if !exists {
		return t, nil
	}
	var err error
	t.digest, err = artifact.PushImage(ctx, artifact.Image{Reference: image + ":" + t.name, Annotations: map[string]string{
		"org.opencontainers.image.version": t.name, "org.opencontainers.image.revision": t.name,
		"org.opencontainers.image.created": time.Now().UTC().Format(time.RFC3339), "org.opencontainers.image.title": "bench",
	}})
	return t, err
}

// patchStatus writes fields of a status.
func patchStatus(ctx context.Context, c client.Client, o client.Object, status any) error {
	body, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return c.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, body), client.FieldOwner("kuberik-bench"))
}

func ready(generation int64) metav1.Condition {
	return metav1.Condition{
		Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, Message: "simulated",
		ObservedGeneration: generation, LastTransitionTime: metav1.Now(),
	}
}
