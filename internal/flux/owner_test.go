package flux

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
)

// server is an API server that records who owns which field, with a Kustomization and an OCIRepository that a parent Kustomization holds.
type server struct {
	t *testing.T
	client.Client
	// kind of the object that is written.
	kind string
	// writes of Kuberik that were made.
	writes int
}

func serve(t *testing.T, kind string) *server {
	t.Helper()
	s := runtime.NewScheme()
	if err := AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return &server{t: t, kind: kind, Client: fake.NewClientBuilder().WithScheme(s).WithReturnManagedFields().Build()}
}

// manifest is the object as a manifest has it, with a value for what the Rollout writes unless it is empty.
func (s *server) manifest(value string, metadata map[string]string) *unstructured.Unstructured {
	annotations := map[string]string{v1alpha1.AnnotationRollout: "app"}
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": sourcev1.GroupVersion.String(), "spec": map[string]any{"url": "oci://" + image}}}
	path := append([]string{}, refPath...)
	field := fieldTag
	if s.kind == kustomizev1.KustomizationKind {
		annotations = map[string]string{fromAnnotation("VERSION"): "app"}
		o.Object = map[string]any{"apiVersion": kustomizev1.GroupVersion.String(), "spec": map[string]any{"postBuild": map[string]any{"substitute": map[string]any{"APP": "app"}}}}
		path, field = append([]string{}, substitutePath...), "VERSION"
	}
	if value != "" {
		if err := unstructured.SetNestedField(o.Object, value, append(path, field)...); err != nil {
			s.t.Fatal(err)
		}
	}
	maps.Copy(annotations, metadata)
	o.SetKind(s.kind)
	o.SetNamespace("ns")
	o.SetName("k")
	o.SetAnnotations(annotations)
	o.SetLabels(map[string]string{labelName: "apps", labelNamespace: "flux-system"})
	return o
}

// applies does what kustomize-controller does at every interval: it leaves some objects alone, looks what would change, and applies the
// manifest if anything would.
func (s *server) applies(manager string, manifest *unstructured.Unstructured) {
	s.t.Helper()
	stored := manifest.DeepCopy()
	found := s.Get(s.t.Context(), client.ObjectKeyFromObject(manifest), stored) == nil
	if Skipped(manifest) != "" || found && (Skipped(stored) != "" || strings.EqualFold(manifest.GetAnnotations()[annotationApply], "IfNotPresent")) {
		return
	}
	would := manifest.DeepCopy()
	apply := func(o *unstructured.Unstructured, opts ...client.ApplyOption) {
		s.t.Helper()
		opts = append(opts, client.FieldOwner(manager), client.ForceOwnership)
		if err := s.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(o), opts...); err != nil {
			s.t.Fatal(err)
		}
	}
	apply(would, client.DryRunAll)
	if found && reflect.DeepEqual(would.Object["spec"], stored.Object["spec"]) && maps.Equal(would.GetAnnotations(), stored.GetAnnotations()) {
		return
	}
	apply(manifest.DeepCopy())
}

// targets are what the Rollout sees, once as it is stored and once as it is cached.
func (s *server) targets(w Want) []release.Target {
	s.t.Helper()
	var seen [2][]release.Target
	for i := range seen {
		var world World
		switch key := (types.NamespacedName{Namespace: "ns", Name: "k"}); s.kind {
		case kustomizev1.KustomizationKind:
			world.Kustomizations = make([]kustomizev1.Kustomization, 1)
			s.get(key, &world.Kustomizations[0], i == 1)
		default:
			world.Repositories = make([]sourcev1.OCIRepository, 1)
			s.get(key, &world.Repositories[0], i == 1)
		}
		seen[i] = Targets(world, w)
	}
	if !reflect.DeepEqual(seen[0], seen[1]) {
		s.t.Fatalf("the cache says %+v, the API server %+v", seen[1], seen[0])
	}
	return seen[0]
}

func (s *server) get(key types.NamespacedName, o client.Object, cached bool) {
	s.t.Helper()
	if err := s.Get(s.t.Context(), key, o); err != nil {
		s.t.Fatal(err)
	}
	if cached {
		Trim(o)
		Trim(o) // a cache may trim what it has trimmed
	}
}

// rollout hands a version over as the Rollout does, unless something keeps it from that.
func (s *server) rollout(tag string) {
	s.t.Helper()
	w := Want{Rollout: "app", Token: "token-" + tag, Version: v1alpha1.VersionInfo{Tag: tag}}
	targets := s.targets(w)
	if len(byObject(targets, release.Pin{Version: w.Version})) == 0 {
		return
	}
	s.writes++
	if err := (Pinner{Client: s}).Pin(s.t.Context(), "ns", targets, release.Pin{Version: w.Version, Token: w.Token}); err != nil {
		s.t.Fatal(err)
	}
}

