package ask_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/config"
	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/view"
)

// installed returns the shipped CRDs and policies, the CRDs of Flux, and a controller.
func installed(t *testing.T) []client.Object {
	t.Helper()
	objects := append(shippedObjects(t, "crd"), shippedObjects(t, "policy")...)
	for _, name := range []string{
		"imagepolicies.image.toolkit.fluxcd.io", "imagerepositories.image.toolkit.fluxcd.io",
		"kustomizations.kustomize.toolkit.fluxcd.io", "ocirepositories.source.toolkit.fluxcd.io",
	} {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/version": "v2.9.0"}}}
		crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true}}
		objects = append(objects, crd)
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kuberik-system", Name: "kuberik-controller"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "controller", Image: "ghcr.io/kuberik/kuberik-controller:0.4.0@sha256:abc"}}
	d.Status.Replicas, d.Status.AvailableReplicas = 1, 1
	return append(objects, d)
}

func shippedObjects(t *testing.T, folder string) (objects []client.Object) {
	t.Helper()
	files, err := fs.Glob(config.Install, folder+"/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := config.Install.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(string(text)), 4096)
		for {
			o := &unstructured.Unstructured{}
			if err := decoder.Decode(o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if len(o.Object) > 0 {
				objects = append(objects, o)
			}
		}
	}
	return objects
}

// edit changes an object of a cluster.
func edit[T client.Object](t *testing.T, w *clitest.World, o T, name string, change func(T)) {
	t.Helper()
	key := client.ObjectKey{Name: name}
	if _, namespaced := any(o).(*appsv1.Deployment); namespaced {
		key.Namespace = "kuberik-system"
	}
	if err := w.Client.Get(t.Context(), key, o); err != nil {
		t.Fatal(err)
	}
	change(o)
	write := w.Client.Update
	if d, ok := any(o).(*appsv1.Deployment); ok && d.Status.AvailableReplicas == 0 {
		write = func(ctx context.Context, o client.Object, _ ...client.UpdateOption) error {
			return w.Client.Status().Update(ctx, o)
		}
	}
	if err := write(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	buildinfo.Version = "0.4.0"
	t.Cleanup(func() { buildinfo.Version = "dev" })
	cases := map[string]func(*clitest.World){
		"check.txt": func(*clitest.World) {},
		"check-80.txt": func(w *clitest.World) {
			w.Columns, w.Env = 79, map[string]string{"NO_COLOR": "1"}
		},
		"check-kubernetes.txt": func(w *clitest.World) { w.ServerVersion = "v1.30.4+k3s1" },
		"check-version.txt": func(w *clitest.World) {
			edit(t, w, &appsv1.Deployment{}, "kuberik-controller", func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.Containers[0].Image = "ghcr.io/kuberik/kuberik-controller:0.3.1"
			})
		},
		"check-stopped.txt": func(w *clitest.World) {
			edit(t, w, &appsv1.Deployment{}, "kuberik-controller", func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 0 })
		},
		"check-crds.txt": func(w *clitest.World) {
			edit(t, w, &apiextensionsv1.CustomResourceDefinition{}, "rollouts.kuberik.com", func(crd *apiextensionsv1.CustomResourceDefinition) {
				spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
				delete(spec.Properties, "bakeTime")
			})
		},
		"check-flux.txt": func(w *clitest.World) {
			edit(t, w, &apiextensionsv1.CustomResourceDefinition{}, "imagepolicies.image.toolkit.fluxcd.io", func(crd *apiextensionsv1.CustomResourceDefinition) {
				crd.Spec.Versions[0].Name = "v1beta2"
			})
		},
		"check-policies.txt": func(w *clitest.World) {
			edit(t, w, &admissionv1.ValidatingAdmissionPolicyBinding{}, "kuberik-actors", func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
				b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
			})
			edit(t, w, &admissionv1.ValidatingAdmissionPolicy{}, "kuberik-overrides", func(p *admissionv1.ValidatingAdmissionPolicy) {
				p.Spec.Validations[0].Expression = "true"
			})
		},
		"check-viewer.txt":  func(w *clitest.World) { w.User, w.May = "carol", clitest.Only() },
		"check-nobody.txt":  func(w *clitest.World) { w.May = func(view.Right) bool { return false } },
		"check-offline.txt": func(w *clitest.World) { w.Offline = clitest.ErrOffline },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			w := clitest.New(installed(t)...)
			change(w)
			clitest.Golden(t, name, w.Run(t, "check", "-n", "shop").String())
		})
	}
}

// TestCheckEmpty checks a cluster in which nothing is installed.
func TestCheckEmpty(t *testing.T) {
	clitest.Golden(t, "check-empty.txt", clitest.New().Run(t, "check", "-n", "shop").String())
	clitest.Golden(t, "check-json.txt", clitest.New().Run(t, "check", "-n", "shop", "-o", "json").String())
}
