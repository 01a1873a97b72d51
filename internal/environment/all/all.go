package all

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/remote"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Backends opens the backends of Environments.
type Backends struct {
	// Client reads the cache.
	Client client.Reader
	// Out makes the requests to outside services, and Keys reads the Secrets for them.
	Out  *outbound.Client
	Keys outbound.Keys
	// GitHub opens the backends of GitHub.
	GitHub *github.Pool
	// GitLab opens the backends of GitLab.
	GitLab *gitlab.Pool
	// Clock tells the time.
	Clock clock.PassiveClock
}

// The keys of a Secret. Those of a GitHub App are the same as in Flux.
const (
	keyToken        = "token"
	keyApp          = "githubAppID"
	keyInstallation = "githubAppInstallationID"
	keyPrivateKey   = "githubAppPrivateKey"
)

// For returns the backend of an Environment. The error is an *environment.RefusedError if it lasts until somebody
// changes something.
func (b *Backends) For(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	if e.Spec.Backend == nil {
		return b.cluster(e), nil
	}
	switch e.Spec.Backend.Type {
	case environments.BackendCluster:
		return b.cluster(e), nil
	case environments.BackendGitHub:
		return b.github(ctx, e)
	case environments.BackendGitLab:
		return b.gitlab(ctx, e)
	}
	return nil, remote.Refused("spec.backend.type %q is unknown: set cluster, github or gitlab", e.Spec.Backend.Type)
}

func (b *Backends) cluster(e *environments.Environment) environment.Backend {
	return cluster.Backend{Client: b.Client, Namespace: e.Namespace, Clock: b.Clock}
}

func (b *Backends) github(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	o, secret, err := b.options(ctx, e, "github-token", github.DefaultAPIURL)
	if err != nil {
		return nil, err
	}
	app, err := app(secret)
	if err != nil {
		return nil, err
	}
	return refuse(b.GitHub.Backend(github.Options{Options: o, App: app}))
}

func (b *Backends) gitlab(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	o, secret, err := b.options(ctx, e, "gitlab-token", gitlab.DefaultURL)
	if err != nil {
		return nil, err
	}
	if o.Token == "" {
		return nil, remote.Refused("Secret %s has no key %s", secret.Name, keyToken)
	}
	return refuse(b.GitLab.Backend(o))
}

// refuse converts the error of a backend's options to a RefusedError, since it lasts until somebody changes them.
func refuse[B environment.Backend](backend B, err error) (environment.Backend, error) {
	if err != nil {
		return nil, &environment.RefusedError{Err: err}
	}
	return backend, nil
}

// options returns the options of an outside backend, and its Secret.
func (b *Backends) options(
	ctx context.Context, e *environments.Environment, defaultSecret, defaultURL string,
) (remote.Options, *corev1.Secret, error) {
	spec := e.Spec.Backend
	secret, client, err := b.access(ctx, e, defaultSecret, defaultURL)
	if err != nil {
		return remote.Options{}, nil, err
	}
	o := remote.Options{
		Namespace: e.Namespace, Project: spec.Project, URL: spec.APIURL, Token: string(secret.Data[keyToken]),
		HTTPClient: client,
		Trust:      remote.Trust{TrustedActors: spec.TrustedActors, UnsignedActors: spec.UnsignedActors},
	}
	if o.Interval, err = environment.Interval(e.Spec); err != nil {
		return o, nil, &environment.RefusedError{Err: err}
	}
	o.SignatureKey, err = b.signatureKey(ctx, e)
	return o, secret, err
}

// secretName returns the name of the Secret with the credentials.
func secretName(spec *environments.Backend, defaultName string) (string, error) {
	if spec.SecretRef == nil || spec.SecretRef.Name == "" {
		return cmp.Or(spec.Secret, defaultName), nil
	}
	if spec.Secret != "" && spec.Secret != spec.SecretRef.Name {
		return "", remote.Refused("spec.backend.secretRef names %s and spec.backend.secret names %s: remove "+
			"spec.backend.secret",
			spec.SecretRef.Name, spec.Secret)
	}
	return spec.SecretRef.Name, nil
}

