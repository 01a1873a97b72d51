package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/test/env"
)

// awaitMessage waits until the message of a HealthCheck contains a text.
func awaitMessage(w *env.World, check *v1alpha1.HealthCheck, message string) {
	w.T.Helper()
	w.Await(check, fmt.Sprintf("reports %q", message), func() error {
		if m := check.Status.Message; m == nil || !strings.Contains(*m, message) {
			return fmt.Errorf("its message is %+v", check.Status)
		}
		return nil
	})
}

// enormous creates a Kustomization that is as large as the API server allows: its labels, its spec and its inventory.
func enormous(w *env.World, name string) {
	w.T.Helper()
	k := w.Kustomization(name, map[string]string{"OTHER": "another"})
	labels := map[string]string{}
	for i := range 1000 {
		labels[fmt.Sprintf("example.com/%050d", i)] = strings.Repeat("x", 60)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"labels": labels, "finalizers": []string{"example.com/" + strings.Repeat("x", 60)}},
		"spec":     map[string]any{"targetNamespace": "a", "path": strings.Repeat("x", 100<<10)},
	})
	if err != nil {
		w.T.Fatal(err)
	}
	w.Patch(k, string(patch))
	w.Apply(name, env.Inventory("v1", slices.Repeat([]string{"ns_" + strings.Repeat("x", 200) + "__ConfigMap"}, 3000)...))
}

// TestLargeInventoriesHoldTheRelease: an inventory that is too large is not evaluated, and the message says so. The
// objects of a release that fails are read from the API server, next to objects that take a megabyte each.
func TestLargeInventoriesHoldTheRelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	for i := range 12 {
		enormous(w, fmt.Sprint("enormous-", i))
	}
	w.Run(local)
	f := w.SimulateFlux()
	long := env.Inventory("v1", slices.Repeat([]string{w.Namespace + "_a__ConfigMap"}, 5001)...)
	f.Do(func(k *kustomizev1.Kustomization) {
		switch k.Name {
		case "app":
			long(k)
		case "slow":
			env.FailedWith("HealthCheckFailed")(k)
		}
	})
	app := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	const message = "its inventory has 5001 objects, and at most 5000 are evaluated: split it"
	awaitMessage(w, w.Check("app", v1alpha1.HealthClassKustomization, app.Name), message)
	w.Await(ro, "waits for the workloads", func() error {
		if len(ro.Status.Targets) != 1 || ro.Status.Targets[0].Applied || !strings.Contains(ro.Status.Targets[0].Message, message) {
			return fmt.Errorf("its targets are %+v", ro.Status.Targets)
		}
		return nil
	})
	w.Kustomization("slow", map[string]string{"VERSION": "slow"})
	w.Policy("slow", "1.0.0")
	w.AwaitPhase(w.Rollout("slow", env.Bake("", "1s")), v1alpha1.PhaseFailed, "1.0.0")

	bomb := w.Kustomization("bomb", nil)
	w.Patch(bomb, fmt.Sprintf(`{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"holder","kustomize.toolkit.fluxcd.io/namespace":%q}}}`, w.Namespace))
	w.Apply("bomb", env.Inventory("", make([]string, 50_001)...))
	w.Kustomization("holder", nil)
	w.Apply("holder", env.Inventory("v1", w.Namespace+"_bomb_kustomize.toolkit.fluxcd.io_Kustomization"))
	awaitMessage(w, w.Check("holder", v1alpha1.HealthClassKustomization, "holder"),
		"Kustomization "+w.Namespace+"/bomb cannot be evaluated: it holds more than 50000 objects and lists")
	awaitMessage(w, w.Check("bomb", v1alpha1.HealthClassKustomization, "bomb"), "Kustomization bomb cannot be evaluated: it holds more than 50000 objects and lists")
}

// TestLargeJobTemplateIsNotRun: the template is not even cached.
func TestLargeJobTemplateIsNotRun(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	raw := []byte(`{"spec":{"template":{"metadata":{"annotations":{"a":"` + strings.Repeat("y", 1_000_000) + `"}},"spec":{"containers":[]}}}}`)
	check := &v1alpha1.HealthCheck{ObjectMeta: w.Meta("large"), Spec: v1alpha1.HealthCheckSpec{
		Class: new(v1alpha1.HealthClassScript), Script: &v1alpha1.ScriptCheck{JobTemplate: &runtime.RawExtension{Raw: raw}},
	}}
	check.Labels = map[string]string{"app": "app"}
	w.Create(check)
	w.Rollout("app", env.WithHealthChecks, env.Bake("1s", "1h"))
	awaitMessage(w, check, "spec.script is larger than 64 KiB")
}

// TestTooManyEnvironmentsOfAGroupHold: one namespace of a group can create too many, which opens no gate.
func TestTooManyEnvironmentsOfAGroupHold(t *testing.T) {
	t.Parallel()
	list := stages(t, "staging", "production")
	staging, production := list["staging"], list["production"]
	for i := range cluster.MaxEnvironments + 20 {
		staging.Create(&environments.Environment{ObjectMeta: staging.Meta(fmt.Sprint("e-", i)), Spec: environments.EnvironmentSpec{
			RolloutRef: corev1.LocalObjectReference{Name: fmt.Sprint("r-", i)}, Name: "shop", Environment: fmt.Sprint("e-", i),
		}})
	}
	production.start(after("e-1"))
	production.Await(production.self, "says why it is not ready", func() error {
		if c := ready(production.self); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, fmt.Sprint(cluster.MaxEnvironments)) {
			return fmt.Errorf("its message is %+v", c)
		}
		return nil
	})
	stays(production.World, production.rollout, 0)
}

// TestObjectsWithManyLabelsAreRefused: the controller caches all labels of its own objects, because selectors use them.
func TestObjectsWithManyLabelsAreRefused(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	editor := w.As("editor", "kuberik-edit")
	labelled := func(n int) *v1alpha1.Rollout {
		ro := &v1alpha1.Rollout{ObjectMeta: w.Meta("app"), Spec: v1alpha1.RolloutSpec{ReleasesImagePolicy: corev1.LocalObjectReference{Name: "app"}}}
		ro.Labels = map[string]string{}
		for i := range n {
			ro.Labels[fmt.Sprint("example.com/", i)] = "a"
		}
		return ro
	}
	enforced(w, "kuberik-labels", func() error { return editor.Create(w.Ctx(), labelled(65), client.DryRunAll) })
	if err := editor.Create(w.Ctx(), labelled(64)); err != nil {
		t.Fatalf("64 labels are refused: %v", err)
	}
}
