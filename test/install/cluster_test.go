package install

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/installed"
	"github.com/kuberik/kuberik/test/env"
)

// system is the namespace of the installation.
const system = "kuberik-system"

// TestOneFile applies install.yaml to a cluster that has nothing of Kuberik, and then releases something with the service account in it.
func TestOneFile(t *testing.T) {
	t.Parallel()
	w := env.NewWithoutInstallation(t)
	if err := w.Plane.Apply(w.Ctx(), installYAML(t)); err != nil {
		t.Fatal(err)
	}
	worksAs(t, w, "kuberik-controller")
}

// worksAs checks what was installed: the pods of the Deployment are admitted, and a release goes out with the rights of its service account.
func worksAs(t *testing.T, w *env.World, account string) {
	t.Helper()
	var d appsv1.Deployment
	if err := w.Admin.Get(w.Ctx(), client.ObjectKey{Namespace: system, Name: account}, &d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.Template.Spec.ServiceAccountName != account {
		t.Errorf("its service account is %s", d.Spec.Template.Spec.ServiceAccountName)
	}
	admitted(t, w, &d)
	kubeconfig, err := w.Plane.ServiceAccountKubeconfig(w.Ctx(), system, account)
	if err != nil {
		t.Fatal(err)
	}
	if w.Controller, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		t.Fatal(err)
	}
	checker, err := installed.New(w.Controller)
	if err != nil {
		t.Fatal(err)
	}
	if err := checker.Check(w.Ctx()); err != nil {
		t.Errorf("it would not start: %v", err)
	}
	released(w)
}

// admitted creates a pod of a Deployment in a namespace that enforces the Pod Security level restricted, which refuses another one.
func admitted(t *testing.T, w *env.World, d *appsv1.Deployment) {
	t.Helper()
	var ns corev1.Namespace
	if err := w.Admin.Get(w.Ctx(), client.ObjectKey{Name: system}, &ns); err != nil {
		t.Fatal(err)
	}
	if ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
		if err := w.Admin.Update(w.Ctx(), &ns); err != nil {
			t.Fatal(err)
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Namespace: system, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec}
	other := pod.DeepCopy()
	if err := w.Admin.Create(w.Ctx(), pod, client.DryRunAll); err != nil {
		t.Errorf("its pod is refused: %v", err)
	}
	other.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = ptr.To(true)
	if err := w.Admin.Create(w.Ctx(), other, client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "restricted") {
		t.Errorf("Pod Security is not enforced: %v", err)
	}
}

// released runs the controllers, and takes a version out.
func released(w *env.World) *v1alpha1.Rollout {
	w.T.Helper()
	m := w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable)
	if err := m.Stop(); err != nil {
		w.T.Error(err)
	}
	return ro
}

// TestHelm installs, upgrades, rolls back and uninstalls with Helm. What was released is never lost.
func TestHelm(t *testing.T) {
	t.Parallel()
	w := env.NewWithoutInstallation(t)
	h := onCluster(t, w.Plane.Kubeconfig(), system)
	if _, err := h.installation().Run(loadChart(t), values(t, "fullnameOverride: ship")); err != nil {
		t.Fatal(err)
	}
	worksAs(t, w, "ship")
	kept := func(after string) {
		t.Helper()
		var rollouts v1alpha1.RolloutList
		var releases v1alpha1.ReleaseList
		for _, list := range []client.ObjectList{&rollouts, &releases} {
			if err := w.Admin.List(w.Ctx(), list); err != nil {
				t.Fatalf("after the %s: %v", after, err)
			}
		}
		if len(rollouts.Items) != 1 || len(rollouts.Items[0].Status.History) != 1 || len(releases.Items) != 1 || rollouts.Items[0].DeletionTimestamp != nil {
			t.Fatalf("after the %s there are %d Rollouts and %d Releases", after, len(rollouts.Items), len(releases.Items))
		}
	}
	written := policyVersion(t, w)
	if err := h.upgrade(loadChart(t), "{fullnameOverride: ship, controller: {replicas: 3}}"); err != nil {
		t.Fatal(err)
	}
	kept("upgrade")
	if now := policyVersion(t, w); now != written {
		t.Errorf("the upgrade has written the policy kuberik-actors: %s was %s", now, written)
	}
	if err := h.upgrade(chartOfSchema(t, "2"), "fullnameOverride: ship"); err != nil {
		t.Fatal(err)
	}
	kept("upgrade to newer schemas")
	err := h.rollback(1)
	if err == nil || !strings.Contains(err.Error(), "kuberik.com has version 2, and version 1 is older") {
		t.Errorf("the rollback to older schemas: %v", err)
	}
	kept("rollback that is refused")
	if err := h.upgrade(chartOfSchema(t, "2"), "{fullnameOverride: ship, crds: {install: false}}"); err != nil {
		t.Fatal(err)
	}
	kept("upgrade without schemas")
	if err := h.uninstall(); err != nil {
		t.Fatal(err)
	}
	kept("uninstallation")
	var d appsv1.DeploymentList
	if err := w.Admin.List(w.Ctx(), &d, client.InNamespace(system)); err != nil || len(d.Items) > 0 {
		t.Errorf("%d Deployments are left: %v", len(d.Items), err)
	}
	if _, err := h.installation().Run(chartOfSchema(t, "2"), values(t, "")); err != nil {
		t.Errorf("installing it again: %v", err)
	}
	kept("second installation")
}

