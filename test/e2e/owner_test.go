package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// TestSetupOnFlux checks with Flux that a wrong set-up holds a release, and that the release continues once it is
// corrected.
func TestSetupOnFlux(t *testing.T) {
	w := start(t)
	for name, test := range map[string]func(*testing.T, *app){
		"another owner of the version":       anotherOwner,
		"manifests that do not parse hold":   unparsableHolds,
		"a dependency that is not ready too": dependencyHolds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.app(t))
		})
	}
}

// root applies the Kustomization of the application, as the repository of a cluster does.
const root = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: root, namespace: %[2]s}
spec: {url: "oci://%[1]s/%[2]s-root", interval: 1m, insecure: true, ref: {tag: latest}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: root, namespace: %[2]s}
spec:
  sourceRef: {kind: OCIRepository, name: root}
  interval: 10s
  timeout: 20s
  prune: true
`

// commit changes the Kustomization of the application in the root, with a version in its manifest unless that is empty,
// and waits until Flux has applied it.
func (a *app) commit(child, version string) {
	a.t.Helper()
	child += "  postBuild: {substitute: {APP: app}}\n"
	if version != "" {
		child = strings.Replace(child, "APP: app", `APP: app, VERSION: "`+version+`"`, 1)
	}
	digest := a.pushManifests("root", fmt.Sprintf(child, a.plane.Registry(), a.namespace))
	var repo sourcev1.OCIRepository
	a.get("root", &repo)
	a.patch(&repo, a.request())
	var k kustomizev1.Kustomization
	a.eventually("the root is applied", time.Minute, func() (bool, string) {
		a.get("root", &k)
		return strings.HasSuffix(k.Status.LastAppliedRevision, digest), fmt.Sprintf("%+v", k.Status.Conditions)
	})
}

func (a *app) pushManifests(name, content string) (digest string) {
	a.t.Helper()
	digest, err := artifact.PushManifests(a.t.Context(), artifact.Manifests{
		Reference: a.plane.Registry() + "/" + a.namespace + "-" + name + ":latest", Files: map[string]string{"app.yaml": content},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return digest
}

// request returns a patch that requests a reconcile from Flux.
func (a *app) request() string {
	return fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, time.Now().Format(time.RFC3339Nano))
}

// reconciled waits until Flux has applied the root several more times.
func (a *app) reconciled() {
	a.t.Helper()
	for range 3 {
		var k kustomizev1.Kustomization
		a.get("root", &k)
		a.patch(&k, a.request())
		a.eventually("the root is reconciled", time.Minute, func() (bool, string) {
			a.get("root", &k)
			return k.Status.LastHandledReconcileAt == k.Annotations[meta.ReconcileRequestAnnotation] && apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition),
				fmt.Sprintf("%+v", k.Status.Conditions)
		})
	}
}

// contested waits until the Rollout reports the root as the other owner, and checks that neither writes after that. It
// returns the Kustomization.
func (a *app) contested(version string) *kustomizev1.Kustomization {
	a.t.Helper()
	says := "Kustomization " + a.namespace + "/root also writes spec.postBuild.substitute.VERSION"
	a.eventually("the other owner is reported", time.Minute, func() (bool, string) {
		ro, state := a.state()
		for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionTargetsReady} {
			c := apimeta.FindStatusCondition(ro.Status.Conditions, kind)
			if c == nil || (c.Status == metav1.ConditionTrue) != (kind == v1alpha1.ConditionStalled) || c.Reason != v1alpha1.ReasonTargetOverridden || !strings.Contains(c.Message, says) {
				return false, state
			}
		}
		return true, state
	})
	var before, after kustomizev1.Kustomization
	a.get("app", &before)
	a.reconciled()
	a.get("app", &after)
	if after.Generation != before.Generation || after.Spec.PostBuild.Substitute["VERSION"] != version || after.Annotations[meta.ReconcileRequestAnnotation] != before.Annotations[meta.ReconcileRequestAnnotation] {
		a.t.Errorf("it was written: generation %d after %d, it holds %v", after.Generation, before.Generation, after.Spec.PostBuild.Substitute)
	}
	return &after
}

// anotherOwner: the manifest of the Kustomization contains the version, from the start and later.
func anotherOwner(t *testing.T, a *app) {
	t.Helper()
	const begin = "---\napiVersion: kustomize.toolkit.fluxcd.io/v1"
	around, child, found := strings.Cut(surroundings, begin)
	if !found {
		t.Fatal("there is no Kustomization")
	}
	child = begin + child
	a.publishWith(around, deployment, root)
	a.commit(child, "0.9.0")
	a.apply(fmt.Sprintf(rollout+"# %[1]s %[2]s\n", a.plane.Registry(), a.namespace))
	a.withheld("1.0.0")
	k := a.contested("0.9.0")
	if slices.ContainsFunc(k.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == "kuberik" }) {
		t.Errorf("Kuberik has written to it: %v", k.ManagedFields)
	}
	a.commit(child, "")
	a.available("1.0.0")

	a.commit(child, "0.9.0")
	a.contested("0.9.0")
	a.push("1.1.0")
	a.withheld("1.1.0")
	a.contested("0.9.0")
	a.commit(child, "")
	a.available("1.1.0")
	a.unfailed(2)
}

// withheld waits until a release is held because of the other owner, without being handed over.
func (a *app) withheld(tag string) {
	a.t.Helper()
	a.eventually(tag+" is held", time.Minute, func() (bool, string) {
		ro, state := a.state()
		h, b := ro.Status.History, ro.Status.BlockedBy
		return len(h) > 0 && h[0].Version.Tag == tag && ro.Status.Phase == v1alpha1.PhaseDeploying && ro.Status.CurrentVersion != tag &&
			len(b) > 0 && b[0].Reason == v1alpha1.ReasonTargetOverridden && strings.Contains(b[0].Message, "remove the field from the manifest in Git"), state
	})
}

// unfailed checks that no release failed.
func (a *app) unfailed(deployments int) {
	a.t.Helper()
	if ro, state := a.state(); len(ro.Status.Quarantined) > 0 || len(ro.Status.History) != deployments {
		a.t.Errorf("%d deployments, quarantined are %v: %s", len(ro.Status.History), ro.Status.Quarantined, state)
	}
}

// checked is a Rollout with a check of its Kustomization.
var checked = strings.Replace(rollout, "bakeTime: 1s", "bakeTime: 1s\n  healthCheckSelector: {selector: {matchLabels: {app: app}}}", 1)

// unparsableHolds: the first manifests cannot be parsed, and later others that are pushed while a release runs and
// another one is discovered.
func unparsableHolds(_ *testing.T, a *app) {
	check, _, _ := strings.Cut(ownCheck, "---")
	a.publish("kind: [%[1]s, %[2]s", check, checked)
	manifests := func(content string) {
		a.pushManifests("manifests", content)
		var repo sourcev1.OCIRepository
		a.get("app", &repo)
		a.patch(&repo, a.request())
	}
	good := fmt.Sprintf(deployment, a.plane.Registry(), a.namespace)
	a.held("1.0.0", v1alpha1.ReasonTargetMisconfigured, meta.BuildFailedReason)
	manifests(good)
	a.available("1.0.0")
	manifests("kind: [")
	a.eventually("Flux cannot build it", time.Minute, func() (bool, string) {
		var k kustomizev1.Kustomization
		a.get("app", &k)
		c := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
		return c != nil && c.Reason == meta.BuildFailedReason, fmt.Sprintf("%+v", c)
	})
	a.push("1.1.0")
	a.held("1.1.0", v1alpha1.ReasonTargetMisconfigured, meta.BuildFailedReason)
	manifests(good + "# mended\n")
	a.available("1.1.0")
	a.unfailed(2)
}

func dependencyHolds(_ *testing.T, a *app) {
	a.publishWith(surroundings+"  dependsOn: [{name: absent}]\n", deployment, rollout)
	a.held("1.0.0", v1alpha1.ReasonTargetNotReady, meta.DependencyNotReadyReason)
	var k kustomizev1.Kustomization
	a.get("app", &k)
	a.patch(&k, `{"spec":{"dependsOn":null}}`)
	a.available("1.0.0")
	a.unfailed(1)
}
