package env

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/controller"
)

// World is the namespace of one test.
type World struct {
	*Cluster
	// T is the test.
	T *testing.T
	// Namespace of the test.
	Namespace string
}

// New returns a World in the shared cluster. It skips the test if there is no cluster.
func New(t *testing.T) *World {
	t.Helper()
	if shared == nil {
		t.Skip(skipReason)
	}
	return shared.world(t)
}

func (c *Cluster) world(t *testing.T) *World {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: nameOf(t.Name()) + "-"}}
	if err := c.Admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return &World{Cluster: c, T: t, Namespace: ns.Name}
}

// nameOf returns the prefix of an object name for the name of a test.
func nameOf(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.TrimPrefix(name, "Test")))
	return strings.Trim(safe[:min(len(safe), 40)], "-")
}

// Ctx returns the context of the test.
func (w *World) Ctx() context.Context { return w.T.Context() }

// Key returns the key of an object in the namespace.
func (w *World) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.Namespace, Name: name}
}

// Meta returns the metadata of an object in the namespace.
func (w *World) Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.Namespace, Name: name}
}

// Create creates objects in the namespace.
func (w *World) Create(objs ...client.Object) {
	w.T.Helper()
	for _, obj := range objs {
		obj.SetNamespace(w.Namespace)
		if err := w.Admin.Create(w.Ctx(), obj); err != nil {
			w.T.Fatalf("creating %T %q: %v", obj, obj.GetName(), err)
		}
	}
}

// Get reads the current version of an object.
func (w *World) Get(obj client.Object) {
	w.T.Helper()
	if err := w.Admin.Get(w.Ctx(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.T.Fatalf("reading %T %q: %v", obj, obj.GetName(), err)
	}
}

// Patch applies a JSON merge patch to an object.
func (w *World) Patch(obj client.Object, patch string) {
	w.T.Helper()
	if err := w.Admin.Patch(w.Ctx(), obj, merge(patch)); err != nil {
		w.T.Fatalf("changing %T %q: %v", obj, obj.GetName(), err)
	}
}

// Delete deletes an object.
func (w *World) Delete(obj client.Object) {
	w.T.Helper()
	if err := w.Admin.Delete(w.Ctx(), obj); err != nil {
		w.T.Fatalf("deleting %T %q: %v", obj, obj.GetName(), err)
	}
}

// As returns a client for a user with ClusterRoles in the namespace.
func (w *World) As(user string, roles ...string) client.Client {
	w.T.Helper()
	for _, role := range roles {
		w.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: user + "-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: w.Namespace + ":" + user}},
		})
	}
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: w.Namespace + ":" + user, Groups: []string{"system:authenticated"},
	}
	c, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// SlowClient returns a client with all permissions whose requests and responses are each delayed by oneWay.
func (w *World) SlowClient(oneWay time.Duration) client.Client {
	w.T.Helper()
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return slowTransport{rt, oneWay} })
	c, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// slowTransport delays requests and responses.
type slowTransport struct {
	next   http.RoundTripper
	oneWay time.Duration
}

func (l slowTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	<-time.After(l.oneWay)
	resp, err := l.next.RoundTrip(r)
	<-time.After(l.oneWay)
	return resp, err
}
