package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/environment/github/githubtest"
	"github.com/kuberik/kuberik/test/env"
)

// federation is two clusters that share only a registry and a repository at GitHub.
type federation struct {
	t                   *testing.T
	github              *githubtest.Server
	api                 string
	image               string
	staging, production *stage
}

func federate(t *testing.T) *federation {
	t.Helper()
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	hub := githubtest.New(clock.RealClock{}, "acme/shop")
	hub.AddToken("staging-token", "kuberik-staging")
	hub.AddToken("production-token", "kuberik-production")
	hub.AddToken("mallory-token", "mallory")
	api := httptest.NewServer(hub)
	t.Cleanup(api.Close)
	f := &federation{t: t, github: hub, api: api.URL, image: strings.TrimPrefix(images.URL, "http://") + "/shop"}
	f.staging = f.join(env.New(t), "staging", api.URL, "staging-token")
	f.production = f.join(env.NewInOwnCluster(t), "production", api.URL, "production-token")
	return f
}

// join runs the controllers in a cluster, with an Environment that trusts the login of the other controller.
func (f *federation) join(w *env.World, name, api, token string) *stage {
	w.Run(func(s *controller.Settings) {
		s.Options.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	at, err := url.Parse(api)
	if err != nil {
		f.t.Fatal(err)
	}
	w.Create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "github-token", Annotations: map[string]string{v1alpha1.AnnotationAllowedHosts: "http://" + at.Host}},
		StringData: map[string]string{"token": token, "signature": "a key that both of them know, 32 bytes and more"},
	})
	interval := "1s" // taken for the shortest that is allowed
	s := &stage{World: w, flux: w.SimulateFlux()}
	s.self = &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: name, RequeueInterval: &interval,
		Backend: &environments.Backend{
			Type: environments.BackendGitHub, Project: "acme/shop", APIURL: api + "/", TrustedActors: []string{"kuberik-staging", "kuberik-production"},
			SignatureKeyRef: &v1alpha1.KeyRef{Name: "github-token", Key: "signature"},
		},
	}}
	return s
}

// publish pushes a version and makes Flux of both clusters select it.
func (f *federation) publish(tag, revision string) {
	f.t.Helper()
	f.github.Push(revision)
	digest := push(f.t, f.image+":"+tag, map[string]string{"org.opencontainers.image.revision": revision, "org.opencontainers.image.version": tag})
	for _, s := range []*stage{f.staging, f.production} {
		s.Select("app", tag, digest)
	}
}

// forge lets a user who may write deployments, as any workflow may, report success in staging: for a deployment of
// their own, and for that of staging's controller.
func (f *federation) forge(revision string) {
	f.t.Helper()
	var ids []int64
	f.staging.Eventually("staging has published its deployment", func() error {
		var list []struct{ ID int64 }
		if err := f.mallory(http.MethodGet, "/repos/acme/shop/deployments", nil, &list); err != nil || len(list) == 0 {
			f.staging.Get(f.staging.self)
			return fmt.Errorf("there are %d (%v); staging says %s, of %+v", len(list), err, ready(f.staging.self).Message, f.staging.self.Status.EnvironmentInfos)
		}
		for _, d := range list {
			ids = append(ids, d.ID)
		}
		return nil
	})
	var own struct{ ID int64 }
	err := f.mallory(http.MethodPost, "/repos/acme/shop/deployments", map[string]any{
		"ref": revision, "task": "deploy:kuberik/shop", "environment": "kuberik/shop/staging", "auto_merge": false, "required_contexts": []string{},
		"payload": map[string]any{"id": "9", "version": map[string]any{"tag": "1.0.0", "revision": revision}},
	}, &own)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, id := range append(ids, own.ID) {
		err := f.mallory(http.MethodPost, fmt.Sprintf("/repos/acme/shop/deployments/%d/statuses", id), map[string]any{
			"state": "success", "description": "Bake succeeded", "environment": "kuberik/shop/staging",
		}, nil)
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *federation) mallory(method, path string, body, into any) error {
	return ask(f.t, "mallory-token", method, f.api+path, body, into)
}

// ask sends a request to the API of GitHub with a token.
func ask(t *testing.T, token, method, url string, body, into any) error {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	case into == nil:
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func TestTwoClustersMeetAtGitHub(t *testing.T) {
	t.Parallel()
	f := federate(t)
	first, second := strings.Repeat("1", 40), strings.Repeat("2", 40)
	for _, s := range []*stage{f.staging, f.production} {
		repository(s.World, "app", f.image, "")
		s.Policy("app", "")
	}
	f.publish("1.0.0", first)
	f.staging.flux.Hold()
	f.production.launch(after("staging"))
	f.staging.launch()
	f.production.Await(f.production.rollout, "waits for staging", func() error {
		if b := f.production.rollout.Status.BlockedBy; len(b) != 1 || b[0].Kind != "RolloutGate" {
			return fmt.Errorf("it is blocked by %+v", b)
		}
		return nil
	})
	f.forge(first)
	blockedWith(f.production.World, f.production.rollout, "1.0.0 is being deployed in staging")
	stays(f.production.World, f.production.rollout, 0)
	f.staging.flux.Release()
	f.staging.AwaitPhase(f.staging.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	f.production.AwaitPhase(f.production.rollout, v1alpha1.PhaseAvailable, "1.0.0")

	f.staging.Patch(f.staging.rollout, `{"spec":{"deployTimeout":"1s"}}`)
	f.staging.flux.Hold()
	f.publish("1.1.0", second)
	f.staging.AwaitPhase(f.staging.rollout, v1alpha1.PhaseFailed, "1.1.0")
	f.production.Await(f.production.rollout, "reports the failure upstream", func() error {
		for _, b := range f.production.rollout.Status.BlockedBy {
			if strings.Contains(b.Message, "1.1.0 is quarantined in staging") || strings.Contains(b.Message, "1.1.0 is failed in staging") {
				return nil
			}
		}
		return fmt.Errorf("it is blocked by %+v", f.production.rollout.Status.BlockedBy)
	})
	stays(f.production.World, f.production.rollout, 1)
	for _, id := range []string{"1", "2"} {
		if n := f.github.Count(string(f.staging.rollout.UID) + "/" + id); n != 1 {
			t.Errorf("staging has made deployment %s %d times", id, n)
		}
	}
}
