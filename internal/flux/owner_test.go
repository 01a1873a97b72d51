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

// server is a fake API server with managed fields, and one object that a parent Kustomization applies.
type server struct {
	t *testing.T
	client.Client
	// kind of the object.
	kind string
	// writes counts the patches of Kuberik.
	writes int
}

func newServer(t *testing.T, kind string) *server {
	t.Helper()
	s := runtime.NewScheme()
	if err := AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	return &server{t: t, kind: kind, Client: fake.NewClientBuilder().WithScheme(s).WithReturnManagedFields().Build()}
}

// manifest returns the manifest of the object. A non-empty value sets the field that the Rollout writes.
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

// apply does what kustomize-controller does at every interval: it skips some objects, and applies the manifest if a
// dry run shows a difference.
func (s *server) apply(manager string, manifest *unstructured.Unstructured) {
	s.t.Helper()
	stored := manifest.DeepCopy()
	found := s.Get(s.t.Context(), client.ObjectKeyFromObject(manifest), stored) == nil
	if SkipMarker(manifest) != "" || found && (SkipMarker(stored) != "" || strings.EqualFold(manifest.GetAnnotations()[annotationApply], "IfNotPresent")) {
		return
	}
	dryRun := manifest.DeepCopy()
	apply := func(o *unstructured.Unstructured, opts ...client.ApplyOption) {
		s.t.Helper()
		opts = append(opts, client.FieldOwner(manager), client.ForceOwnership)
		if err := s.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(o), opts...); err != nil {
			s.t.Fatal(err)
		}
	}
	apply(dryRun, client.DryRunAll)
	if found && reflect.DeepEqual(dryRun.Object["spec"], stored.Object["spec"]) && maps.Equal(dryRun.GetAnnotations(), stored.GetAnnotations()) {
		return
	}
	apply(manifest.DeepCopy())
}

// targets returns the targets of the Rollout, which must be the same for the stored and the cached object.
func (s *server) targets(d Desired) []release.Target {
	s.t.Helper()
	var seen [2][]release.Target
	for i := range seen {
		var objects TargetObjects
		switch key := (types.NamespacedName{Namespace: "ns", Name: "k"}); s.kind {
		case kustomizev1.KustomizationKind:
			objects.Kustomizations = make([]kustomizev1.Kustomization, 1)
			s.get(key, &objects.Kustomizations[0], i == 1)
		default:
			objects.Repositories = make([]sourcev1.OCIRepository, 1)
			s.get(key, &objects.Repositories[0], i == 1)
		}
		seen[i] = Targets(objects, d)
	}
	if !reflect.DeepEqual(seen[0], seen[1]) {
		s.t.Fatalf("targets from the cache %+v, from the API server %+v", seen[1], seen[0])
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
		Trim(o) // a cache may trim an object twice
	}
}

// rollout writes a version as the Rollout controller does, unless a target has a problem.
func (s *server) rollout(tag string) {
	s.t.Helper()
	d := Desired{Rollout: "app", Token: "token-" + tag, Version: v1alpha1.VersionInfo{Tag: tag}}
	targets := s.targets(d)
	if len(groupByObject(targets, release.Pin{Version: d.Version})) == 0 {
		return
	}
	s.writes++
	if err := (Pinner{Client: s}).Pin(s.t.Context(), "ns", targets, release.Pin{Version: d.Version, Token: d.Token}); err != nil {
		s.t.Fatal(err)
	}
}

