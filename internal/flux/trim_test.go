package flux

import (
	"encoding/json"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestTrimKeepsWhatIsEvaluated: trimming removes the large fields of a Kustomization and changes no result.
func TestTrimKeepsWhatIsEvaluated(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 250<<10)
	full := appliedKustomization(func(k *kustomizev1.Kustomization) {
		k.Spec.Wait = true
		k.Spec.Patches = []kustomize.Patch{{Patch: large}}
		k.Spec.Images = []kustomize.Image{{Name: large}}
		k.Spec.Components = []string{large}
		k.Spec.CommonMetadata = &kustomizev1.CommonMetadata{Annotations: map[string]string{"a": large}}
		k.Spec.PostBuild.Substitute["OTHER"] = large
		k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "ns_db_apps_Deployment", Version: "v1"}}}
	})
	trimmed := full.DeepCopy()
	Trim(trimmed)
	data, err := json.Marshal(trimmed)
	if err != nil || len(data) > 2<<10 {
		t.Errorf("the trimmed Kustomization has %d bytes, %v", len(data), err)
	}
	if diff := cmp.Diff(stateOf(&full), stateOf(trimmed)); diff != "" {
		t.Error(diff)
	}
	before := TargetObjects{Kustomizations: []kustomizev1.Kustomization{full}}
	after := TargetObjects{Kustomizations: []kustomizev1.Kustomization{*trimmed}}
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
		t.Error("trimming added spec.postBuild")
	}
}
