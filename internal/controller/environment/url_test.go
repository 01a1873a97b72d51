package environment

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
)

func TestURL(t *testing.T) {
	routed := &unstructured.Unstructured{
		Object: map[string]any{"spec": map[string]any{"hostnames": []any{"shop.example.com", "b.example.com"}}},
	}
	routed.SetGroupVersionKind(httpRoute)
	routed.SetNamespace("ns")
	routed.SetName("shop")
	bare := routed.DeepCopy()
	unstructured.RemoveNestedField(bare.Object, "spec", "hostnames")
	for name, tc := range map[string]struct {
		annotation string
		route      *unstructured.Unstructured
		want       string
	}{
		"no route":                   {"", nil, ""},
		"the first host":             {"", routed, "https://shop.example.com/"},
		"a route for every host":     {"", bare, ""},
		"the annotation comes first": {"http://here/", routed, "http://here/"},
	} {
		t.Run(name, func(t *testing.T) {
			build := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
			if tc.route != nil {
				build = build.WithObjects(tc.route.DeepCopy())
			}
			c := New(nil, build.Build(), nil, clock.RealClock{})
			e := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}}
			e.Spec.RolloutRef.Name = "shop"
			e.Annotations = map[string]string{environments.AnnotationURL: tc.annotation}
			if got := c.url(t.Context(), e); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
