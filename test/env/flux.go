package env

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Image that every ImagePolicy of a test selects from, unless it says otherwise.
const Image = "registry.example.com/app"

// sourceRevision is what a Kustomization is made from, unless that is an OCIRepository.
const sourceRevision = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"

// Digest that the registry serves for a tag.
func Digest(tag string) string {
	sum := sha256.Sum256([]byte(tag))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func merge(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }

// Policy makes an ImagePolicy, with what it selects unless tag is empty.
func (w *World) Policy(name, tag string) *imagev1.ImagePolicy {
	w.T.Helper()
	p := &imagev1.ImagePolicy{ObjectMeta: w.Meta(name), Spec: imagev1.ImagePolicySpec{
		ImageRepositoryRef: meta.NamespacedObjectReference{Name: name},
		Policy:             imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: "*"}},
	}}
	w.Create(p)
	if tag != "" {
		w.Select(name, tag, Digest(tag))
	}
	return p
}

// Select makes an ImagePolicy select a tag, as image-reflector-controller would.
func (w *World) Select(name, tag, digest string) {
	w.T.Helper()
	p := &imagev1.ImagePolicy{ObjectMeta: w.Meta(name)}
	w.Get(p)
	p.Status.LatestRef = &imagev1.ImageRef{Name: Image, Tag: tag, Digest: digest}
	p.Status.ObservedGeneration = p.Generation
	apimeta.SetStatusCondition(&p.Status.Conditions, metav1.Condition{Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason})
	if err := w.Admin.Status().Update(w.Ctx(), p); err != nil {
		w.T.Fatal(err)
	}
}

// Kustomization makes one that takes variables from Rollouts: the name of a variable, then that of the Rollout.
func (w *World) Kustomization(name string, variables map[string]string) *kustomizev1.Kustomization {
	w.T.Helper()
	k := &kustomizev1.Kustomization{ObjectMeta: w.Meta(name), Spec: kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: time.Hour}, Prune: true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: name},
	}}
	k.Annotations = map[string]string{}
	for variable, rollout := range variables {
		k.Annotations[v1alpha1.AnnotationSubstitutePrefix+variable+v1alpha1.AnnotationSubstituteSuffix] = rollout
	}
	w.Create(k)
	return k
}

// ByDigest has a Kustomization take the variable VERSION as tag and digest.
func (w *World) ByDigest(k *kustomizev1.Kustomization) {
	w.T.Helper()
	w.Patch(k, `{"metadata":{"annotations":{"rollout.kuberik.com/substitute.VERSION.value":"tag@digest"}}}`)
}

// Repository makes an OCIRepository that takes its tag from a Rollout, and a Kustomization made from it.
func (w *World) Repository(name, rollout string, ref *sourcev1.OCIRepositoryRef) (*sourcev1.OCIRepository, *kustomizev1.Kustomization) {
	w.T.Helper()
	repo := &sourcev1.OCIRepository{ObjectMeta: w.Meta(name), Spec: sourcev1.OCIRepositorySpec{
		URL: "oci://" + Image, Interval: metav1.Duration{Duration: time.Hour}, Reference: ref,
	}}
	repo.Annotations = map[string]string{v1alpha1.AnnotationRollout: rollout}
	k := &kustomizev1.Kustomization{ObjectMeta: w.Meta(name), Spec: kustomizev1.KustomizationSpec{
		Interval: metav1.Duration{Duration: time.Hour}, Prune: true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.OCIRepositoryKind, Name: name},
	}}
	w.Create(repo, k)
	return repo, k
}

