package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// TestEvidenceOfFlux checks with Flux what counts as evidence that it has applied a version.
func TestEvidenceOfFlux(t *testing.T) {
	w := start(t)
	for name, test := range map[string]func(*testing.T, *app){
		"a suspended Kustomization holds":    suspendedHolds,
		"workloads that do not start hold":   unstartedHolds,
		"a Deployment that Flux skips holds": skippedHolds,
		"a Rollout in its own Kustomization": ownKustomization,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.app(t))
		})
	}
}

// app is an application in a namespace of its own.
type app struct {
	*cluster
	namespace string
}

func (w *cluster) app(t *testing.T) *app {
	t.Helper()
	_, name, _ := strings.Cut(t.Name(), "/")
	own := *w
	own.t = t
	return &app{cluster: &own, namespace: strings.ToLower(strings.ReplaceAll(name, "_", "-"))}
}

// deployment is the manifest of most tests. Version 9.9.9 never becomes ready.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  namespace: %[2]s
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels: {app: app}
      annotations:
        devplane.kuberik.com/never-ready-tags: "9.9.9"
    spec:
      containers:
        - name: app
          image: "%[1]s/%[2]s:${VERSION}"
`

const surroundings = `
apiVersion: v1
kind: Namespace
metadata: {name: %[2]s}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: %[2]s}
spec: {image: %[1]s/%[2]s, interval: 1s, insecure: true}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: %[2]s}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: ">=1.0.0"}}
  digestReflectionPolicy: Always
  interval: 1s
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: app, namespace: %[2]s}
spec: {url: "oci://%[1]s/%[2]s-manifests", interval: 1m, insecure: true, ref: {tag: latest}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: app
  namespace: %[2]s
  annotations: {rollout.kuberik.com/substitute.VERSION.from: app}
spec:
  sourceRef: {kind: OCIRepository, name: app}
  interval: 1m
  timeout: 20s
  prune: true
`

const rollout = `
apiVersion: kuberik.com/v1alpha1
kind: Rollout
metadata: {name: app, namespace: %[2]s}
spec:
  releasesImagePolicy: {name: app}
  bakeTime: 1s
`

// publish pushes manifests and the first version, and applies the objects of Flux and Kuberik. In all of them %[1]s is
// the registry and %[2]s the namespace.
func (a *app) publish(manifests string, objects ...string) {
	a.t.Helper()
	a.publishWith(surroundings, manifests, objects...)
}

func (a *app) publishWith(around, manifests string, objects ...string) {
	a.t.Helper()
	_, err := artifact.PushManifests(a.t.Context(), artifact.Manifests{
		Reference: a.plane.Registry() + "/" + a.namespace + "-manifests:latest",
		Files:     map[string]string{"app.yaml": fmt.Sprintf(manifests, a.plane.Registry(), a.namespace)},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.push("1.0.0")
	for _, o := range append([]string{around}, objects...) {
		a.apply(fmt.Sprintf(o+"\n# %[1]s %[2]s\n", a.plane.Registry(), a.namespace))
	}
}

func (a *app) push(tag string) {
	a.t.Helper()
	if _, err := artifact.PushImage(a.t.Context(), artifact.Image{Reference: a.plane.Registry() + "/" + a.namespace + ":" + tag}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *app) get(name string, obj client.Object) {
	a.t.Helper()
	if err := a.client.Get(a.t.Context(), types.NamespacedName{Namespace: a.namespace, Name: name}, obj); err != nil {
		a.t.Fatal(err)
	}
}

func (a *app) patch(obj client.Object, patch string) {
	a.t.Helper()
	if err := a.client.Patch(a.t.Context(), obj, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		a.t.Fatal(err)
	}
}

// state describes the Rollout of the application for the message of a failed test.
func (a *app) state() (*v1alpha1.Rollout, string) {
	a.t.Helper()
	var ro v1alpha1.Rollout
	a.get("app", &ro)
	return &ro, fmt.Sprintf("%s %s, blocked by %+v", ro.Status.CurrentVersion, ro.Status.Phase, ro.Status.BlockedBy)
}

func (a *app) available(tag string) {
	a.t.Helper()
	a.eventually(tag+" is Available", time.Minute, func() (bool, string) {
		ro, state := a.state()
		return ro.Status.CurrentVersion == tag && ro.Status.Phase == v1alpha1.PhaseAvailable, state
	})
	var d appsv1.Deployment
	a.get("app", &d)
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+tag) {
		a.t.Errorf("%s is Available, and the Deployment runs %s", tag, image)
	}
}

// held waits until a release is held for a reason, and checks that it stays held.
func (a *app) held(tag, reason, says string) {
	a.t.Helper()
	holds := func() (bool, string) {
		ro, state := a.state()
		b := ro.Status.BlockedBy
		return ro.Status.CurrentVersion == tag && ro.Status.Phase == v1alpha1.PhaseDeploying && len(b) > 0 && b[0].Reason == reason &&
			strings.Contains(b[0].Message, says), state
	}
	a.eventually(tag+" is held by "+reason, time.Minute, holds)
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if held, state := holds(); !held {
			a.t.Fatalf("%s is not held any more: %s", tag, state)
		}
	}
}

func suspendedHolds(t *testing.T, a *app) {
	t.Helper()
	a.publish(deployment, rollout)
	a.available("1.0.0")
	var k kustomizev1.Kustomization
	a.get("app", &k)
	a.patch(&k, `{"spec":{"suspend":true}}`)
	a.push("1.1.0")
	a.eventually("Flux has seen the request", time.Minute, func() (bool, string) {
		a.get("app", &k)
		request, handled := k.Annotations[meta.ReconcileRequestAnnotation], k.Status.LastHandledReconcileAt
		return k.Spec.PostBuild.Substitute["VERSION"] == "1.1.0" && request == handled && k.Status.ObservedGeneration == k.Generation,
			fmt.Sprintf("request %s, handled %s, generation %d, observed %d", request, handled, k.Generation, k.Status.ObservedGeneration)
	})
	a.held("1.1.0", v1alpha1.ReasonTargetSuspended, "flux resume kustomization app --namespace "+a.namespace)
	a.patch(&k, `{"spec":{"suspend":false}}`)
	a.available("1.1.0")
}

// Flux is ready immediately, because the Kustomization has no spec.wait, and the pods of 1.0.0 keep serving.
func unstartedHolds(_ *testing.T, a *app) {
	a.publish(deployment, rollout)
	a.available("1.0.0")
	a.push("9.9.9")
	a.held("9.9.9", v1alpha1.ReasonWorkloadsNotReady, "Deployment "+a.namespace+"/app")
}

func skippedHolds(_ *testing.T, a *app) {
	a.publish(deployment, rollout)
	a.available("1.0.0")
	var d appsv1.Deployment
	a.get("app", &d)
	a.patch(&d, `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}}}`)
	a.push("1.1.0")
	a.held("1.1.0", v1alpha1.ReasonWorkloadsNotReady, "remove kustomize.toolkit.fluxcd.io/reconcile: disabled")
	a.patch(&d, `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":null}}}`)
	var k kustomizev1.Kustomization
	a.get("app", &k)
	a.patch(&k, `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"again"}}}`)
	a.available("1.1.0")
}

