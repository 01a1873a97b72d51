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

// World is the part of the cluster that one test has to itself: a namespace.
type World struct {
	*Cluster
	// T is the test.
	T *testing.T
	// Namespace of the test.
	Namespace string
}

// New gives a test a namespace. Without a cluster the test is skipped.
func New(t *testing.T) *World {
	t.Helper()
	if shared == nil {
		t.Skip(absent)
	}
	return shared.world(t)
}

func (c *Cluster) world(t *testing.T) *World {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: label(t.Name()) + "-"}}
	if err := c.Admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return &World{Cluster: c, T: t, Namespace: ns.Name}
}

// label makes the name of a test the beginning of the name of an object.
func label(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.TrimPrefix(name, "Test")))
	return strings.Trim(safe[:min(len(safe), 40)], "-")
}

// Ctx is the context of the test.
func (w *World) Ctx() context.Context { return w.T.Context() }

// Key is the name of an object of the namespace.
func (w *World) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: w.Namespace, Name: name}
}

// Meta is the metadata of an object of the namespace.
func (w *World) Meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.Namespace, Name: name}
}

// Create makes objects, in the namespace of the test.
func (w *World) Create(objs ...client.Object) {
	w.T.Helper()
	for _, obj := range objs {
		obj.SetNamespace(w.Namespace)
		if err := w.Admin.Create(w.Ctx(), obj); err != nil {
			w.T.Fatalf("creating %T %q: %v", obj, obj.GetName(), err)
		}
	}
}

// Get reads an object as it is now.
func (w *World) Get(obj client.Object) {
	w.T.Helper()
	if err := w.Admin.Get(w.Ctx(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.T.Fatalf("reading %T %q: %v", obj, obj.GetName(), err)
	}
}

// Patch changes an object as a merge patch says, written as JSON.
func (w *World) Patch(obj client.Object, patch string) {
	w.T.Helper()
	if err := w.Admin.Patch(w.Ctx(), obj, merge(patch)); err != nil {
		w.T.Fatalf("changing %T %q: %v", obj, obj.GetName(), err)
	}
}

// Delete removes an object.
func (w *World) Delete(obj client.Object) {
	w.T.Helper()
	if err := w.Admin.Delete(w.Ctx(), obj); err != nil {
		w.T.Fatalf("deleting %T %q: %v", obj, obj.GetName(), err)
	}
}

// As is the way to the API server of a person who has roles in the namespace: names of ClusterRoles.
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
	cfg.Impersonate = rest.ImpersonationConfig{UserName: w.Namespace + ":" + user, Groups: []string{"system:authenticated"}}
	c, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// SlowClient is a client of the administrator over a link on which a request and its answer each take a while.
func (w *World) SlowClient(oneWay time.Duration) client.Client {
	w.T.Helper()
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return slowLink{rt, oneWay} })
	c, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// slowLink delays requests and answers.
type slowLink struct {
	inside http.RoundTripper
	oneWay time.Duration
}

func (l slowLink) RoundTrip(r *http.Request) (*http.Response, error) {
	<-time.After(l.oneWay)
	answer, err := l.inside.RoundTrip(r)
	<-time.After(l.oneWay)
	return answer, err
}
