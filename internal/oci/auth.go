package oci

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// None of these wraps its cause: an error about credentials may quote them.
var (
	errBadFile  = errors.New("the pull secret is not valid .dockerconfigjson")
	errBadEntry = errors.New("the entry in the pull secret cannot be decoded")
	errHelper   = errors.New("the credentials could not be had")
)

// Auth holds the credentials of a pull secret. The zero value has none and reads anonymously.
type Auth struct {
	entries []entry
}

// entry is one key of the secret, taken apart.
type entry struct {
	key, host, path string
	config          authn.AuthConfig
	err             error
}

// ParseAuth reads the content of a Secret's .dockerconfigjson. An entry that cannot be decoded spoils only itself.
func ParseAuth(dockerconfigjson []byte) (Auth, error) {
	var file struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(dockerconfigjson, &file); err != nil {
		return Auth{}, errBadFile
	}
	var auth Auth
	for key, raw := range file.Auths {
		e := entry{key: key}
		e.host, e.path = splitKey(key)
		if json.Unmarshal(raw, &e.config) != nil {
			e.err = errBadEntry
		}
		auth.entries = append(auth.entries, e)
	}
	// The most specific first; equally specific ones in an order that does not change from run to run.
	slices.SortFunc(auth.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.key, b.key))
	})
	return auth, nil
}

// Resolve implements authn.Keychain. An entry whose path leads to the repository is taken before one for the whole
// registry, and that before one for another path there, which Docker accepts as well.
func (a Auth) Resolve(target authn.Resource) (authn.Authenticator, error) {
	host := canonicalHost(target.RegistryStr())
	_, repo, _ := strings.Cut(target.String(), "/")
	var best *entry
	for i, e := range a.entries {
		if e.host != host {
			continue
		}
		if e.path == "" || repo == e.path || strings.HasPrefix(repo, e.path+"/") {
			best = &a.entries[i]
			break
		}
		if best == nil {
			best = &a.entries[i]
		}
	}
	switch {
	case best == nil:
		return authn.Anonymous, nil
	case best.err != nil:
		return nil, best.err
	default:
		return authn.FromConfig(best.config), nil
	}
}

// splitKey takes a key of the secret apart. Scheme, and the API version that docker login writes, carry no meaning.
func splitKey(key string) (host, path string) {
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	host, path, _ = strings.Cut(key, "/")
	path = strings.Trim(path, "/")
	if path == "v1" || path == "v2" {
		path = ""
	}
	return canonicalHost(host), path
}

// canonicalHost knows the many names of Docker Hub.
func canonicalHost(host string) string {
	switch host = strings.ToLower(host); host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return name.DefaultRegistry
	default:
		return host
	}
}

// resolve never falls back to the docker configuration of the user this process runs as.
func resolve(ctx context.Context, keychain authn.Keychain, target authn.Resource) (authn.Authenticator, error) {
	if keychain == nil {
		return authn.Anonymous, nil
	}
	auth, err := authn.Resolve(ctx, keychain, target)
	if err != nil && !errors.Is(err, errBadEntry) {
		return nil, errHelper
	}
	return auth, err
}

// principals gives credentials a name by which they can be told apart but not recovered.
type principals struct{ key []byte }

func newPrincipals() principals {
	return principals{key: []byte(rand.Text())}
}

func (p principals) of(ctx context.Context, auth authn.Authenticator) (string, error) {
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return "", errHelper
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", errHelper
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil)), nil
}
