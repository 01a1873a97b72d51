package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/test/env"
)

// The tests of this file change the whole cluster. They are not parallel.

// TestAPIServerDiesInTheMiddleOfABake: the API server restarts. The controllers watch every namespace, as after an
// installation.
//
//nolint:paralleltest // it kills the API server
func TestAPIServerDiesInTheMiddleOfABake(t *testing.T) {
	w := env.New(t)
	m := w.Run(func(s *controller.Settings) { s.Namespaces = nil })
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.Bake("3s", "1h"))
	w.AwaitPhase(ro, v1alpha1.PhaseBaking, "1.0.0")
	start := ro.Status.History[0].BakeStartTime
	if err := w.Plane.Kill(component.APIServer); err != nil {
		t.Fatal(err)
	}
	if err := w.Plane.Restart(w.Ctx(), component.APIServer); err != nil {
		t.Fatal(err)
	}
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	if e := ro.Status.History[0]; !e.BakeStartTime.Equal(start) || e.BakeEndTime.Sub(start.Time) < 3*time.Second {
		t.Errorf("the bake from %s became one from %s to %s", start, e.BakeStartTime, e.BakeEndTime)
	}
	w.Eventually("the next release goes out", func() error {
		w.Select("app", "1.1.0", env.Digest("1.1.0"))
		return nil
	})
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	wantTags(t, ro, "1.1.0", "1.0.0")
	if err := m.Stop(); err != nil {
		t.Error(err)
	}
}

// TestInvalidObjectsHarmOnlyThemselves stores objects that an older schema accepted.
//
//nolint:paralleltest // it changes a CRD for a while
func TestInvalidObjectsHarmOnlyThemselves(t *testing.T) {
	w := env.New(t)
	values := strings.Repeat("a, ", 300)
	permissive(w, "rollouts.kuberik.com", rolloutWith("bakeTime: forever"), func() {
		for _, spec := range []string{
			"{releasesImagePolicy: {name: app}, bakeTime: 9999999999999999999h}",
			"{releasesImagePolicy: {name: app}, deployTimeout: -5m}",
			"{releasesImagePolicy: {name: app}, wantedVersion: 'not a tag'}",
			"{releasesImagePolicy: {name: app}, healthCheckSelector: {selector: {matchExpressions: [{key: 'a b', operator: Near}]}}}",
			"{releasesImagePolicy: {name: app}, healthCheckSelector: {selector: {matchExpressions: [{key: a, operator: NotIn, values: [" + values + "]}]}}}",
		} {
			poison := parse(w, "kind: Rollout\nmetadata: {generateName: poison-}\nspec: "+spec)
			w.Eventually("the permissive schema is served", func() error { return w.Admin.Create(w.Ctx(), poison.DeepCopy()) })
		}
	})
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Check("check", "test", "nobody")
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")

	var list v1alpha1.RolloutList
	w.Eventually("each reports its mistake", func() error {
		list = v1alpha1.RolloutList{}
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil {
			return err
		}
		for i := range list.Items {
			ro := &list.Items[i]
			if ro.Name != "app" && !slices.ContainsFunc(ro.Status.BlockedBy, func(b v1alpha1.Blocker) bool {
				return b.Reason == v1alpha1.ReasonInvalidSpec || b.Reason == v1alpha1.ReasonNoChecks || b.Reason == v1alpha1.ReasonNoTargets
			}) {
				return fmt.Errorf("%v is blocked by %+v", ro.Spec, ro.Status.BlockedBy)
			}
		}
		return nil
	})
	if len(list.Items) != 6 {
		t.Errorf("there are %d Rollouts", len(list.Items))
	}
}

// loosen removes the constraints on values from a schema.
func loosen(schema any) {
	m, ok := schema.(map[string]any)
	if !ok {
		return
	}
	for key, value := range m {
		_, list := value.([]any)
		_, number := value.(int64)
		if list && slices.Contains([]string{"enum", "x-kubernetes-validations"}, key) || number && slices.Contains([]string{"maxItems", "maxLength", "maxProperties"}, key) {
			delete(m, key)
		}
		loosen(value)
	}
}

// permissive loosens the schema of a kind for a while. The manifest bad is rejected only by the strict schema.
func permissive(w *env.World, name, bad string, during func()) {
	w.T.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	crd.SetName(name)
	w.Get(crd)
	strict, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		w.T.Fatal(err)
	}
	patch := func(versions []any) error {
		fresh := &unstructured.Unstructured{}
		fresh.SetGroupVersionKind(crd.GroupVersionKind())
		fresh.SetName(name)
		if err := w.Admin.Get(w.Ctx(), client.ObjectKeyFromObject(fresh), fresh); err != nil {
			return err
		}
		if err := unstructured.SetNestedSlice(fresh.Object, versions, "spec", "versions"); err != nil {
			return err
		}
		return w.Admin.Update(w.Ctx(), fresh)
	}
	loose := crd.DeepCopy()
	versions, _, err := unstructured.NestedSlice(loose.Object, "spec", "versions")
	if err != nil {
		w.T.Fatal(err)
	}
	version, ok := versions[0].(map[string]any)
	if !ok {
		w.T.Fatal("no version")
	}
	loosen(version["schema"])
	if err := patch(versions); err != nil {
		w.T.Fatal(err)
	}
	during()
	if err := patch(strict); err != nil {
		w.T.Fatal(err)
	}
	w.Eventually("the strict schema is served", func() error {
		probe := parse(w, bad)
		probe.SetName("probe")
		if err := w.Admin.Create(w.Ctx(), probe, client.DryRunAll); err == nil {
			return errors.New("it is not")
		}
		return nil
	})
}