// edit sets the value once, as a user does. An empty value removes the field.
func (s *server) edit(manager, value string) {
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

// TestCompetingManagers: other field managers write the field of a Rollout, and the Rollout reacts.
func TestCompetingManagers(t *testing.T) {
	t.Parallel()
	const flux, argo, helm = fluxManager, "argocd-controller", "helm-controller"
	annotated := func(value string) map[string]string { return map[string]string{annotationApply: value} }
	for name, c := range map[string]struct {
		run func(s *server)
		// problem, value and writes are the expected result: the reported problem, the value of the field, and how
		// often Kuberik wrote.
		problem, value string
		writes         int
	}{
		"the manifest does not set it": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			for range 3 {
				s.rollout("1.1.0")
				s.apply(flux, s.manifest("", nil))
			}
		}, "", "1.1.0", 1},
		"the manifest sets it from the start": {func(s *server) {
			for range 3 {
				s.apply(flux, s.manifest("1.0.0", nil))
				s.rollout("1.1.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"the manifest sets the same version": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", nil))
			s.rollout("1.0.0")
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"added to the manifest later": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			for range 3 {
				s.apply(flux, s.manifest("1.0.0", nil))
				s.rollout("1.1.0")
				s.rollout("1.2.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 1},
		"removed from the manifest again": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.apply(flux, s.manifest("", nil))
		}, "", "1.1.0", 1},
		"both set the same value": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.apply(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
		"both set the same value, until the next version": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			for range 3 {
				s.apply(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
				s.rollout("1.2.0")
			}
			s.apply(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
		}, "Kustomization flux-system/apps also writes ", "1.1.0", 2},
		"both set the same value, then removed from the manifest": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.apply(flux, s.manifest("1.1.0", map[string]string{"note": "another change"}))
			s.apply(flux, s.manifest("", map[string]string{"note": "another change"}))
			s.rollout("1.2.0")
			s.apply(flux, s.manifest("", map[string]string{"note": "another change"}))
		}, "", "1.2.0", 2},
		"a user edits it": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edit("kubectl-edit", "9.9.9")
			s.rollout("1.1.0")
			s.rollout("1.1.0")
		}, "", "1.1.0", 2},
		"a user removes a field that nobody applies": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
			s.edit("kubectl-patch", "")
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
		"a user removes a field that is applied": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", nil))
			s.edit("kubectl-patch", "")
			for range 3 {
				s.rollout("1.1.0")
				s.apply(flux, s.manifest("1.0.0", nil))
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 1},
		"IfNotPresent": {func(s *server) {
			for range 3 {
				s.apply(flux, s.manifest("1.0.0", annotated("IfNotPresent")))
				s.rollout("1.1.0")
			}
		}, "", "1.1.0", 1},
		"IfNotPresent in lower case": {func(s *server) {
			for range 3 {
				s.apply(flux, s.manifest("1.0.0", annotated("ifnotpresent")))
				s.rollout("1.1.0")
			}
		}, "", "1.1.0", 1},
		"IfNotPresent added by a user": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", nil))
			o := s.manifest("", nil)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+annotationApply+`":"IfNotPresent"}}}`))
			if err := s.Patch(s.t.Context(), o, patch, client.FieldOwner("node-fetch")); err != nil {
				s.t.Fatal(err)
			}
			s.rollout("1.1.0")
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"Merge": {func(s *server) {
			for range 3 {
				s.apply(flux, s.manifest("1.0.0", annotated("Merge")))
				s.rollout("1.1.0")
			}
		}, "Kustomization flux-system/apps also writes ", "1.0.0", 0},
		"Ignore added later":       {func(s *server) { s.skip(annotationApply, "Ignore") }, "", "1.1.0", 1},
		"reconcile disabled later": {func(s *server) { s.skip("kustomize.toolkit.fluxcd.io/reconcile", "disabled") }, "", "1.1.0", 1},
		"Argo CD applies it": {func(s *server) {
			for range 3 {
				s.apply(argo, s.manifest("1.0.0", annotated("Ignore-is-not-for-Argo")))
				s.rollout("1.1.0")
			}
		}, argo + " also writes ", "1.0.0", 0},
		"Argo CD updates it": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edit(argo, "1.0.0")
			s.rollout("1.1.0")
			s.rollout("1.2.0")
		}, argo + " also writes ", "1.0.0", 1},
		"Helm corrects drift": {func(s *server) {
			s.apply(flux, s.manifest("", nil))
			s.rollout("1.1.0")
			s.edit(helm, "1.0.0")
			s.rollout("1.1.0")
		}, helm + " also writes ", "1.0.0", 1},
		"Flux skips it, Argo CD does not": {func(s *server) {
			s.apply(flux, s.manifest("1.0.0", annotated("IfNotPresent")))
			s.apply(argo, s.manifest("1.0.0", map[string]string{"note": "another change"}))
			s.rollout("1.1.0")
		}, argo + " also writes ", "1.0.0", 0},
		"the published controller applied it": {func(s *server) {
			s.apply("rollout-controller", s.manifest("1.0.0", nil))
			s.rollout("1.1.0")
		}, "", "1.1.0", 1},
	} {
		for _, kind := range []string{kustomizev1.KustomizationKind, sourcev1.OCIRepositoryKind} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, kind)
				c.run(s)
				got := s.targets(desired)[0]
				sameProblem := strings.HasPrefix(got.Problem, c.problem) && (got.Problem == "") == (c.problem == "")
				if !sameProblem || got.Value != c.value || s.writes != c.writes {
					t.Errorf("problem %q, value %s after %d writes; want %q, %s, %d",
						got.Problem, got.Value, s.writes, c.problem, c.value, c.writes)
				}
			})
		}
	}
}

