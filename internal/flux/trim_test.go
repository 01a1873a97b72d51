package flux

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/kube"
)

// fill writes a text into every field of an object that takes one, and lengthens every list.
func fill(object any, text string) any {
	switch o := object.(type) {
	case string:
		return o + text
	case map[string]any:
		for key := range o {
			o[key] = fill(o[key], text)
		}
	case []any:
		for i := range o {
			o[i] = fill(o[i], text)
		}
	}
	return object
}

// Whoever may write a Flux object and its status can make every field of it as large as the API server allows.
func TestNothingInAFluxObjectTakesMemoryWithoutBound(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("ü", 250<<10)
	labels := map[string]string{}
	for i := range 5000 {
		labels[fmt.Sprintf("example.com/%050d", i)] = strings.Repeat("x", 60)
	}
	k, repo := appliedKustomization(func(k *kustomizev1.Kustomization) {
		k.Spec.HealthCheckExprs = []kustomize.CustomHealthCheck{{APIVersion: "v1", Kind: "a"}}
		k.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "a"}}
	}), sourcev1.OCIRepository{}
	repo.Spec.URL, repo.Spec.Reference = "oci://", &sourcev1.OCIRepositoryRef{Tag: "a", Digest: "a", SemVer: "a", SemverFilter: "a"}
	repo.Status.Artifact = &meta.Artifact{Revision: "a", Metadata: map[string]string{"a": "b"}}
	policy, images := imagev1.ImagePolicy{}, imagev1.ImageRepository{}
	policy.Spec.FilterTags, policy.Spec.Policy.SemVer = &imagev1.TagFilter{Pattern: "a", Extract: "a"}, &imagev1.SemVerPolicy{Range: "a"}
	policy.Status.LatestRef, policy.Status.ObservedPreviousRef = &imagev1.ImageRef{Name: "a", Tag: "a", Digest: "a"}, &imagev1.ImageRef{Name: "a"}
	images.Spec.Image, images.Spec.SecretRef = "a", &meta.LocalObjectReference{Name: "a"}
	images.Spec.ExclusionList, images.Status.CanonicalImageName = []string{"a"}, "a"
	for _, o := range []client.Object{&k, &repo, &policy, &images} {
		whole, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"spec", "status"} {
			fields, ok := whole[part].(map[string]any)
			if !ok {
				t.Fatalf("%T has no %s", o, part)
			}
			delete(fields, "interval")
			delete(fields, "conditions")
			if artifact, ok := fields["artifact"].(map[string]any); ok {
				delete(artifact, "lastUpdateTime")
			}
			fill(fields, large)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(whole, o); err != nil {
			t.Fatalf("%T: %v", o, err)
		}
		o.SetLabels(labels)
		o.SetFinalizers([]string{large})
		o.SetOwnerReferences([]metav1.OwnerReference{{Name: large}})
		once := trimmedJSON(t, o)
		if len(once) > 24<<10 {
			t.Errorf("%T takes %d bytes", o, len(once))
		}
		if twice := trimmedJSON(t, o); once != twice {
			t.Errorf("%T is another when it is trimmed again:\n%s", o, cmp.Diff(once, twice))
		}
	}
}

func trimmedJSON(t *testing.T, o client.Object) string {
	t.Helper()
	Trim(o)
	if _, err := kube.TrimMetadata(o); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTextsThatAreCutStayDifferent(t *testing.T) {
	t.Parallel()
	same := strings.Repeat("x", maxText)
	if a, b := truncate(same+"a", maxText), truncate(same+"b", maxText); a == b || len(a) > maxText || truncate(a, maxText) != a {
		t.Errorf("%q, %q", a, b)
	}
	if truncate(same, maxText) != same {
		t.Error("a text that is short enough was cut")
	}
}

// paging is an API server that pages lists of Kustomizations, and notes how large the pages are.
type paging struct {
	client.Reader
	all   []kustomizev1.Kustomization
	pages []int
}

func (p *paging) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	kustomizations, ok := list.(*kustomizev1.KustomizationList)
	if !ok {
		return nil
	}
	from := 0
	if o.Continue != "" {
		var err error
		if from, err = strconv.Atoi(o.Continue); err != nil {
			return err
		}
	}
	to := min(from+int(o.Limit), len(p.all))
	p.pages = append(p.pages, to-from)
	for _, k := range p.all[from:to] {
		kustomizations.Items = append(kustomizations.Items, *k.DeepCopy())
	}
	if to < len(p.all) {
		kustomizations.Continue = strconv.Itoa(to)
	}
	return nil
}

