package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

func privateKey(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
}

func TestApp(t *testing.T) {
	b := newBench(t)
	k, text := privateKey(t)
	b.AddApp(12, 34, "kuberik-app", &k.PublicKey)
	o := github.Options{
		Options: remote.Options{Project: project, URL: b.url}, App: &github.App{ID: 12, Installation: 34, PrivateKey: text},
	}
	publish(t, b.backend(t, o), succeeded(1))
	if s, _ := read(t, b.backend(t, o)).Find("staging"); len(s.Deployments) != 1 ||
		s.Deployments[0].UntrustedReason != "" {
		t.Errorf("the deployment of the App itself is %+v", s)
	}
	other := b.options("someone")
	other.TrustedActors = []string{"kuberik-app[bot]"}
	if s, _ := read(t, b.backend(t, other)).Find("staging"); s.Deployments[0].UntrustedReason != "" {
		t.Errorf("a Backend that trusts the App reads %+v", s)
	}
	b.Calls()
	var refused *environment.RefusedError
	for name, app := range map[string]github.App{
		"another installation": {
			ID: 12, Installation: 35, PrivateKey: text,
		}, "another App": {ID: 13, Installation: 34, PrivateKey: text},
	} {
		o.App = &app
		_, err := b.backend(t, o).Read(t.Context(), "shop")
		if !errors.As(err, &refused) || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	_, text := privateKey(t)
	fine := github.Options{Options: remote.Options{Project: "octo-org/shop", Token: "secret-token"}}
	for name, tc := range map[string]struct {
		change func(*github.Options)
		want   string
	}{
		"fine":       {func(*github.Options) {}, ""},
		"enterprise": {func(o *github.Options) { o.URL = "https://github.example.com/api/v3" }, ""},
		"app":        {func(o *github.Options) { o.App = &github.App{ID: 1, Installation: 2, PrivateKey: text} }, ""},
		"project":    {func(o *github.Options) { o.Project = "shop" }, "owner/repository"},
		"path":       {func(o *github.Options) { o.Project = "octo-org/shop/../other" }, "owner/repository"},
		"URL":        {func(o *github.Options) { o.URL = "ftp://x" }, "API URL"},
		"no token":   {func(o *github.Options) { o.Token = "" }, "neither a token"},
		"short key":  {func(o *github.Options) { o.SignatureKey = []byte("short") }, "needs 32"},
		"app ids":    {func(o *github.Options) { o.App = &github.App{PrivateKey: text} }, "positive"},
		"app key": {func(o *github.Options) {
			o.App = &github.App{ID: 1, Installation: 2, PrivateKey: []byte("secret-token")}
		}, "private key"},
		"interval":      {func(o *github.Options) { o.Interval = -time.Second }, ""},
		"no app at all": {func(o *github.Options) { o.App, o.Token = nil, "" }, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			o := fine
			tc.change(&o)
			_, err := github.NewPool(remote.PoolOptions{}).Backend(o)
			switch {
			case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "secret-token"):
				t.Errorf("the error contains a secret: %v", err)
			}
		})
	}
}

// TestPool: Backends share only what their credentials and options allow.
func TestPool(t *testing.T) {
	b := newBench(t)
	pool := github.NewPool(b.pool)
	one := b.options("kuberik")
	backend := func(o github.Options) *github.Backend {
		t.Helper()
		made, err := pool.Backend(o)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	if again := backend(one); again != backend(one) {
		t.Error("two Backends with the same options differ")
	}
	trusting := one
	trusting.TrustedActors = []string{"peer"}
	publish(t, b.backend(t, b.options("peer")), succeeded(1))
	b.Calls()
	read(t, backend(one))
	n := len(b.Calls())
	s, _ := read(t, backend(trusting)).Find("staging")
	// Only the statuses of the logins that only the second one trusts have to be read.
	if m := len(b.Calls()); n == 0 || m != 1 {
		t.Errorf("the first made %d requests, and the second %d more", n, m)
	}
	mine, _ := read(t, backend(one)).Find("staging")
	if s.Deployments[0].UntrustedReason != "" || mine.Deployments[0].UntrustedReason == "" {
		t.Error("a Backend trusts the logins of another one")
	}
	read(t, backend(b.options("third")))
	if len(b.Calls()) == 0 {
		t.Error("Backends with other credentials share a cache")
	}
	old := backend(one)
	b.clock.Step(48 * time.Hour)
	if backend(one) == old {
		t.Error("an unused Backend stays forever")
	}
}
