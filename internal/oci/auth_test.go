package oci_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/kuberik/kuberik/internal/oci"
)

func TestAuth(t *testing.T) {
	user := func(name string) string { return fmt.Sprintf(`{"username":%q,"password":"p"}`, name) }
	cases := map[string]struct {
		reason string
		auths  map[string]string
		image  string
		want   authn.AuthConfig
	}{
		"Host": {
			"an entry for a host", map[string]string{"ghcr.io": user("u")}, "ghcr.io/org/app",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"Port": {
			"an entry for a host and port", map[string]string{"reg:5000": user("u")}, "reg:5000/app",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"OtherPort": {
			"another port is another registry", map[string]string{"reg:5000": user("u")}, "reg:5001/app", authn.AuthConfig{},
		},
		"OtherHost": {
			"credentials go to no other host", map[string]string{"ghcr.io": user("u")}, "ghcr.io.evil.example/app",
			authn.AuthConfig{},
		},
		"DockerLogin": {
			"the key that docker login writes", map[string]string{"https://index.docker.io/v1/": user("u")}, "nginx",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"DockerShort": {
			"the usual name of Docker Hub", map[string]string{"docker.io": user("u")}, "docker.io/library/nginx",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"DockerMirror": {
			"the host that serves Docker Hub", map[string]string{"registry-1.docker.io": user("u")}, "nginx",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"Scheme": {
			"a scheme and an API version are ignored", map[string]string{"https://reg.example/v2/": user("u")},
			"reg.example/app", authn.AuthConfig{Username: "u", Password: "p"},
		},
		"OddPath": {
			"a path that is not a prefix of the repository", map[string]string{"https://reg.example/api/docker": user("u")},
			"reg.example/app", authn.AuthConfig{Username: "u", Password: "p"},
		},
		"Case": {
			"the case of a host is ignored", map[string]string{"GHCR.io": user("u")}, "ghcr.io/app",
			authn.AuthConfig{Username: "u", Password: "p"},
		},
		"LongestPath": {
			"the entry with the longest path is used", map[string]string{
				"quay.io": user("all"), "quay.io/org": user("org"), "quay.io/org/app": user("app"),
			},
			"quay.io/org/app", authn.AuthConfig{Username: "app", Password: "p"},
		},
		"WholeSegments": {
			"a prefix covers whole path segments", map[string]string{"quay.io": user("all"), "quay.io/org": user("org")},
			"quay.io/organisation/app", authn.AuthConfig{Username: "all", Password: "p"},
		},
		"AuthField": {
			"the user and the password in one field",
			map[string]string{"ghcr.io": fmt.Sprintf(`{"auth":%q}`, base64.StdEncoding.EncodeToString([]byte("u:p:q")))},
			"ghcr.io/app", authn.AuthConfig{Username: "u", Password: "p:q"},
		},
		"IdentityToken": {
			"a token instead of a password", map[string]string{"ghcr.io": `{"identitytoken":"tok"}`},
			"ghcr.io/app", authn.AuthConfig{IdentityToken: "tok"},
		},
		"BadNeighbour": {
			"an invalid entry for another registry is ignored",
			map[string]string{"ghcr.io": user("u"), "quay.io": `{"auth":"%%%"}`},
			"ghcr.io/app", authn.AuthConfig{Username: "u", Password: "p"},
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			entries := make([]string, 0, len(tc.auths))
			for key, value := range tc.auths {
				entries = append(entries, fmt.Sprintf("%q:%s", key, value))
			}
			auth := parse(t, `{"auths":{`+strings.Join(entries, ",")+`}}`)
			repo, err := name.NewRepository(tc.image)
			if err != nil {
				t.Fatal(err)
			}
			found, err := auth.Resolve(repo)
			if err != nil {
				t.Fatal(err)
			}
			got, err := found.Authorization()
			if err != nil {
				t.Fatal(err)
			}
			got.Auth = "" // the user and the password again
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestErrorsDoNotQuoteThePullSecret(t *testing.T) {
	if _, err := oci.ParseAuth([]byte(`{"auths": ` + secret)); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v, want an error without the file's content", err)
	}
	auth := parse(t, fmt.Sprintf(`{"auths":{"ghcr.io":{"auth":%q}}}`, "%"+secret))
	_, err := newReader().Details(t.Context(), oci.Ref{Image: "ghcr.io/app", Tag: "1"}, auth)
	if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "pull secret") {
		t.Errorf("got %v, want an error that names the pull secret and not its content", err)
	}
}

func TestDockerConfigOfTheProcessIsIgnored(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, map[string]string{prefix + "version": "1"}, nil))
	home := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"username":"u","password":%q}}}`, w.host, secret)
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", home)
	w.misbehave(requireBasic)
	for label, keychain := range map[string]authn.Keychain{"None": nil, "Empty": oci.Auth{}} {
		if _, err := newReader().Details(t.Context(), ref, keychain); err == nil {
			t.Errorf("%s: the read used the Docker configuration of this process", label)
		}
	}
}