// What is read past the cache is trimmed as it arrives, and only a page of it is whole.
func TestALiveListIsReadInPages(t *testing.T) {
	t.Parallel()
	server := &paging{}
	for i := range 35 {
		server.all = append(server.all, appliedKustomization(func(k *kustomizev1.Kustomization) {
			k.Name = fmt.Sprint("k", i)
			k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: make([]kustomizev1.ResourceRef, 100)}
			if i%2 == 1 {
				k.Annotations[fromAnnotation("VERSION")] = "other"
			}
		}))
	}
	reader := Reader{Reader: server, Live: true, Pages: fair.NewSlots(1)}
	w, err := reader.TargetObjects(t.Context(), "ns", "app")
	if err != nil || len(w.Kustomizations) != 18 {
		t.Fatalf("%d Kustomizations, %v", len(w.Kustomizations), err)
	}
	if diff := cmp.Diff([]int{10, 10, 10, 5}, server.pages); diff != "" {
		t.Error(diff)
	}
	for _, k := range w.Kustomizations {
		if k.Status.Inventory != nil || k.Status.LastAppliedRevision != revision {
			t.Errorf("%+v", k.Status)
		}
	}
}

// Where more objects ask for the version of a Rollout than may, none of them gets it, and each says why.
func TestTooManyTargetsHoldTheRelease(t *testing.T) {
	t.Parallel()
	for n, held := range map[int]bool{mostObjects: false, mostObjects + 10: true} {
		server := &paging{}
		for i := range n {
			server.all = append(server.all, appliedKustomization(func(k *kustomizev1.Kustomization) { k.Name = fmt.Sprint("k", i) }))
		}
		w, err := Reader{Reader: server, Live: true}.TargetObjects(t.Context(), "ns", "app")
		if err != nil || len(w.Kustomizations) > mostObjects+1 {
			t.Fatalf("%d Kustomizations, %v", len(w.Kustomizations), err)
		}
		for _, target := range Targets(w, desired) {
			if says := target.Problem == "more than 500 Flux objects take their version from Rollout app: use more than one Rollout"; says != held || target.Applied == held {
				t.Fatalf("of %d: %+v", n, target)
			}
		}
	}
}

// TestATrimmedKustomizationSaysTheSame: what a tenant may put into a Kustomization costs no memory, and nothing is judged differently.
func TestATrimmedKustomizationSaysTheSame(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 250<<10)
	whole := appliedKustomization(func(k *kustomizev1.Kustomization) {
		k.Spec.Wait = true
		k.Spec.Patches = []kustomize.Patch{{Patch: large}}
		k.Spec.Images = []kustomize.Image{{Name: large}}
		k.Spec.Components = []string{large}
		k.Spec.CommonMetadata = &kustomizev1.CommonMetadata{Annotations: map[string]string{"a": large}}
		k.Spec.PostBuild.Substitute["OTHER"] = large
		k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "ns_db_apps_Deployment", Version: "v1"}}}
	})
	trimmed := whole.DeepCopy()
	Trim(trimmed)
	data, err := json.Marshal(trimmed)
	if err != nil || len(data) > 2<<10 {
		t.Errorf("it takes %d bytes, %v", len(data), err)
	}
	same := stateOf(&whole)
	same.Inventory = nil // it is read when it is needed
	if diff := cmp.Diff(same, stateOf(trimmed)); diff != "" {
		t.Error(diff)
	}
	before, after := TargetObjects{Kustomizations: []kustomizev1.Kustomization{whole}}, TargetObjects{Kustomizations: []kustomizev1.Kustomization{*trimmed}}
	if diff := cmp.Diff(Targets(before, desired), Targets(after, desired)); diff != "" {
		t.Error(diff)
	}
	if targets := Targets(after, desired); len(targets) != 1 || !targets[0].Applied {
		t.Errorf("%+v", targets)
	}
	empty := &kustomizev1.Kustomization{}
	Trim(empty)
	Trim(&corev1.Pod{})
	if empty.Spec.PostBuild != nil {
		t.Error("it has variables now")
	}
}
