package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/installed"
	"github.com/kuberik/kuberik/test/env"
)

// free returns an address that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answer returns what a URL answers to a token.
func answer(url, token string) (string, error) {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body)), err
}

// TestReplicasAreReady: the one that leads, and the one that waits. The installation is read with the rights of the controller.
func TestReplicasAreReady(t *testing.T) {
	t.Parallel()
	w := env.NewInOwnCluster(t)
	checker, err := installed.New(w.Controller)
	if err != nil {
		t.Fatal(err)
	}
	var probes []string
	run := func() *env.Manager {
		probes = append(probes, free(t))
		return w.Run(func(s *controller.Settings) {
			s.LeaderElection, s.Installation, s.ProbeAddress = true, checker, probes[len(probes)-1]
		})
	}
	for range 2 {
		run()
	}
	for _, address := range probes {
		w.Eventually("the replica is ready", func() error {
			got, err := answer("http://"+address+"/readyz?verbose", "")
			if err == nil && (!strings.HasPrefix(got, "200 ") || !strings.Contains(got, "[+]caches ok") || !strings.Contains(got, "[+]installation ok")) {
				err = errors.New(got)
			}
			return err
		})
	}
	crd := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{Kind: "CustomResourceDefinition", APIVersion: "apiextensions.k8s.io/v1"}, ObjectMeta: metav1.ObjectMeta{Name: "rollouts.kuberik.com"},
	}
	older := `{"metadata":{"annotations":{"kuberik.com/schema-version":"0","kuberik.com/allow-schema-downgrade":"true"}}}`
	if err := w.Admin.Patch(w.Ctx(), crd, client.RawPatch("application/merge-patch+json", []byte(older))); err != nil {
		t.Fatal(err)
	}
	if err := checker.Check(w.Ctx()); !errors.Is(err, installed.ErrMissing) || !strings.Contains(err.Error(), "rollouts.kuberik.com (0)") {
		t.Errorf("an older schema: %v", err)
	}
	probes = nil
	run() // a replica that starts now is not ready
	w.Eventually("the new replica says why it is not ready", func() error {
		got, err := answer("http://"+probes[0]+"/readyz/installation", "")
		if err == nil && (!strings.HasPrefix(got, "500 ") || !strings.Contains(got, "rollouts.kuberik.com (0) are older than version")) {
			err = errors.New(got)
		}
		return err
	})
}

// TestMetricsAreForThoseWhoMayReadThem asks with the token of a service account, before and after it is bound to the role.
func TestMetricsAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	address := free(t)
	w.Run(func(s *controller.Settings) { s.MetricsAddress, s.SecureMetrics = address, true })
	w.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "prometheus"}})
	kubeconfig, err := w.Plane.ServiceAccountKubeconfig(w.Ctx(), w.Namespace, "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	answers := func(token, want string) {
		t.Helper()
		w.Eventually("the metrics answer "+want, func() error {
			got, err := answer("https://"+address+"/metrics", token)
			if err == nil && (!strings.HasPrefix(got, want[:3]) || !strings.Contains(got, want[4:])) {
				err = errors.New(got[:min(len(got), 200)])
			}
			return err
		})
	}
	answers("", "401 Authorization: Bearer")
	answers("forged", "401 does not know this token")
	answers(cfg.BearerToken, "403 kuberik-metrics-reader")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "metrics-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kuberik-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "prometheus", Namespace: w.Namespace}},
	}
	if err := w.Admin.Create(w.Ctx(), binding); err != nil {
		t.Fatal(err)
	}
	answers(cfg.BearerToken, "200 controller_runtime_")
}
