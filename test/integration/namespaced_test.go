package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestControllerOfOneNamespaceHasNoRightsInOthers: with the bindings of the guide, releases go out and Secrets elsewhere are not read.
func TestControllerOfOneNamespaceHasNoRightsInOthers(t *testing.T) {
	t.Parallel()
	w := env.Elsewhere(t)
	account := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "kuberik-controller", Namespace: "kuberik-system"}}
	for _, name := range []string{"kuberik-controller", "kuberik-health-reader", "kuberik-health-reader-builtin"} {
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
	w.PlayFlux()
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