// access returns the Secret with the credentials, and the HTTP client for the API. The credentials may always be sent
// to the public service, but to another host only if the Secret allows it.
func (b *Backends) access(
	ctx context.Context, e *environments.Environment, defaultSecret, defaultURL string,
) (*corev1.Secret, *http.Client, error) {
	name, err := secretName(e.Spec.Backend, defaultSecret)
	if err != nil {
		return nil, nil, err
	}
	key := types.NamespacedName{Namespace: e.Namespace, Name: name}
	secret, err := b.Keys.Secret(ctx, key)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, remote.Refused("Secret %s does not exist in the namespace of the Environment", key.Name)
	case err != nil:
		return nil, nil, fmt.Errorf("reading Secret %q: %w", key, err)
	}
	if secret.Type == corev1.SecretTypeServiceAccountToken || secret.Type == corev1.SecretTypeBootstrapToken {
		return nil, nil, remote.Refused(
			"Secret %s is a credential of this cluster (%s), which must not leave it: name a Secret of another type",
			key.Name, secret.Type,
		)
	}
	api, err := url.Parse(cmp.Or(e.Spec.Backend.APIURL, defaultURL))
	if err != nil || api.Host == "" {
		return nil, nil, remote.Refused(
			"spec.backend.apiURL is not an absolute URL: write one such as https://github.example.com/api/v3/",
		)
	}
	if e.Spec.Backend.APIURL != "" {
		if err := outbound.MaySend(secret, api); err != nil {
			return nil, nil, &environment.RefusedError{Err: err}
		}
	}
	out, _, err := b.Out.HTTPClient(ctx, e.Namespace, outbound.Access{Host: api.Host, MaxValues: maxValues})
	return secret, out, err
}

// maxValues bounds the objects and lists in the JSON of a response. A page of full records has a few thousand.
const maxValues = 50_000

// app returns the GitHub App of a Secret, or nil if it has a token.
func app(s *corev1.Secret) (*github.App, error) {
	if len(s.Data[keyApp]) == 0 {
		if len(s.Data[keyToken]) == 0 {
			return nil, remote.Refused("Secret %s has neither the key %s nor %s", s.Name, keyToken, keyApp)
		}
		return nil, nil //nolint:nilnil // a token is enough
	}
	id, err := parseNumber(s, keyApp)
	if err != nil {
		return nil, err
	}
	installation, err := parseNumber(s, keyInstallation)
	if err != nil {
		return nil, err
	}
	return &github.App{ID: id, Installation: installation, PrivateKey: s.Data[keyPrivateKey]}, nil
}

func parseNumber(s *corev1.Secret, key string) (int64, error) {
	n, err := strconv.ParseInt(string(s.Data[key]), 10, 64)
	if err != nil {
		return 0, remote.Refused("key %s of Secret %s is not a number", key, s.Name)
	}
	return n, nil
}

// signatureKey returns the signature key that the controllers of all environments share, or nil.
func (b *Backends) signatureKey(ctx context.Context, e *environments.Environment) ([]byte, error) {
	ref := e.Spec.Backend.SignatureKeyRef
	if ref == nil {
		return nil, nil
	}
	secret, err := b.Keys.Secret(ctx, types.NamespacedName{Namespace: e.Namespace, Name: ref.Name})
	switch {
	case apierrors.IsNotFound(err):
		return nil, remote.Refused("Secret %s of spec.backend.signatureKeyRef does not exist", ref.Name)
	case err != nil:
		return nil, fmt.Errorf("reading Secret %q of spec.backend.signatureKeyRef: %w", ref.Name, err)
	case len(secret.Data[ref.Key]) == 0:
		return nil, remote.Refused("Secret %s of spec.backend.signatureKeyRef has no key %s", ref.Name, ref.Key)
	}
	return secret.Data[ref.Key], nil
}
