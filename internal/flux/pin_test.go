package flux

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// pinTargets pins targets and returns the patches by the name of the object. Patching an object in fail returns its
// error.
func pinTargets(t *testing.T, targets []release.Target, pin release.Pin, fail map[string]error) (map[string]string, error) {
	t.Helper()
	s := runtime.NewScheme()
	if err := AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	sent := map[string]string{}
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(s).Build(), interceptor.Funcs{
		Patch: func(_ context.Context, _ client.WithWatch, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
			if err := fail[obj.GetName()]; err != nil {
				return err
			}
			body, err := patch.Data(obj)
			sent[obj.GetName()] = string(body)
			return err
		},
	})
	return sent, Pinner{Client: c}.Pin(t.Context(), "ns", targets, pin)
}

func TestPinWritesOnlyItsOwnKeys(t *testing.T) {
	t.Parallel()
	targets := []release.Target{
		{Kind: "Kustomization", Name: "done", Variable: "VERSION", Value: "1.1.0", Asked: true},
		{Kind: "Kustomization", Name: "drifted", Variable: "VERSION", Value: "x", Asked: true},
		{Kind: "Kustomization", Name: "partial", Variable: "A", Value: "1.1.0", Asked: true},
		{Kind: "Kustomization", Name: "partial", Variable: "B", Value: "1.0.0"},
		{Kind: "Kustomization", Name: "new", Variable: "A"},
		{Kind: "Kustomization", Name: "new", Variable: "B", Value: "1.0.0"},
		{Kind: "OCIRepository", Name: "overridden", Problem: "spec.ref.semver takes precedence"},
		{Kind: "OCIRepository", Name: "repo", Value: "1.0.0"},
	}
	sent, err := pinTargets(t, targets, release.Pin{Version: v1alpha1.VersionInfo{Tag: "1.1.0"}, Token: "uid/2/0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kustomizationPatch := func(variables ...string) map[string]any {
		annotations, values := map[string]any{"reconcile.fluxcd.io/requestedAt": "uid/2/0"}, map[string]any{}
		for _, v := range variables {
			annotations["rollout.kuberik.com/deployment."+v], values[v] = "uid/2/0", "1.1.0"
		}
		return map[string]any{"metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"postBuild": map[string]any{"substitute": values}}}
	}
	want := map[string]any{
		"drifted": kustomizationPatch("VERSION"), "partial": kustomizationPatch("B"), "new": kustomizationPatch("A", "B"),
		"repo": map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{"reconcile.fluxcd.io/requestedAt": "uid/2/0", "rollout.kuberik.com/deployment": "uid/2/0"}},
			"spec":     map[string]any{"ref": map[string]any{"tag": "1.1.0"}},
		},
	}
	got := map[string]any{}
	for name, body := range sent {
		var parsed any
		if err := json.Unmarshal([]byte(body), &parsed); err != nil {
			t.Fatal(err)
		}
		got[name] = parsed
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPinWritesTheFormOfEachTarget(t *testing.T) {
	t.Parallel()
	targets := []release.Target{
		{Kind: "Kustomization", Name: "k", Variable: "A", Form: version.FormTagDigest, Value: "1.1.0", Asked: true},
		{Kind: "Kustomization", Name: "k", Variable: "B", Form: version.FormDigest},
		{Kind: "Kustomization", Name: "k", Variable: "C"},
		{Kind: "OCIRepository", Name: "r", Form: version.FormDigest},
	}
	sent, err := pinTargets(t, targets, release.Pin{Version: v1alpha1.VersionInfo{Tag: "1.1.0", Digest: digest}, Token: "t"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string]string{
		"k": `"substitute":{"A":"1.1.0@` + digest + `","B":"` + digest + `","C":"1.1.0"}`,
		"r": `"ref":{"digest":"` + digest + `","tag":"1.1.0"}`,
	} {
		if !strings.Contains(sent[name], wanted) {
			t.Errorf("%s: the patch %s does not contain %s", name, sent[name], wanted)
		}
	}
	sent, err = pinTargets(t, targets, release.Pin{Version: v1alpha1.VersionInfo{Tag: "1.1.0"}, Token: "t"}, nil)
	if err != nil || sent["r"] != "" || strings.Contains(sent["k"], `"A"`) {
		t.Errorf("without a digest, sent %v, %v", sent, err)
	}
}

func TestPinRefusesInvalidTags(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"", "1.0\r  privileged: true", "a b", "${X}", strings.Repeat("a", 129)} {
		sent, err := pinTargets(t, []release.Target{{Kind: "Kustomization", Name: "k", Variable: "V"}}, release.Pin{Version: v1alpha1.VersionInfo{Tag: tag}}, nil)
		if err == nil || len(sent) > 0 {
			t.Errorf("%q: sent %v, %v", tag, sent, err)
		}
	}
}

func TestPinContinuesAfterTargetsThatFail(t *testing.T) {
	t.Parallel()
	targets := []release.Target{
		{Kind: "Kustomization", Name: "bad", Variable: "V"}, {Kind: "Kustomization", Name: "gone", Variable: "V"}, {Kind: "Kustomization", Name: "good", Variable: "V"},
	}
	boom := errors.New("boom")
	sent, err := pinTargets(t, targets, release.Pin{Version: v1alpha1.VersionInfo{Tag: "1.0.0"}, Token: "t"}, map[string]error{
		"bad": boom, "gone": apierrors.NewNotFound(schema.GroupResource{Resource: "kustomizations"}, "gone"),
	})
	if len(sent) != 1 || sent["good"] == "" {
		t.Errorf("sent %v", sent)
	}
	// A deleted object must not turn the failure of another one into a NotFound error, which ends the reconcile.
	if !errors.Is(err, boom) || apierrors.IsNotFound(err) || !strings.Contains(err.Error(), kustomizev1.KustomizationKind+` "bad"`) {
		t.Errorf("got error %v", err)
	}
}