// edits is a person who writes a value once, or removes it.
func (s *server) edits(manager, value string) {
	s.t.Helper()
	o := s.manifest("", nil)
	text := fmt.Sprintf("%q", value)
	if value == "" {
		text = "null"
	}
	patch := fmt.Sprintf(`{"spec":{"ref":{"tag":%s}}}`, text)
	if s.kind == kustomizev1.KustomizationKind {
		patch = fmt.Sprintf(`{"spec":{"postBuild":{"substitute":{"VERSION":%s}}}}`, text)
	}
	if err := s.Patch(s.t.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(manager)); err != nil {
		s.t.Fatal(err)
	}
}

// TestAnotherOwnerOfTheVersion plays what others do to the field that a Rollout writes, and what the Rollout does then.
func TestAnotherOwnerOfTheVersion(t *testing.T) {
	t.Parallel()
	const flux, argo, helm = fieldManager, "argocd-controller", "helm-controller"
	annotated := func(value string) map[string]string { return map[string]string{annotationApply: value} }
	for name, c := range map[string]struct {
		play func(s *server)
		// problem that is reported in the end, "" if there is none; value and writes are what the field holds then, and how often Kuberik wrote.
		problem, value string
		writes         int
	}{
		"the manifest does not hold it": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			for range 3 {
				s.rollout("1.1.0")
				s.applies(flux, s.manifest("", nil))
			}
		}, "", "1.1.0", 1},
		"the manifest holds it from the start": {func(s *server) {
			for range 3 {
				s.applies(flux, s.manifest("1.0.0", nil))
				s.rollout("1.1.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"the manifest holds the same version": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", nil))
			s.rollout("1.0.0")
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"it is put into the manifest later": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			for range 3 {
				s.applies(flux, s.manifest("1.0.0", nil))
				s.rollout("1.1.0")
				s.rollout("1.2.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 1},
		"it is taken out again": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.applies(flux, s.manifest("", nil))
		}, "", "1.1.0", 1},
		"both agree, and it changes with the next version": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.applies(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
		"both agreed, until the next version": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			for range 3 {
				s.applies(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
				s.rollout("1.2.0")
			}
			s.applies(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
		}, "Kustomization flux-system/apps also writes ", "1.1.0", 2},
		"both agreed, and it was taken out of the manifest": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.applies(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
			s.applies(flux, s.manifest("", map[string]string{"note": "another change"}))
			s.rollout("1.2.0")
			s.applies(flux, s.manifest("", map[string]string{"note": "another change"}))
		}, "", "1.2.0", 2},
		"a person edits it": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edits("kubectl-edit", "9.9.9")
			s.rollout("1.1.0")
			s.rollout("1.1.0")
		}, "", "1.1.0", 2},
		"a person removes what nobody applies any more": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
			s.edits("kubectl-patch", "")
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
		"a person removes what is still applied": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", nil))
			s.edits("kubectl-patch", "")
			for range 3 {
				s.rollout("1.1.0")
				s.applies(flux, s.manifest("1.0.0", nil))
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 1},
		"IfNotPresent": {func(s *server) {
			for range 3 {
				s.applies(flux, s.manifest("1.0.0", annotated("IfNotPresent")))
				s.rollout("1.1.0")
			}
		}, "", "1.1.0", 1},
		"IfNotPresent, in small letters": {func(s *server) {
			for range 3 {
				s.applies(flux, s.manifest("1.0.0", annotated("ifnotpresent")))
				s.rollout("1.1.0")
			}
		}, "", "1.1.0", 1},
		"IfNotPresent, which only a person has added": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", nil))
			o := s.manifest("", nil)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+annotationApply+`":"IfNotPresent"}}}`))
			if err := s.Patch(s.t.Context(), o, patch, client.FieldOwner("node-fetch")); err != nil {
				s.t.Fatal(err)
			}
			s.rollout("1.1.0")
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"Merge": {func(s *server) {
			for range 3 {
				s.applies(flux, s.manifest("1.0.0", annotated("Merge")))
				s.rollout("1.1.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"Ignore, added to what was applied":             {func(s *server) { s.leftAlone(annotationApply, "Ignore") }, "", "1.1.0", 1},
		"reconcile disabled, added to what was applied": {func(s *server) { s.leftAlone("kustomize.toolkit.fluxcd.io/reconcile", "disabled") }, "", "1.1.0", 1},
		"Argo CD applies it": {func(s *server) {
			for range 3 {
				s.applies(argo, s.manifest("1.0.0", annotated("Ignore-is-not-for-Argo")))
				s.rollout("1.1.0")
			}
		}, argo + " also writes ", "1.0.0", 0},
		"Argo CD updates it": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edits(argo, "1.0.0")
			s.rollout("1.1.0")
			s.rollout("1.2.0")
		}, argo + " also writes ", "1.0.0", 1},
		"Helm corrects it": {func(s *server) {
			s.applies(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edits(helm, "1.0.0")
			s.rollout("1.1.0")
		}, helm + " also writes ", "1.0.0", 1},
		"Flux leaves it alone, Argo CD does not": {func(s *server) {
			s.applies(flux, s.manifest("1.0.0", annotated("IfNotPresent")))
			s.applies(argo, s.manifest("1.0.0", map[string]string{"note": "another change"}))
			s.rollout("1.1.0")
		}, argo + " also writes ", "1.0.0", 0},
		"the published controller applied it": {func(s *server) {
			s.applies("rollout-controller", s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
	} {
		for _, kind := range []string{kustomizev1.KustomizationKind, sourcev1.OCIRepositoryKind} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := serve(t, kind)
				c.play(s)
				got := s.targets(want)[0]
				if !strings.HasPrefix(got.Problem, c.problem) || (got.Problem == "") != (c.problem == "") || got.Value != c.value || s.writes != c.writes {
					t.Errorf("%q, it holds %s after %d writes; want %q, %s, %d", got.Problem, got.Value, s.writes, c.problem, c.value, c.writes)
				}
			})
		}
	}
}

// leftAlone adds to an object, whose manifest holds the version, what makes Flux leave it alone.
func (s *server) leftAlone(key, value string) {
	s.applies(fieldManager, s.manifest("1.0.0", nil))
	s.rollout("1.1.0")
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value))
	if err := s.Patch(s.t.Context(), s.manifest("", nil), patch, client.FieldOwner("kubectl-annotate")); err != nil {
		s.t.Fatal(err)
	}
	for range 3 {
		s.applies(fieldManager, s.manifest("1.0.0", nil))
		s.rollout("1.1.0")
	}
}

