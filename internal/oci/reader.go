package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/utils/lru"

	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultCacheSize = 1024

	// maxRequests bounds a whole read in multiples of the request timeout: ping, token, manifest, child, config.
	maxRequests = 5
)

// Ref names an image in a registry.
type Ref struct {
	// Image is the repository, without tag or digest.
	Image string
	// Tag is read only where no digest is known, since it may have moved.
	Tag string
	// Digest names the content itself.
	Digest string
	// Insecure allows plain HTTP.
	Insecure bool
	// MaySend returns why credentials may not be sent to a URL of plain HTTP; nil if they may. Default: they may not.
	MaySend func(*url.URL) error
}

// String names the image as people write it.
func (r Ref) String() string {
	if r.Digest != "" {
		return r.Image + "@" + r.Digest
	}
	return r.Image + ":" + r.Tag
}

func (r Ref) parse() (name.Reference, error) {
	opts := []name.Option{name.WeakValidation}
	if r.Insecure {
		opts = append(opts, name.Insecure)
	}
	switch {
	case r.Digest != "":
		return name.NewDigest(r.String(), opts...)
	case r.Tag != "":
		return name.NewTag(r.String(), opts...)
	default:
		return nil, errors.New("neither tag nor digest given")
	}
}

// Reader reads image details and remembers them by digest.
type Reader struct {
	timeout   time.Duration
	userAgent string
	transport http.RoundTripper
	cache     *lru.Cache
	principal principals
}

// Option changes a default of New.
type Option func(*settings)

type settings struct {
	timeout   time.Duration
	cacheSize int
	userAgent string
	policy    outbound.Policy
}

// WithTimeout bounds each request to the registry; the default is ten seconds.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithCacheSize bounds how many images are remembered; the default is 1024.
func WithCacheSize(n int) Option { return func(s *settings) { s.cacheSize = n } }

// WithUserAgent says who asks.
func WithUserAgent(ua string) Option { return func(s *settings) { s.userAgent = ua } }

// WithPolicy says which addresses may be called; the default is that of outbound.Policy.
func WithPolicy(p outbound.Policy) Option { return func(s *settings) { s.policy = p } }

// New returns a Reader that is safe for concurrent use.
func New(opts ...Option) *Reader {
	s := settings{timeout: defaultTimeout, cacheSize: defaultCacheSize, userAgent: "kuberik"}
	for _, opt := range opts {
		opt(&s)
	}
	return &Reader{
		timeout:   s.timeout,
		userAgent: s.userAgent,
		transport: dialer(s.policy),
		cache:     lru.New(max(s.cacheSize, 1)),
		principal: newPrincipals(),
	}
}

// Details reads what the image says about itself. With a digest the answer is remembered; without one the tag is read anew each time and
// Details.Digest says what it meant. It takes no longer than a few times the timeout of a request, and ends when ctx does.
func (r *Reader) Details(ctx context.Context, ref Ref, keychain authn.Keychain) (Details, error) {
	parsed, err := ref.parse()
	if err != nil {
		return Details{}, fmt.Errorf("parsing image reference %q: %w", clean(ref.String(), maxError), err)
	}
	auth, err := resolve(ctx, keychain, parsed.Context())
	if err != nil {
		return Details{}, fmt.Errorf("finding credentials for %q: %w", parsed.Context(), err)
	}
	// Who asks is part of the key: what one tenant's credentials opened is not shown to another's.
	who, err := r.principal.of(ctx, auth)
	if err != nil {
		return Details{}, fmt.Errorf("finding credentials for %q: %w", parsed.Context(), err)
	}
	key := parsed.String() + "\n" + who
	if d, ok := r.cache.Get(key); ok && ref.Digest != "" {
		return d.(Details), nil //nolint:forcetypeassert // the cache holds nothing else
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxRequests*r.timeout, errTimeout)
	defer cancel()
	d, err := r.read(ctx, parsed, auth, ref)
	if err != nil {
		return Details{}, fmt.Errorf("reading image %q: %w", parsed, safe(err))
	}
	if ref.Digest != "" {
		r.cache.Add(key, d)
	}
	return d, nil
}

func (r *Reader) read(ctx context.Context, ref name.Reference, auth authn.Authenticator, how Ref) (Details, error) {
	puller, err := remote.NewPuller(
		remote.WithAuth(auth),
		remote.WithUserAgent(r.userAgent),
		remote.WithTransport(&guard{next: r.transport, timeout: r.timeout, insecure: how.Insecure, maySend: how.MaySend}),
		// Trying again is up to the caller, who knows how urgent it is; the library would sleep past the context.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	)
	if err != nil {
		return Details{}, err
	}
	w := walk{puller: puller, repo: ref.Context()}
	return w.details(ctx, ref)
}