// policyVersion returns the resource version of a policy.
func policyVersion(t *testing.T, w *env.World) string {
	t.Helper()
	p := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "ValidatingAdmissionPolicy", APIVersion: "admissionregistration.k8s.io/v1"}}
	if err := w.Admin.Get(w.Ctx(), client.ObjectKey{Name: "kuberik-actors"}, p); err != nil {
		t.Fatal(err)
	}
	return p.ResourceVersion
}

// TestHelmTakesOverWhatWasApplied moves an installation from install.yaml to Helm, as the guide says.
func TestHelmTakesOverWhatWasApplied(t *testing.T) {
	t.Parallel()
	w := env.NewWithoutInstallation(t)
	if err := w.Plane.Apply(w.Ctx(), installYAML(t)); err != nil {
		t.Fatal(err)
	}
	h := onCluster(t, w.Plane.Kubeconfig(), system)
	if _, err := h.installation().Run(loadChart(t), values(t, "")); err == nil || !strings.Contains(err.Error(), "ownership") {
		t.Errorf("it is taken over without being asked to: %v", err)
	}
	i := h.installation()
	i.TakeOwnership, i.ForceConflicts = true, true
	i.Replace = true // the attempt before has failed
	if _, err := i.Run(loadChart(t), values(t, "")); err != nil {
		t.Fatal(err)
	}
	worksAs(t, w, "kuberik-controller")
}

// TestSomeNamespaces: with the bindings of the chart, releases go out in the namespace that is named, and nothing is read elsewhere.
func TestSomeNamespaces(t *testing.T) {
	t.Parallel()
	w := env.NewWithoutInstallation(t)
	h := onCluster(t, w.Plane.Kubeconfig(), system)
	if _, err := h.installation().Run(loadChart(t), values(t, "controller: {watchNamespaces: ["+w.Namespace+"]}")); err != nil {
		t.Fatal(err)
	}
	worksAs(t, w, "kuberik-controller")
	c, err := client.New(w.Controller, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for namespace, refused := range map[string]bool{"kube-system": true, w.Namespace: false} {
		if err := c.Get(w.Ctx(), client.ObjectKey{Namespace: namespace, Name: "any"}, &corev1.Secret{}); apierrors.IsForbidden(err) != refused {
			t.Errorf("a Secret of %s: %v", namespace, err)
		}
	}
}

// TestOlderSchemasAreRefused: whoever writes an older CustomResourceDefinition is told what would be lost, and how to do it anyway.
func TestOlderSchemasAreRefused(t *testing.T) {
	t.Parallel()
	w := env.NewInOwnCluster(t)
	crd := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{Kind: "CustomResourceDefinition", APIVersion: "apiextensions.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "rollouts.kuberik.com"},
	}
	other := crd.DeepCopy()
	other.Name = "kustomizations.kustomize.toolkit.fluxcd.io"
	set := func(o *metav1.PartialObjectMetadata, version, allow string) error {
		body := `{"metadata":{"annotations":{"kuberik.com/schema-version":` + version + `,"kuberik.com/allow-schema-downgrade":` + allow + `}}}`
		return w.Admin.Patch(context.WithoutCancel(w.Ctx()), o.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(body)))
	}
	w.Eventually("an older schema is refused", func() error {
		if err := set(crd, `"10"`, "null"); err != nil {
			return err
		}
		if err := set(crd, `"9"`, "null"); !apierrors.IsForbidden(err) {
			return fmt.Errorf("it is not: %w", err)
		}
		return nil
	})
	for _, step := range []struct {
		version, allow string
		passes         bool
	}{
		{`"9"`, "null", false}, {"null", "null", false}, {`"new"`, "null", false}, {`"10"`, "null", true}, {`"11"`, "null", true}, {`"9"`, `"false"`, false},
		{`"9"`, `"true"`, true}, {`"8"`, "null", false},
	} {
		err := set(crd, step.version, step.allow)
		if (err == nil) != step.passes || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "fields that it lacks would be lost")) {
			t.Errorf("version %s, allowed %s: %v", step.version, step.allow, err)
		}
	}
	for _, version := range []string{`"2"`, `"1"`} {
		if err := set(other, version, "null"); err != nil {
			t.Errorf("a CustomResourceDefinition of somebody else: %v", err)
		}
	}
}
