package scrape

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	testingclock "k8s.io/utils/clock/testing"
)

// apiServer knows the token "prometheus", which may get /metrics, and "tenant", which may not.
type apiServer struct {
	client.Writer
	asked int
	down  bool
}

func (a *apiServer) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	a.asked++
	if a.down {
		return errors.New("down")
	}
	switch o := o.(type) {
	case *authenticationv1.TokenReview:
		if token := o.Spec.Token; token == "prometheus" || token == "tenant" {
			o.Status.Authenticated = true
			o.Status.User = authenticationv1.UserInfo{Username: token, UID: "1", Groups: []string{"people"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}}
		}
	case *authorizationv1.SubjectAccessReview:
		s := o.Spec
		o.Status.Allowed = s.User == "prometheus" && s.UID == "1" && s.Groups[0] == "people" && s.Extra["k"][0] == "v" &&
			s.NonResourceAttributes.Verb == "get" && s.NonResourceAttributes.Path == "/metrics"
	}
	return nil
}

func TestWhoReadsMetrics(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header, path string
		down         bool
		want         int
		says         string
	}{
		"Prometheus":            {"Bearer prometheus", "/metrics", false, 200, "the metrics"},
		"another path":          {"Bearer prometheus", "/debug", false, 403, "prometheus may not get this path"},
		"a tenant":              {"Bearer tenant", "/metrics", false, 403, "kuberik-metrics-reader"},
		"an unknown token":      {"Bearer other", "/metrics", false, 401, "does not know this token"},
		"nobody":                {"", "/metrics", false, 401, "Authorization: Bearer"},
		"an empty token":        {"Bearer ", "/metrics", false, 401, "Authorization: Bearer"},
		"a password":            {"Basic prometheus", "/metrics", false, 401, "Authorization: Bearer"},
		"an API server is down": {"Bearer prometheus", "/metrics", true, 500, "could not be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &guard{asks: &apiServer{down: tc.down}, clock: testingclock.NewFakePassiveClock(time.Unix(0, 0)), passed: map[pass]time.Time{}}
			if code, body := read(t, g, tc.header, tc.path); code != tc.want || !strings.Contains(body, tc.says) {
				t.Errorf("got %d %s", code, body)
			}
		})
	}
}

// TestAnswersAreRemembered asks once a minute, and forgets what it has answered nobody.
func TestAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	api, clk := &apiServer{}, testingclock.NewFakePassiveClock(time.Unix(0, 0))
	g := &guard{asks: api, clock: clk, passed: map[pass]time.Time{}}
	for i, step := range []struct {
		header string
		after  time.Duration
		asked  int
	}{
		{"Bearer prometheus", 0, 2}, {"Bearer prometheus", 59 * time.Second, 0}, {"Bearer prometheus", time.Second, 2},
		{"Bearer tenant", 0, 2}, {"Bearer tenant", 0, 2}, {"Bearer other", 0, 1}, {"Bearer other", 0, 1},
	} {
		api.asked = 0
		clk.SetTime(clk.Now().Add(step.after))
		read(t, g, step.header, "/metrics")
		if api.asked != step.asked {
			t.Errorf("step %d has asked %d times, want %d", i, api.asked, step.asked)
		}
	}
	for i := range 3 * maxRemembered {
		g.remember(pass{token: [32]byte{byte(i)}})
	}
	if len(g.passed) > maxRemembered {
		t.Errorf("it remembers %d tokens", len(g.passed))
	}
}

func read(t *testing.T, g *guard, header, path string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	w := httptest.NewRecorder()
	g.serve(logr.Discard(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("the metrics")) }), w, r)
	return w.Code, w.Body.String()
}
