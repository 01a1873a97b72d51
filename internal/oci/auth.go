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

// None of these wraps its cause, because an error about credentials may quote them.
var (
	errInvalidConfig = errors.New("the pull secret is not valid .dockerconfigjson")
	errInvalidEntry  = errors.New("the entry in the pull secret cannot be decoded")
	errNoCredentials = errors.New("the credentials cannot be resolved")
)

// Auth holds the credentials of a pull secret. The zero value has none, so reads are anonymous.
type Auth struct {
	entries []entry
}

// entry is one registry or repository of the pull secret.
type entry struct {
	key, host, path string
	config          authn.AuthConfig
	err             error
}

// ParseAuth parses the .dockerconfigjson of a Secret. An entry that cannot be decoded does not affect the others.
func ParseAuth(dockerconfigjson []byte) (Auth, error) {
	var file struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(dockerconfigjson, &file); err != nil {
		return Auth{}, errInvalidConfig
	}
	var auth Auth
	for key, raw := range file.Auths {
		e := entry{key: key}
		e.host, e.path = splitKey(key)
		if json.Unmarshal(raw, &e.config) != nil {
			e.err = errInvalidEntry
		}
		auth.entries = append(auth.entries, e)
	}
	// The most specific entries come first. Equally specific ones are in a stable order.
	slices.SortFunc(auth.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.key, b.key))
	})
	return auth, nil
}

// Resolve implements authn.Keychain. It prefers an entry whose path is a prefix of the repository over one for the
// whole registry, and that over one for another path of the registry, which Docker accepts as well.
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

// splitKey splits a key of the pull secret. It ignores the scheme and the API version that docker login writes.
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

// canonicalHost returns one name for the many of Docker Hub, and other hosts in lower case.
func canonicalHost(host string) string {
	switch host = strings.ToLower(host); host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return name.DefaultRegistry
	default:
		return host
	}
}

// resolve returns the credentials for an image. It never falls back to the Docker configuration of this process.
func resolve(ctx context.Context, keychain authn.Keychain, target authn.Resource) (authn.Authenticator, error) {
	if keychain == nil {
		return authn.Anonymous, nil
	}
	auth, err := authn.Resolve(ctx, keychain, target)
	if err != nil && !errors.Is(err, errInvalidEntry) {
		return nil, errNoCredentials
	}
	return auth, err
}

// principals hashes credentials with a key of this process, so that they can be compared but not recovered.
type principals struct{ key []byte }

func newPrincipals() principals {
	return principals{key: []byte(rand.Text())}
}

func (p principals) hash(ctx context.Context, auth authn.Authenticator) (string, error) {
	config, err := authn.Authorization(ctx, auth)
	if err != nil {
		return "", errNoCredentials
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", errNoCredentials
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil)), nil
}