// TestOwnersInTheFormOfADigest: only the field that Flux follows matters.
func TestOwnersInTheFormOfADigest(t *testing.T) {
	t.Parallel()
	for field, problem := range map[string]bool{fieldTag: false, fieldDigest: true} {
		repo := source(func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "digest"
			r.ManagedFields = []metav1.ManagedFieldsEntry{owning(fieldManager, "Apply", `{"f:spec":{"f:ref":{"f:`+field+`":{}}}}`)}
		})
		if got := Targets(repo, want)[0].Problem; (got != "") != problem || problem && !strings.Contains(got, "spec.ref."+field) {
			t.Errorf("%s: %q", field, got)
		}
	}
}

func owning(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: metav1.NewFieldsV1(fields)}
}

// TestTheMessageOfAnotherOwner says who and what to do, whatever the names are.
func TestTheMessageOfAnotherOwner(t *testing.T) {
	t.Parallel()
	for manager, says := range map[string]string{
		fieldManager:              "kustomize-controller also writes spec.postBuild.substitute.VERSION and puts its own value back: remove the field from the manifest in Git",
		"helm-controller":         "helm-controller also writes spec.postBuild.substitute.VERSION and puts its own value back: remove the field from the chart",
		strings.Repeat("x\n", 64): "remove the field from what it applies",
	} {
		k := carrying(func(k *kustomizev1.Kustomization) {
			k.ManagedFields = []metav1.ManagedFieldsEntry{owning(manager, "Apply", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{}}}}}`)}
		})
		got := Targets(World{Kustomizations: []kustomizev1.Kustomization{k}}, want)[0]
		if !strings.HasSuffix(got.Problem, says) || len(got.Problem) > 256 || got.Applied {
			t.Errorf("applied %t, %q", got.Applied, got.Problem)
		}
	}
}

// TestOwnersTakeNoMemory: as many field managers as somebody makes up cost as much as one.
func TestOwnersTakeNoMemory(t *testing.T) {
	t.Parallel()
	k, repo := carrying(), source(func(*sourcev1.OCIRepository, *kustomizev1.Kustomization) {}).Repositories[0]
	for i := range 2000 {
		manager := fmt.Sprint("manager-", i)
		k.ManagedFields = append(k.ManagedFields, owning(manager, "Apply", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{},"f:OTHER":{}}},"f:path":{}}}`),
			owning(manager, "Update", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{}}}}}`), owning(manager, "Apply", `broken`))
		repo.ManagedFields = append(repo.ManagedFields, owning(manager, "Apply", `{"f:spec":{"f:ref":{"f:tag":{},"f:semver":{}},"f:url":{}}}`))
	}
	for _, o := range []client.Object{&k, &repo} {
		Trim(o)
		data, err := json.Marshal(o.GetManagedFields())
		if err != nil || len(data) > 256 || len(o.GetManagedFields()) != 1 {
			t.Errorf("%T keeps %d bytes: %.300s, %v", o, len(data), data, err)
		}
	}
}
