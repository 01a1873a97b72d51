package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// password must not be in any status, event or log.
const password = "swordfish-8c1f"

// serve starts a registry that requires a user and a password.
func serve(t *testing.T) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "kuberik" || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push pushes an image with annotations, and returns its digest.
func push(t *testing.T, ref string, annotations map[string]string) string {
	t.Helper()
	image, ok := mutate.Annotations(empty.Image, annotations).(v1.Image)
	if !ok {
		t.Fatal("no image")
	}
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithAuth(&authn.Basic{Username: "kuberik", Password: password})); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func repository(w *env.World, name, image, secret string) {
	w.T.Helper()
	repo := &imagev1.ImageRepository{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: imagev1.ImageRepositorySpec{
		Image: image, Insecure: true, Interval: metav1.Duration{Duration: 3600e9},
	}}
	if secret != "" {
		repo.Spec.SecretRef = &meta.LocalObjectReference{Name: secret}
	}
	w.Create(repo)
}

func pullSecret(host, pass string) *corev1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte("kuberik:" + pass))
	return &corev1.Secret{
		// The registries of tests speak no TLS.
		ObjectMeta: metav1.ObjectMeta{Name: "pull", Annotations: map[string]string{v1alpha1.AnnotationAllowedHosts: "http://" + host}},
		Type:       corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)},
	}
}

// TestDetailsArriveWhenTheRegistryResponds: details arrive after the release, with the pull secret of the
// ImageRepository.
func TestDetailsArriveWhenTheRegistryResponds(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	host := serve(t)
	digest := push(t, host+"/app:1.0.0", map[string]string{
		"org.opencontainers.image.version": "1.0.0+build.7", "org.opencontainers.image.revision": "3f2a91c",
		"org.opencontainers.image.created": "2026-11-01T10:00:00Z", "org.opencontainers.image.title": "The app",
		"org.opencontainers.image.source": "https://example.com/app", "org.opencontainers.image.description": "It works.",
	})
	repository(w, "app", host+"/app", "pull")
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "")
	w.Select("app", "1.0.0", digest)
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	rel := &v1alpha1.Release{ObjectMeta: w.Meta("app-1.0.0-" + digest[7:15])}
	w.Await(rel, "reports that its Secret is missing", func() error {
		for _, c := range rel.Status.Conditions {
			if c.Type == v1alpha1.ConditionDetailsRead && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, `Secret "pull"`) {
				return nil
			}
		}
		return fmt.Errorf("its message is %+v", rel.Status.Conditions)
	})

	w.Create(pullSecret(host, password))
	w.Await(rel, "has details", func() error {
		if rel.Status.Details == nil {
			return errors.New("it has none")
		}
		return nil
	})
	if d := rel.Status.Details; d.Revision != "3f2a91c" || d.Version != "1.0.0+build.7" || d.Digest != digest || d.Created == nil {
		t.Errorf("the details are %+v", d)
	}
	w.Await(ro, "knows the revision", func() error {
		for _, v := range []v1alpha1.VersionInfo{ro.Status.AvailableReleases[0], ro.Status.History[0].Version} {
			if v.Revision == nil || *v.Revision != "3f2a91c" {
				return fmt.Errorf("it knows %+v", v)
			}
		}
		if ptrText(ro.Status.Title) != "The app" || ptrText(ro.Status.Source) != "https://example.com/app" {
			return errors.New("it has no title or source")
		}
		return nil
	})
}

// TestRegistryOnThisMachineIsNotAsked: a user who may write an ImageRepository chooses where the controller reads from.
func TestRegistryOnThisMachineIsNotAsked(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	repository(w, "app", strings.TrimPrefix(server.URL, "http://")+"/app", "")
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable)
	w.Await(rel, "reports that the address is refused", func() error {
		for _, c := range rel.Status.Conditions {
			if c.Type == v1alpha1.ConditionDetailsRead && strings.Contains(c.Message, "address 127.0.0.1 may not be called (loopback)") {
				return nil
			}
		}
		return fmt.Errorf("its message is %+v", rel.Status.Conditions)
	})
	if n := asked.Load(); n > 0 {
		t.Errorf("it got %d requests", n)
	}
}

// TestSecretsAreInNoStatusAndNoEvent: the registry denies access, and no message contains the password.
func TestSecretsAreInNoStatusAndNoEvent(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run(local)
	w.SimulateFlux()
	host := serve(t)
	repository(w, "app", host+"/app", "pull")
	w.Create(pullSecret(host, "wrong-"+password))
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable)
	w.Await(rel, "reports that it could not be read", func() error {
		if len(rel.Status.Conditions) == 0 || rel.Status.Conditions[0].Status != metav1.ConditionFalse {
			return errors.New("it does not")
		}
		return nil
	})
	encoded := base64.StdEncoding.EncodeToString([]byte("kuberik:wrong-" + password))
	for _, c := range m.Wire.Writes() {
		if strings.Contains(c.Body, password) || strings.Contains(c.Body, encoded) {
			t.Errorf("%s holds the password: %s", c, c.Body)
		}
	}
}

// TestHangingRegistryDelaysNobody: more releases than there are workers wait for a response that never comes.
func TestHangingRegistryDelaysNobody(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	gone := make(chan struct{})
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(gone) })
	host := strings.TrimPrefix(server.URL, "http://")
	ros := make([]*v1alpha1.Rollout, 6)
	for i := range ros {
		name := fmt.Sprintf("app%d", i)
		repository(w, name, host+"/app", "")
		w.Kustomization(name, map[string]string{"VERSION": name})
		w.Policy(name, "1.0.0")
		ros[i] = w.Rollout(name)
	}
	<-asked
	for _, tag := range []string{"1.0.0", "1.1.0"} {
		for i, ro := range ros {
			w.Select(fmt.Sprintf("app%d", i), tag, env.Digest(tag))
			w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
		}
	}
}