// Apply plays one good reconcile of kustomize-controller, changed by edits.
func (w *World) Apply(name string, edits ...func(*kustomizev1.Kustomization)) {
	w.T.Helper()
	if err := w.apply(w.Ctx(), w.Key(name), edits...); err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) apply(ctx context.Context, key client.ObjectKey, edits ...func(*kustomizev1.Kustomization)) error {
	k := &kustomizev1.Kustomization{}
	if err := w.Admin.Get(ctx, key, k); err != nil {
		return err
	}
	revision := sourceRevision
	if k.Spec.SourceRef.Kind == sourcev1.OCIRepositoryKind {
		repo := &sourcev1.OCIRepository{}
		if err := w.Admin.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: k.Spec.SourceRef.Name}, repo); err != nil {
			return err
		}
		if repo.Status.Artifact == nil {
			return nil // the real one waits for its source
		}
		revision = repo.Status.Artifact.Revision
	}
	before := k.DeepCopy()
	st := &k.Status
	st.ObservedGeneration = k.Generation
	st.LastHandledReconcileAt = k.Annotations[meta.ReconcileRequestAnnotation]
	st.LastAppliedRevision, st.LastAttemptedRevision = revision, revision
	apimeta.RemoveStatusCondition(&st.Conditions, meta.ReconcilingCondition)
	setReady(&st.Conditions, metav1.ConditionTrue, meta.ReconciliationSucceededReason, k.Generation)
	for _, edit := range edits {
		if edit != nil {
			edit(k)
		}
	}
	return w.Admin.Status().Patch(ctx, k, client.MergeFrom(before))
}

// Broken makes a reconcile fail for a reason, after the revision was attempted.
func Broken(reason string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		setReady(&k.Status.Conditions, metav1.ConditionFalse, reason, k.Generation)
		k.Status.LastAppliedRevision = ""
	}
}

// Inventory makes a reconcile have applied objects: <namespace>_<name>_<group>_<kind>.
func Inventory(version string, ids ...string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Status.Inventory = &kustomizev1.ResourceInventory{}
		for _, id := range ids {
			k.Status.Inventory.Entries = append(k.Status.Inventory.Entries, kustomizev1.ResourceRef{ID: id, Version: version})
		}
	}
}

// Own labels an object as Flux labels what it applies for a Kustomization.
func (w *World) Own(kustomization string, obj client.Object) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels["kustomize.toolkit.fluxcd.io/name"], labels["kustomize.toolkit.fluxcd.io/namespace"] = kustomization, w.Namespace
	obj.SetLabels(labels)
}

func setReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason string, generation int64) {
	apimeta.SetStatusCondition(conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: status, Reason: reason, Message: "played by the test", ObservedGeneration: generation,
	})
}

// Fetch plays one good reconcile of source-controller: the registry serves what the tag is.
func (w *World) Fetch(name string, edits ...func(*sourcev1.OCIRepository)) {
	w.T.Helper()
	if err := w.fetch(w.Ctx(), w.Key(name), edits...); err != nil {
		w.T.Fatal(err)
	}
}

func (w *World) fetch(ctx context.Context, key client.ObjectKey, edits ...func(*sourcev1.OCIRepository)) error {
	repo := &sourcev1.OCIRepository{}
	if err := w.Admin.Get(ctx, key, repo); err != nil {
		return err
	}
	tag := "latest"
	if repo.Spec.Reference != nil && repo.Spec.Reference.Tag != "" {
		tag = repo.Spec.Reference.Tag
	}
	before := repo.DeepCopy()
	repo.Status.ObservedGeneration = repo.Generation
	repo.Status.LastHandledReconcileAt = repo.Annotations[meta.ReconcileRequestAnnotation]
	repo.Status.Artifact = &meta.Artifact{
		Path: "a", URL: "http://source/a", Revision: tag + "@" + Digest(tag), Digest: Digest(tag), LastUpdateTime: metav1.Now(),
	}
	setReady(&repo.Status.Conditions, metav1.ConditionTrue, meta.SucceededReason, repo.Generation)
	apimeta.SetStatusCondition(&repo.Status.Conditions, metav1.Condition{
		Type: sourcev1.ArtifactInStorageCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, ObservedGeneration: repo.Generation,
	})
	for _, edit := range edits {
		edit(repo)
	}
	return w.Admin.Status().Patch(ctx, repo, client.MergeFrom(before))
}

// Flux plays both controllers of Flux for the namespace of a test, as soon as they are asked.
type Flux struct {
	w    *World
	poke chan struct{}

	mu   sync.Mutex // held during a look, so that a Hold is one from its return on
	held bool
	edit func(*kustomizev1.Kustomization)
}

// PlayFlux starts it, until the test ends.
func (w *World) PlayFlux() *Flux {
	f := &Flux{w: w, poke: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Ctx()))
	done := make(chan struct{})
	w.T.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f.play(ctx)
		}
	}()
	return f
}

