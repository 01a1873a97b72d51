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

// Image is the image of the ImagePolicies.
const Image = "registry.example.com/app"

// sourceRevision is the revision that a Kustomization applies, unless its source is an OCIRepository.
const sourceRevision = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"

// Digest returns the digest of a tag in the registry.
func Digest(tag string) string {
	sum := sha256.Sum256([]byte(tag))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func merge(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }

// Policy creates an ImagePolicy. It selects a tag unless tag is empty.
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

// Select writes the selected tag to the status of an ImagePolicy, as image-reflector-controller does.
func (w *World) Select(name, tag, digest string) {
	w.T.Helper()
	p := &imagev1.ImagePolicy{ObjectMeta: w.Meta(name)}
	w.Get(p)
	p.Status.LatestRef = &imagev1.ImageRef{Name: Image, Tag: tag, Digest: digest}
	p.Status.ObservedGeneration = p.Generation
	apimeta.SetStatusCondition(
		&p.Status.Conditions,
		metav1.Condition{Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason},
	)
	if err := w.Admin.Status().Update(w.Ctx(), p); err != nil {
		w.T.Fatal(err)
	}
}

// Kustomization creates a Kustomization. Variables maps the names of its variables to Rollouts.
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

// ByDigest makes the variable VERSION of a Kustomization the tag and the digest.
func (w *World) ByDigest(k *kustomizev1.Kustomization) {
	w.T.Helper()
	w.Patch(k, `{"metadata":{"annotations":{"rollout.kuberik.com/substitute.VERSION.value":"tag@digest"}}}`)
}

// Repository creates an OCIRepository with the tag of a Rollout, and a Kustomization with it as its source.
func (w *World) Repository(
	name, rollout string, ref *sourcev1.OCIRepositoryRef,
) (*sourcev1.OCIRepository, *kustomizev1.Kustomization) {
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

// Apply writes the status of a successful reconcile of kustomize-controller, changed by edits.
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
		source := client.ObjectKey{Namespace: key.Namespace, Name: k.Spec.SourceRef.Name}
		if err := w.Admin.Get(ctx, source, repo); err != nil {
			return err
		}
		if repo.Status.Artifact == nil {
			return nil // Flux waits for the source
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

// FailedWith changes a reconcile to one that failed with a reason.
func FailedWith(reason string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		setReady(&k.Status.Conditions, metav1.ConditionFalse, reason, k.Generation)
		k.Status.LastAppliedRevision = ""
	}
}

// Inventory sets the applied objects of a reconcile: <namespace>_<name>_<group>_<kind>.
func Inventory(version string, ids ...string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Status.Inventory = &kustomizev1.ResourceInventory{}
		for _, id := range ids {
			k.Status.Inventory.Entries = append(k.Status.Inventory.Entries, kustomizev1.ResourceRef{ID: id, Version: version})
		}
	}
}

// Own sets the labels that Flux sets on the objects of a Kustomization.
func (w *World) Own(kustomization string, obj client.Object) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels["kustomize.toolkit.fluxcd.io/name"] = kustomization
	labels["kustomize.toolkit.fluxcd.io/namespace"] = w.Namespace
	obj.SetLabels(labels)
}

func setReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason string, generation int64) {
	apimeta.SetStatusCondition(conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: status, Reason: reason, Message: "simulated by the test",
		ObservedGeneration: generation,
	})
}

// Fetch writes the status of a successful reconcile of source-controller.
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
		Path: "a", URL: "http://source/a", Revision: tag + "@" + Digest(tag), Digest: Digest(tag),
		LastUpdateTime: metav1.Now(),
	}
	setReady(&repo.Status.Conditions, metav1.ConditionTrue, meta.SucceededReason, repo.Generation)
	apimeta.SetStatusCondition(&repo.Status.Conditions, metav1.Condition{
		Type: sourcev1.ArtifactInStorageCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason,
		ObservedGeneration: repo.Generation,
	})
	for _, edit := range edits {
		edit(repo)
	}
	return w.Admin.Status().Patch(ctx, repo, client.MergeFrom(before))
}

// Flux simulates both controllers of Flux in the namespace of a test.
type Flux struct {
	w         *World
	triggered chan struct{}

	mu     sync.Mutex // locked during reconcileAll, so that Hold waits for it
	paused bool
	edit   func(*kustomizev1.Kustomization)
}

