package endpoint_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuberik/kuberik/internal/demo/endpoint"
)

// set returns a ReplicaSet of the Deployment hello.
func set(revision int, tag string, ready int32) *appsv1.ReplicaSet {
	s := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: "demo", Name: fmt.Sprintf("hello-%d", revision),
		Annotations:     map[string]string{"deployment.kubernetes.io/revision": fmt.Sprint(revision)},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "hello", UID: "1", Controller: ptr.To(true)}},
	}}
	s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "hello", Image: "127.0.0.1:5000/hello:" + tag + "@sha256:0123"}}
	s.Status.ReadyReplicas = ready
	return s
}

func TestApplicationRespondsAsTheRunningVersion(t *testing.T) {
	hello := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "hello", UID: "1"}}
	other := set(11, "9.9.9", 1)
	other.OwnerReferences[0].UID = "2"
	cases := map[string]struct {
		reason  string
		objects []client.Object
		code    int
		body    string
	}{
		"No Deployment": {"nothing runs", nil, 503, `{"status":"no pod is ready","version":""}`},
		"Works":         {"it is ready and works", []client.Object{hello, set(1, "1.0.0", 2)}, 200, `{"status":"ok","version":"1.0.0"}`},
		"Broken":        {"a ready pod may be broken", []client.Object{hello, set(9, "1.0.0", 0), set(10, "1.1.0", 2)}, 503, `{"status":"failing","version":"1.1.0"}`},
		"Not ready yet": {"the old version still runs", []client.Object{hello, set(9, "1.0.0", 1), set(10, "1.1.0", 0)}, 200, `{"status":"ok","version":"1.0.0"}`},
		"Newest":        {"revisions are compared as numbers", []client.Object{hello, set(9, "1.1.0", 1), set(10, "1.2.0", 1)}, 200, `{"status":"ok","version":"1.2.0"}`},
		"Other owner":   {"the ReplicaSet belongs to another Deployment", []client.Object{hello, set(1, "1.0.0", 1), other}, 200, `{"status":"ok","version":"1.0.0"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := endpoint.Serve(t.Context(), endpoint.Application{
				Reader:     fake.NewClientBuilder().WithObjects(c.objects...).Build(),
				Deployment: hello.Name, Broken: []string{"1.1.0"},
			}, endpoint.NewCalendar(nil))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			response, err := http.Get(s.URL() + "/demo" + endpoint.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.code || string(body) != c.body+"\n" {
				t.Errorf("%s: got %d %s, want %d %s", c.reason, response.StatusCode, body, c.code, c.body)
			}
		})
	}
}
