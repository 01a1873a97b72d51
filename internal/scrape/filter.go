package scrape

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// remembered is how long the API server is not asked again about a token that it has let pass.
	remembered = time.Minute
	// maxRemembered bounds the tokens that are remembered.
	maxRemembered = 64
)

var errForbidden = errors.New("may not get this path: bind the ClusterRole kuberik-metrics-reader to it")

// Filter returns a filter for a metrics server. The program needs to be allowed to create TokenReviews and
// SubjectAccessReviews.
func Filter(cfg *rest.Config, h *http.Client) (metricsserver.Filter, error) {
	c, err := client.New(cfg, client.Options{HTTPClient: h})
	if err != nil {
		return nil, err
	}
	g := &guard{asks: c, clock: clock.RealClock{}, passed: map[pass]time.Time{}}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(log, next, w, r) }), nil
	}, nil
}

// pass is a token, hashed, and a path that it may get.
type pass struct {
	token [sha256.Size]byte
	path  string
}

type guard struct {
	asks   client.Writer
	clock  clock.PassiveClock
	mu     sync.Mutex
	passed map[pass]time.Time
}

func (g *guard) serve(log logr.Logger, next http.Handler, w http.ResponseWriter, r *http.Request) {
	token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !given || token == "" {
		http.Error(w, "send the token of a service account: Authorization: Bearer <token>", http.StatusUnauthorized)
		return
	}
	p := pass{sha256.Sum256([]byte(token)), r.URL.Path}
	if !g.knows(p) {
		user, err := g.ask(r.Context(), token, r.URL.Path)
		switch {
		case errors.Is(err, errForbidden):
			http.Error(w, user+" "+err.Error(), http.StatusForbidden)
			return
		case err != nil:
			log.Error(err, "asking the API server who reads metrics")
			http.Error(w, "the API server could not be asked who you are", http.StatusInternalServerError)
			return
		case user == "":
			http.Error(w, "the API server does not know this token", http.StatusUnauthorized)
			return
		}
		g.remember(p)
	}
	next.ServeHTTP(w, r)
}

// ask returns who has sent a token, and errForbidden if they may not get a path. An unknown token belongs to nobody.
func (g *guard) ask(ctx context.Context, token, path string) (user string, err error) {
	who := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := g.asks.Create(ctx, who); err != nil || !who.Status.Authenticated {
		return "", err
	}
	u := who.Status.User
	may := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: u.Username, UID: u.UID, Groups: u.Groups, Extra: map[string]authorizationv1.ExtraValue{},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: "get"},
	}}
	for k, v := range u.Extra {
		may.Spec.Extra[k] = authorizationv1.ExtraValue(v)
	}
	if err := g.asks.Create(ctx, may); err != nil {
		return "", err
	}
	if !may.Status.Allowed {
		return u.Username, errForbidden
	}
	return u.Username, nil
}

func (g *guard) knows(p pass) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, known := g.passed[p]
	return known && g.clock.Now().Before(until)
}

// remember forgets everything before it holds too much.
func (g *guard) remember(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.passed) >= maxRemembered {
		clear(g.passed)
	}
	g.passed[p] = g.clock.Now().Add(remembered)
}
