package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// TestControllerOfOneNamespaceHasNoRightsInOthers: with the bindings of the guide, releases are deployed, and Secrets
// of other namespaces are not read.
func TestControllerOfOneNamespaceHasNoRightsInOthers(t *testing.T) {
	t.Parallel()
	w := env.NewInOwnCluster(t)
	account := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "kuberik-controller", Namespace: "kuberik-system"}}
	for _, name := range []string{"kuberik-controller", "kuberik-controller-secrets-and-jobs", "kuberik-health-reader", "kuberik-health-reader-builtin"} {
		w.Delete(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
		w.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: account,
		})
	}
	guide, err := roles(env.File("docs/guides/tenants.md"))
	if err != nil || len(guide) != 1 {
		t.Fatalf("the guide has %d roles: %v", len(guide), err)
	}
	for _, role := range guide {
		if err := w.Admin.Create(w.Ctx(), &role); err != nil {
			t.Fatal(err)
		}
		if err := w.Admin.Create(w.Ctx(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: account,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		}); err != nil {
			t.Fatal(err)
		}
	}
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	thief := stolen(w)
	for namespace, refused := range map[string]bool{"kube-system": true, w.Namespace: false} {
		err := thief.Get(w.Ctx(), client.ObjectKey{Namespace: namespace, Name: "any"}, &corev1.Secret{})
		if apierrors.IsForbidden(err) != refused {
			t.Errorf("a Secret of %s: %v", namespace, err)
		}
	}
}

// TestSecretsAndJobsOfSomeNamespacesOnly: with the bindings of the guide, the controller works in every namespace, and
// reads Secrets and creates Jobs in some.
func TestSecretsAndJobsOfSomeNamespacesOnly(t *testing.T) {
	t.Parallel()
	w := env.NewInOwnCluster(t)
	const role = "kuberik-controller-secrets-and-jobs"
	w.Delete(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}})
	other := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}}
	if err := w.Admin.Create(w.Ctx(), other); err != nil {
		t.Fatal(err)
	}
	w.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "kuberik-controller", Namespace: "kuberik-system"}},
	})
	w.Run(func(s *controller.Settings) { s.Namespaces = nil })
	thief := stolen(w)
	for namespace, refused := range map[string]bool{other.Name: true, w.Namespace: false} {
		if err := thief.Get(w.Ctx(), client.ObjectKey{Namespace: namespace, Name: "any"}, &corev1.Secret{}); apierrors.IsForbidden(err) != refused {
			t.Errorf("a Secret of %s: %v", namespace, err)
		}
	}
	check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Name: "api"}, Spec: v1alpha1.HealthCheckSpec{
		Class: ptr.To(v1alpha1.HealthClassHTTP), HTTP: &v1alpha1.HTTPCheck{HTTPRequest: v1alpha1.HTTPRequest{
			URL: "https://api.example.com", HeadersFrom: []v1alpha1.HeaderFrom{{Header: "X-Key", SecretKeyRef: v1alpha1.KeyRef{Name: "key", Key: "key"}}},
		}},
	}}
	check.Namespace = other.Name
	if err := w.Admin.Create(w.Ctx(), check); err != nil {
		t.Fatal(err)
	}
	w.Await(check, "says that the Secret may not be read", func() error {
		if check.Status.Message != nil && strings.Contains(*check.Status.Message, "Secret key may not be read by the controller") {
			return nil
		}
		return fmt.Errorf("its message is %v", check.Status.Message)
	})
}