// SimulateFlux starts the simulation. It stops at the end of the test.
func (w *World) SimulateFlux() *Flux {
	f := &Flux{w: w, triggered: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Ctx()))
	done := make(chan struct{})
	w.T.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f.run(ctx)
		}
	}()
	return f
}

// Hold pauses the simulation.
func (f *Flux) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = true
}

// Release resumes the simulation.
func (f *Flux) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = false
	f.trigger()
}

// Do sets a change of every following reconcile of a Kustomization.
func (f *Flux) Do(edit func(*kustomizev1.Kustomization)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edit = edit
}

func (f *Flux) trigger() {
	select {
	case f.triggered <- struct{}{}:
	default:
	}
}

// run reconciles all objects, again after each change, until a watch ends.
func (f *Flux) run(ctx context.Context) {
	for _, list := range []client.ObjectList{&kustomizev1.KustomizationList{}, &sourcev1.OCIRepositoryList{}} {
		events, err := f.w.Admin.Watch(ctx, list, client.InNamespace(f.w.Namespace))
		if err != nil {
			select { // the API server may be unavailable
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			return
		}
		defer events.Stop()
		go f.forward(ctx, events)
	}
	for {
		f.reconcileAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-f.triggered:
		case <-time.After(2 * time.Second):
			return
		}
	}
}

func (f *Flux) forward(ctx context.Context, events watch.Interface) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events.ResultChan():
			if !ok {
				return
			}
			f.trigger()
		}
	}
}

func (f *Flux) reconcileAll(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paused {
		return
	}
	var repos sourcev1.OCIRepositoryList
	var ks kustomizev1.KustomizationList
	err := errors.Join(
		f.w.Admin.List(ctx, &repos, client.InNamespace(f.w.Namespace)),
		f.w.Admin.List(ctx, &ks, client.InNamespace(f.w.Namespace)),
	)
	if err != nil {
		return
	}
	artifacts := map[string]string{}
	for i := range repos.Items {
		r := &repos.Items[i]
		if hasChanged(r, r.Status.ObservedGeneration, r.Status.LastHandledReconcileAt) {
			f.retryLater(f.fetch(ctx, r))
			f.trigger()
		}
		if r.Status.Artifact != nil {
			artifacts[r.Name] = r.Status.Artifact.Revision
		}
	}
	for i := range ks.Items {
		if k := &ks.Items[i]; f.isDue(k, artifacts) {
			f.retryLater(f.apply(ctx, k))
		}
	}
}

// fetch reconciles an OCIRepository. If it is suspended, Flux only writes the observed generation and the handled
// request.
func (f *Flux) fetch(ctx context.Context, r *sourcev1.OCIRepository) error {
	if !r.Spec.Suspend {
		return f.w.fetch(ctx, client.ObjectKeyFromObject(r))
	}
	before := r.DeepCopy()
	r.Status.ObservedGeneration = r.Generation
	r.Status.LastHandledReconcileAt = r.Annotations[meta.ReconcileRequestAnnotation]
	return f.w.Admin.Status().Patch(ctx, r, client.MergeFrom(before))
}

// apply reconciles a Kustomization. If it is suspended, Flux only writes the handled request and the observed
// generation.
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

// isDue reports whether a Kustomization or its source has changed.
func (f *Flux) isDue(k *kustomizev1.Kustomization, artifacts map[string]string) bool {
	if hasChanged(k, k.Status.ObservedGeneration, k.Status.LastHandledReconcileAt) || k.Spec.Suspend {
		return hasChanged(k, k.Status.ObservedGeneration, k.Status.LastHandledReconcileAt)
	}
	source, ok := artifacts[k.Spec.SourceRef.Name]
	return ok && k.Spec.SourceRef.Kind == sourcev1.OCIRepositoryKind && source != k.Status.LastAttemptedRevision
}

// hasChanged reports whether the generation or the reconcile request of an object has changed.
func hasChanged(obj client.Object, observed int64, handled string) bool {
	return observed != obj.GetGeneration() || handled != obj.GetAnnotations()[meta.ReconcileRequestAnnotation]
}

// retryLater triggers another reconcile after an error, because objects may change during a reconcile.
func (f *Flux) retryLater(err error) {
	if err != nil && f.w.Ctx().Err() == nil {
		f.trigger()
	}
}