// ownCheck is the check of the application.
const ownCheck = `
apiVersion: kuberik.com/v1alpha1
kind: HealthCheck
metadata:
  name: app
  namespace: %[2]s
  labels: {app: app}
  annotations: {healthcheck.kuberik.com/kustomization: app}
spec: {class: kustomization, interval: 1s}
---
apiVersion: kuberik.com/v1alpha1
kind: RolloutGate
metadata: {name: approval, namespace: %[2]s}
spec: {rolloutRef: {name: app}}
`

// ownKustomization: the Kustomization with the version also applies the Rollout, its check and its gate, and waits for
// everything that it applies. They do not wait for each other forever, also while a gate holds the first release, and
// after a failed release.
func ownKustomization(t *testing.T, a *app) {
	t.Helper()
	checked := strings.Replace(rollout, "bakeTime: 1s", "bakeTime: 1s\n  deployTimeout: 60s\n  afterFailure: AllowNewer\n  healthCheckSelector: {selector: {matchLabels: {app: app}}}", 1)
	a.publish(strings.ReplaceAll(deployment, "${VERSION}", "${VERSION:-1.0.0}") + "---" + checked + "---" + ownCheck)
	var k kustomizev1.Kustomization
	a.get("app", &k)
	a.patch(&k, `{"spec":{"wait":true,"postBuild":{"substitute":{"ENVIRONMENT":"test"}}}}`)
	ready := func() {
		t.Helper()
		a.eventually("the Kustomization is Ready", time.Minute, func() (bool, string) {
			a.get("app", &k)
			c := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
			return c != nil && c.Status == "True" && c.ObservedGeneration == k.Generation, fmt.Sprintf("%+v", k.Status.Conditions)
		})
	}
	ready() // the first release waits at the gate
	gate := &v1alpha1.RolloutGate{}
	a.get("approval", gate)
	a.patch(gate, `{"spec":{"passing":true}}`)
	a.available("1.0.0")
	a.push("9.9.9") // never becomes ready
	a.eventually("9.9.9 has failed", 2*time.Minute, func() (bool, string) {
		ro, state := a.state()
		return ro.Status.CurrentVersion == "9.9.9" && ro.Status.Phase == v1alpha1.PhaseFailed, state
	})
	a.push("10.0.0")
	a.available("10.0.0")
	ready()
}
