package all

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/limit"
	"github.com/kuberik/kuberik/internal/environment/retry"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Backends opens backends.
type Backends struct {
	// Client reads the cache.
	Client client.Reader
	// Out is the way out of the cluster, and Keys what is needed on it.
	Out  *outbound.Client
	Keys outbound.Keys
	// GitHub shares what its backends read, and their budget.
	GitHub *github.Pool
	// GitLab does the same.
	GitLab *gitlab.Pool
	// Clock tells the time.
	Clock clock.PassiveClock

	once   sync.Once
	mu     sync.Mutex
	opened *lru.Cache
}

// keys of Secrets. Those of a GitHub App are named as Flux names them.
const (
	keyToken        = "token"
	keyApp          = "githubAppID"
	keyInstallation = "githubAppInstallationID"
	keyPrivateKey   = "githubAppPrivateKey"
)

// For opens the backend of an Environment. What somebody has to change is an *environment.RefusedError.
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
	return nil, refused("backend type %q is none that this controller knows: write cluster, github or gitlab", e.Spec.Backend.Type)
}

func (b *Backends) cluster(e *environments.Environment) environment.Backend {
	return cluster.Backend{Client: b.Client, Namespace: e.Namespace, Clock: b.Clock}
}

func (b *Backends) github(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	spec := e.Spec.Backend
	secret, client, err := b.access(ctx, e, "github-token", github.DefaultAPIURL)
	if err != nil {
		return nil, err
	}
	o := github.Options{
		Project: spec.Project, APIURL: spec.APIURL, HTTPClient: client, TrustedActors: spec.TrustedActors, UnsignedActors: spec.UnsignedActors,
		Token: string(secret.Data[keyToken]),
	}
	if o.App, err = app(secret); err != nil {
		return nil, err
	}
	if o.Interval, err = environment.Interval(e.Spec); err != nil {
		return nil, refused("spec.requeueInterval: %w", err)
	}
	if o.SignatureKey, err = b.signature(ctx, e); err != nil {
		return nil, err
	}
	opened, err := b.GitHub.Backend(o)
	if err != nil {
		return nil, &environment.RefusedError{Err: err}
	}
	return b.patient(opened), nil
}

const (
	// attempts and pause: what fails is asked once more, after the while for which a backend lets nobody repeat a failure.
	attempts, pause = 2, 3 * time.Second
	// mostCalls of one backend in an hour: no honest fleet comes near, but a loop of ours would end there instead of at the door of others.
	mostCalls = 50_000
	// mostBackends are remembered with how often they were called.
	mostBackends = 1024
)

// patient is a backend that asks again what failed, and that is not asked without end. Backends that are the same share their bound.
func (b *Backends) patient(opened environment.Backend) environment.Backend {
	b.once.Do(func() { b.opened = lru.New(mostBackends) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.opened.Get(opened); ok {
		if known, ok := known.(environment.Backend); ok {
			return known
		}
	}
	made := retry.New(limit.New(opened, mostCalls, time.Hour, b.Clock), retry.Options{Attempts: attempts, Pause: pause})
	b.opened.Add(opened, made)
	return made
}

// access reads the credentials of an Environment, and opens the way to the API. They go to the host of the API of old; to any other only
// where the Secret says so.
func (b *Backends) access(ctx context.Context, e *environments.Environment, usual, home string) (*corev1.Secret, *http.Client, error) {
	key := types.NamespacedName{Namespace: e.Namespace, Name: cmp.Or(e.Spec.Backend.Secret, usual)}
	secret, err := b.Keys.Secret(ctx, key)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, refused("Secret %s does not exist in the namespace of the Environment", key.Name)
	case err != nil:
		return nil, nil, fmt.Errorf("reading Secret %q: %w", key, err)
	}
	if secret.Type == corev1.SecretTypeServiceAccountToken || secret.Type == corev1.SecretTypeBootstrapToken {
		return nil, nil, refused("Secret %s is a credential of this cluster (%s), which is sent nowhere", key.Name, secret.Type)
	}
	api, err := url.Parse(cmp.Or(e.Spec.Backend.APIURL, home))
	if err != nil || api.Host == "" {
		return nil, nil, refused("spec.backend.apiURL is no URL: write one such as https://github.example.com/api/v3/")
	}
	if e.Spec.Backend.APIURL != "" {
		if err := outbound.MaySend(secret, api); err != nil {
			return nil, nil, &environment.RefusedError{Err: err}
		}
	}
	out, _, err := b.Out.HTTPClient(ctx, e.Namespace, outbound.Access{Host: api.Host})
	return secret, out, err
}

func app(s *corev1.Secret) (*github.App, error) {
	if len(s.Data[keyApp]) == 0 {
		if len(s.Data[keyToken]) == 0 {
			return nil, refused("Secret %s has neither the key %s nor %s", s.Name, keyToken, keyApp)
		}
		return nil, nil //nolint:nilnil // a token is enough
	}
	id, err := number(s, keyApp)
	if err != nil {
		return nil, err
	}
	installation, err := number(s, keyInstallation)
	if err != nil {
		return nil, err
	}
	return &github.App{ID: id, Installation: installation, PrivateKey: s.Data[keyPrivateKey]}, nil
}

func number(s *corev1.Secret, key string) (int64, error) {
	n, err := strconv.ParseInt(string(s.Data[key]), 10, 64)
	if err != nil {
		return 0, refused("key %s of Secret %s is not a number", key, s.Name)
	}
	return n, nil
}

// signature is the key that the controllers of all environments share, or nil.
func (b *Backends) signature(ctx context.Context, e *environments.Environment) ([]byte, error) {
	ref := e.Spec.Backend.SignatureFrom
	if ref == nil {
		return nil, nil
	}
	secret, err := b.Keys.Secret(ctx, types.NamespacedName{Namespace: e.Namespace, Name: ref.Name})
	switch {
	case apierrors.IsNotFound(err):
		return nil, refused("Secret %s of spec.backend.signatureFrom does not exist", ref.Name)
	case err != nil:
		return nil, fmt.Errorf("reading Secret %q of spec.backend.signatureFrom: %w", ref.Name, err)
	case len(secret.Data[ref.Key]) == 0:
		return nil, refused("Secret %s of spec.backend.signatureFrom has no key %s", ref.Name, ref.Key)
	}
	return secret.Data[ref.Key], nil
}

func refused(format string, args ...any) error {
	return &environment.RefusedError{Err: fmt.Errorf(format, args...)}
}