// skip annotates an object whose manifest sets the version, so that Flux skips it.
func (s *server) skip(key, value string) {
	s.apply(fluxManager, s.manifest("1.0.0", nil))
	s.rollout("1.1.0")
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value))
	if err := s.Patch(s.t.Context(), s.manifest("", nil), patch, client.FieldOwner("kubectl-annotate")); err != nil {
		s.t.Fatal(err)
	}
	for range 3 {
		s.apply(fluxManager, s.manifest("1.0.0", nil))
		s.rollout("1.1.0")
	}
}

// TestCompetingManagersOfADigest: only the field that Flux follows matters.
func TestCompetingManagersOfADigest(t *testing.T) {
	t.Parallel()
	for field, problem := range map[string]bool{fieldTag: false, fieldDigest: true} {
		repo := source(func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "digest"
			r.ManagedFields = []metav1.ManagedFieldsEntry{managedFields(fluxManager, "Apply", `{"f:spec":{"f:ref":{"f:`+field+`":{}}}}`)}
		})
		if got := Targets(repo, desired)[0].Problem; (got != "") != problem || problem && !strings.Contains(got, "spec.ref."+field) {
			t.Errorf("%s: %q", field, got)
		}
	}
}

func managedFields(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, FieldsV1: metav1.NewFieldsV1(fields)}
}

func TestConflictMessage(t *testing.T) {
	t.Parallel()
	for manager, message := range map[string]string{
		fluxManager:               "kustomize-controller also writes spec.postBuild.substitute.VERSION and restores its own value: remove the field from the manifest in Git",
		"helm-controller":         "helm-controller also writes spec.postBuild.substitute.VERSION and restores its own value: remove the field from the chart",
		strings.Repeat("x\n", 64): "remove the field from what it applies",
	} {
		k := appliedKustomization(func(k *kustomizev1.Kustomization) {
			k.ManagedFields = []metav1.ManagedFieldsEntry{managedFields(manager, "Apply", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{}}}}}`)}
		})
		got := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{k}}, desired)[0]
		if !strings.HasSuffix(got.Problem, message) || len(got.Problem) > 256 || got.Applied {
			t.Errorf("applied %t, %q", got.Applied, got.Problem)
		}
	}
}

// TestTrimLimitsManagedFields: any number of field managers takes as much memory as one.
func TestTrimLimitsManagedFields(t *testing.T) {
	t.Parallel()
	k, repo := appliedKustomization(), source(func(*sourcev1.OCIRepository, *kustomizev1.Kustomization) {}).Repositories[0]
	for i := range 2000 {
		manager := fmt.Sprint("manager-", i)
		k.ManagedFields = append(k.ManagedFields, managedFields(manager, "Apply", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{},"f:OTHER":{}}},"f:path":{}}}`),
			managedFields(manager, "Update", `{"f:spec":{"f:postBuild":{"f:substitute":{"f:VERSION":{}}}}}`), managedFields(manager, "Apply", `broken`))
		repo.ManagedFields = append(repo.ManagedFields, managedFields(manager, "Apply", `{"f:spec":{"f:ref":{"f:tag":{},"f:semver":{}},"f:url":{}}}`))
	}
	for _, o := range []client.Object{&k, &repo} {
		Trim(o)
		data, err := json.Marshal(o.GetManagedFields())
		if err != nil || len(data) > 256 || len(o.GetManagedFields()) != 1 {
			t.Errorf("%T keeps %d bytes: %.300s, %v", o, len(data), data, err)
		}
	}
}