// Hold keeps Flux from doing anything; Release lets it go on.
func (f *Flux) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
}

// Release ends a Hold.
func (f *Flux) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = false
	f.stir()
}

// Do changes every reconcile of a Kustomization from now on.
func (f *Flux) Do(edit func(*kustomizev1.Kustomization)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edit = edit
}

func (f *Flux) stir() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// play looks at everything, and again when something changes, until a watch ends.
func (f *Flux) play(ctx context.Context) {
	for _, list := range []client.ObjectList{&kustomizev1.KustomizationList{}, &sourcev1.OCIRepositoryList{}} {
		events, err := f.w.Admin.Watch(ctx, list, client.InNamespace(f.w.Namespace))
		if err != nil {
			select { // the API server may be away
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			return
		}
		defer events.Stop()
		go f.listen(ctx, events)
	}
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-f.poke:
		case <-time.After(2 * time.Second):
			return
		}
	}
}

func (f *Flux) listen(ctx context.Context, events watch.Interface) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events.ResultChan():
			if !ok {
				return
			}
			f.stir()
		}
	}
}

func (f *Flux) look(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held {
		return
	}
	var repos sourcev1.OCIRepositoryList
	var ks kustomizev1.KustomizationList
	err := errors.Join(f.w.Admin.List(ctx, &repos, client.InNamespace(f.w.Namespace)), f.w.Admin.List(ctx, &ks, client.InNamespace(f.w.Namespace)))
	if err != nil {
		return
	}
	artifacts := map[string]string{}
	for i := range repos.Items {
		r := &repos.Items[i]
		if due(r, r.Status.ObservedGeneration, r.Status.LastHandledReconcileAt) {
			f.report(f.fetch(ctx, r))
			f.stir()
		}
		if r.Status.Artifact != nil {
			artifacts[r.Name] = r.Status.Artifact.Revision
		}
	}
	for i := range ks.Items {
		if k := &ks.Items[i]; f.wants(k, artifacts) {
			f.report(f.apply(ctx, k))
		}
	}
}

// fetch plays a reconcile of an OCIRepository. While it is suspended, Flux writes what it has observed and handled, and nothing else.
func (f *Flux) fetch(ctx context.Context, r *sourcev1.OCIRepository) error {
	if !r.Spec.Suspend {
		return f.w.fetch(ctx, client.ObjectKeyFromObject(r))
	}
	before := r.DeepCopy()
	r.Status.ObservedGeneration, r.Status.LastHandledReconcileAt = r.Generation, r.Annotations[meta.ReconcileRequestAnnotation]
	return f.w.Admin.Status().Patch(ctx, r, client.MergeFrom(before))
}

// apply plays a reconcile of a Kustomization, as fetch does.
func (f *Flux) apply(ctx context.Context, k *kustomizev1.Kustomization) error {
	if !k.Spec.Suspend {
		return f.w.apply(ctx, client.ObjectKeyFromObject(k), f.edit)
	}
	before := k.DeepCopy()
	k.Status.LastHandledReconcileAt = k.Annotations[meta.ReconcileRequestAnnotation]
	if apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition) {
		k.Status.ObservedGeneration = k.Generation
	}
	return f.w.Admin.Status().Patch(ctx, k, client.MergeFrom(before))
}

// wants says whether a Kustomization, or what it is made from, has changed.
func (f *Flux) wants(k *kustomizev1.Kustomization, artifacts map[string]string) bool {
	if due(k, k.Status.ObservedGeneration, k.Status.LastHandledReconcileAt) || k.Spec.Suspend {
		return due(k, k.Status.ObservedGeneration, k.Status.LastHandledReconcileAt)
	}
	source, ok := artifacts[k.Spec.SourceRef.Name]
	return ok && k.Spec.SourceRef.Kind == sourcev1.OCIRepositoryKind && source != k.Status.LastAttemptedRevision
}

// due says whether there is something to reconcile.
func due(obj client.Object, observed int64, handled string) bool {
	return observed != obj.GetGeneration() || handled != obj.GetAnnotations()[meta.ReconcileRequestAnnotation]
}

// report leaves what fails to the next look: objects come and go under a controller.
func (f *Flux) report(err error) {
	if err != nil && f.w.Ctx().Err() == nil {
		f.stir()
	}
}
