package integration

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// checkServer responds to gates. It denies every digest until allow is called for its path.
type checkServer struct {
	*httptest.Server
	mu    sync.Mutex
	yes   map[string]bool
	asked []url.Values
}

func newCheckServer(t *testing.T) *checkServer {
	t.Helper()
	o := &checkServer{yes: map[string]bool{}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		q := r.URL.Query()
		o.asked = append(o.asked, q)
		if !o.yes[r.URL.Path+q.Get("digest")] || r.Header.Get("Authorization") != "" && r.Header.Get("Authorization") != "Bearer open sesame" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *checkServer) allow(path, digest string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.yes[path+digest] = true
}

// requests returns the number of requests about a digest.
func (o *checkServer) requests(tag, digest string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, q := range o.asked {
		if q.Get("tag") == tag && q.Get("digest") == digest && q.Get("env") == "test" {
			n++
		}
	}
	return n
}

// gate configures a gate to send requests to the server.
func (o *checkServer) gate(s *v1alpha1.RolloutGateSpec) {
	every := v1alpha1.Duration("1s")
	s.HTTP = &v1alpha1.HTTPGate{
		HTTPRequest: v1alpha1.HTTPRequest{URL: o.URL + "/may?env=test"}, Interval: &every,
		Query: map[string]string{"tag": "release.tag", "digest": "release.digest"},
	}
}

// local allows the controllers to connect to the machine of the test.
func local(s *controller.Settings) {
	s.Options.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

func TestAPICheckHoldsUntilTheAnswerIsYes(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run(local)
	w.SimulateFlux()
	o := newCheckServer(t)
	w.ByDigest(w.Kustomization("app", map[string]string{"VERSION": "app"}))
	w.Policy("app", "1.0.0")
	g := w.Gate("api", "app", o.gate)
	ro := w.Rollout("app")
	b := w.AwaitBlocked(ro, "RolloutGate", "AnsweredNo")
	if b.Name != "api" || b.Message != "answered 403, expected 200-299" || b.Since == nil {
		t.Errorf("it is blocked by %+v", b)
	}
	w.Consistently(2*time.Second, ro, "is held", func() error {
		if len(ro.Status.History) > 0 {
			return errors.New("it deploys")
		}
		return nil
	})
	o.allow("/may", env.Digest("1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	n := o.requests("1.0.0", env.Digest("1.0.0"))
	if n < 2 {
		t.Errorf("it sent %d requests with tag and digest", n)
	}

	t.Run("an allowed digest is not requested again", func(t *testing.T) {
		w.Annotate(ro, "example.com/look", "again")
		w.Patch(g, `{"metadata":{"labels":{"look":"again"}}}`)
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := w.Run(local).AwaitIdle(w.Ctx(), 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if more := o.requests("1.0.0", env.Digest("1.0.0")); more != n {
			t.Errorf("it sent %d requests more", more-n)
		}
	})
	t.Run("a tag that has moved is another release", func(t *testing.T) {
		w.Select("app", "1.0.0", env.Digest("moved"))
		w.AwaitBlocked(ro, "RolloutGate", "AnsweredNo")
		wantTags(t, ro, "1.0.0")
		if o.requests("1.0.0", env.Digest("moved")) == 0 {
			t.Error("no request was sent for it")
		}
	})
	t.Run("a changed gate sends new requests", func(t *testing.T) {
		o.allow("/other", env.Digest("moved"))
		w.Patch(g, `{"spec":{"http":{"url":"`+o.URL+`/other?env=test"}}}`)
		w.Await(ro, "deploys", func() error {
			if len(ro.Status.History) < 2 || ro.Status.History[0].Version.Digest != env.Digest("moved") {
				return errors.New("it does not")
			}
			return nil
		})
		w.Get(g)
		if v := g.Status.Verdicts; g.Status.ObservedGeneration != g.Generation || v[0].Digest != env.Digest("moved") || v[0].State != v1alpha1.GateOpen {
			t.Errorf("%+v", g.Status)
		}
	})
}

func TestAPICheckSendsASecretOnlyWhereItMayGo(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	o := newCheckServer(t)
	o.allow("/may", env.Digest("1.0.0"))
	secret := &corev1.Secret{ObjectMeta: w.Meta("api"), StringData: map[string]string{"token": "open sesame"}}
	w.Create(secret)
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	w.Gate("api", "app", o.gate, func(s *v1alpha1.RolloutGateSpec) {
		s.HTTP.HeadersFrom = []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: "api", Key: "token"}}}
	})
	ro := w.Rollout("app")
	if b := w.AwaitBlocked(ro, "RolloutGate", "Refused"); !strings.Contains(b.Message, "annotate it with kuberik.com/allowed-hosts: "+o.URL) {
		t.Errorf("it is blocked by %+v", b)
	}
	// Allowing the host alone allows TLS only: the URL must not decide that the Secret is sent in clear text.
	w.Patch(secret, `{"metadata":{"annotations":{"kuberik.com/allowed-hosts":"127.0.0.1"}}}`)
	blockedWith(w, ro, "without TLS: use https, or add "+o.URL+" to its annotation kuberik.com/allowed-hosts")
	if n := o.requests("1.0.0", env.Digest("1.0.0")); n > 0 {
		t.Errorf("it sent %d requests", n)
	}
	w.Patch(secret, `{"metadata":{"annotations":{"kuberik.com/allowed-hosts":"`+o.URL+`"}}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestAPICheckAsksNobodyOnThisMachineUnlessAllowed(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	o := newCheckServer(t)
	o.allow("/may", env.Digest("1.0.0"))
	w.Policy("app", "1.0.0")
	w.Gate("api", "app", o.gate)
	b := w.AwaitBlocked(w.Rollout("app"), "RolloutGate", "Refused")
	if b.Message != "address 127.0.0.1 may not be called (loopback); allow it with --allow-networks" {
		t.Errorf("it is blocked by %+v", b)
	}
}
