package all_test

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/all"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/gitlab/gitlabtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// TestGitLab opens the backend as the controller does, and reads with the client of internal/outbound.
func TestGitLab(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	fake := gitlabtest.New(clock, "group/shop")
	fake.AddToken("good", "kuberik")
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	host := server.URL

	for name, tc := range map[string]struct {
		secret string
		hosts  string
		data   map[string]string
		spec   environments.Backend
		want   string
	}{
		"good": {
			"gitlab-token", host, map[string]string{"token": "good"}, environments.Backend{Project: "group/shop"}, "",
		},
		"named": {
			"mine", host, map[string]string{"token": "good"}, environments.Backend{Project: "group/shop", Secret: "mine"}, "",
		},
		"no Secret": {
			"other", host, nil, environments.Backend{Project: "group/shop"}, "Secret gitlab-token does not exist",
		},
		"no token": {"gitlab-token", host, nil, environments.Backend{Project: "group/shop"}, "has no key token"},
		"not allowed": {
			"gitlab-token", "gitlab.com", map[string]string{"token": "good"}, environments.Backend{Project: "group/shop"},
			"kuberik.com/allowed-hosts",
		},
		"no project": {
			"gitlab-token", host, map[string]string{"token": "good"}, environments.Backend{Project: "shop"},
			"is not group/project",
		},
		"other project": {
			"gitlab-token", host, map[string]string{"token": "good"}, environments.Backend{Project: "group/else"},
			"check the project",
		},
		"secretRef": {
			"mine", host, map[string]string{"token": "good"},
			environments.Backend{Project: "group/shop", SecretRef: &corev1.LocalObjectReference{Name: "mine"}}, "",
		},
		"two Secrets": {
			"mine", host, map[string]string{"token": "good"},
			environments.Backend{Project: "group/shop", Secret: "other", SecretRef: &corev1.LocalObjectReference{Name: "mine"}},
			"secretRef names mine and spec.backend.secret names other",
		},
		"revoked": {
			"gitlab-token", host, map[string]string{"token": "old"}, environments.Backend{Project: "group/shop"}, "renew it",
		},
		"no signature": {
			"gitlab-token", host, map[string]string{"token": "good"},
			environments.Backend{Project: "group/shop", SignatureKeyRef: &v1alpha1.KeyRef{Name: "none", Key: "key"}},
			"Secret none of spec.backend.signatureKeyRef does not exist",
		},
		"weak signature": {
			"gitlab-token", host, map[string]string{"token": "good"},
			environments.Backend{Project: "group/shop", SignatureKeyRef: &v1alpha1.KeyRef{Name: "gitlab-token", Key: "token"}},
			"needs 32",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var keys outboundtest.Keys
			keys.SetSecret("default", tc.secret, tc.hosts, tc.data)
			backends := all.Backends{
				Out: outbound.New(
					outbound.Options{
						Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Keys: &keys,
					},
				),
				Keys: &keys, GitLab: gitlab.NewPool(remote.PoolOptions{Clock: clock}), Clock: clock,
			}
			e := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
			e.Spec.Backend = &tc.spec
			e.Spec.Backend.Type, e.Spec.Backend.APIURL = environments.BackendGitLab, server.URL
			backend, err := backends.For(t.Context(), e)
			if err == nil {
				_, err = backend.Read(t.Context(), "shop")
			}
			var refused *environment.RefusedError
			if (err == nil) != (tc.want == "") ||
				err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want a RefusedError: %q", err, tc.want)
			}
		})
	}
}
