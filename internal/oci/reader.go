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

	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	defaultTimeout = 10 * time.Second
	// defaultCacheSize is the number of cached images, which take up to 3 KB each. A namespace may cache one in
	// namespaceFraction of them.
	defaultCacheSize  = 4096
	namespaceFraction = 8

	// maxRequests bounds the time of a read, in timeouts of one request: ping, token, manifest, child, config.
	maxRequests = 5
)

// Ref is a reference to an image in a registry.
type Ref struct {
	// Image is the repository, without tag or digest.
	Image string
	// Tag is used only without a digest, since it may have moved.
	Tag string
	// Digest of the manifest or index.
	Digest string
	// Namespace that the image is read for. It has a share of the cache.
	Namespace string
	// Insecure allows plain HTTP.
	Insecure bool
	// MaySend returns an error if the credentials may not be sent to a URL of plain HTTP. By default, they may not.
	MaySend func(*url.URL) error
}

// String returns the reference as users write it.
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
		return nil, errors.New("the image has neither a tag nor a digest")
	}
}

// Reader reads the details of images and caches them by digest. It is safe for concurrent use.
type Reader struct {
	timeout    time.Duration
	userAgent  string
	transport  http.RoundTripper
	cache      *fair.Cache[string, Details]
	principals principals
}

// Option changes a default of New.
type Option func(*settings)

type settings struct {
	timeout   time.Duration
	cacheSize int
	userAgent string
	policy    outbound.Policy
}

// WithTimeout bounds each request to the registry. Defaults to 10s.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithCacheSize bounds the number of cached images. Defaults to 4096. A namespace may cache an eighth of them.
func WithCacheSize(n int) Option { return func(s *settings) { s.cacheSize = n } }

// WithUserAgent sets the User-Agent of the requests. Defaults to kuberik.
func WithUserAgent(ua string) Option { return func(s *settings) { s.userAgent = ua } }

// WithPolicy sets which addresses may be called. Defaults to the zero outbound.Policy.
func WithPolicy(p outbound.Policy) Option { return func(s *settings) { s.policy = p } }

// New returns a Reader.
func New(opts ...Option) *Reader {
	s := settings{timeout: defaultTimeout, cacheSize: defaultCacheSize, userAgent: "kuberik"}
	for _, opt := range opts {
		opt(&s)
	}
	return &Reader{
		timeout:    s.timeout,
		userAgent:  s.userAgent,
		transport:  newTransport(s.policy),
		cache:      fair.NewCache[string, Details](s.cacheSize, max(s.cacheSize/namespaceFraction, 1), nil),
		principals: newPrincipals(),
	}
}

// Details reads the details of an image. If the reference has a digest, the result is cached. Otherwise the tag is read
// each time, and Details.Digest is the digest it pointed to. A read takes at most five timeouts of a request, and ends
// when ctx does.
func (r *Reader) Details(ctx context.Context, ref Ref, keychain authn.Keychain) (Details, error) {
	parsed, err := ref.parse()
	if err != nil {
		return Details{}, fmt.Errorf("parsing image reference %q: %w", clean(ref.String(), maxError), err)
	}
	auth, err := resolve(ctx, keychain, parsed.Context())
	if err != nil {
		return Details{}, fmt.Errorf("finding credentials for %q: %w", parsed.Context(), err)
	}
	// The credentials are part of the key: a tenant must not see an image that only another tenant may read.
	principal, err := r.principals.hash(ctx, auth)
	if err != nil {
		return Details{}, fmt.Errorf("finding credentials for %q: %w", parsed.Context(), err)
	}
	key := parsed.String() + "\n" + principal
	if d, ok := r.cache.Get(ref.Namespace, key); ok && ref.Digest != "" {
		return d, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxRequests*r.timeout, errTimeout)
	defer cancel()
	d, err := r.read(ctx, parsed, auth, ref)
	if err != nil {
		return Details{}, fmt.Errorf("reading image %q: %w", parsed, sanitize(err))
	}
	if ref.Digest != "" {
		r.cache.Add(ref.Namespace, key, d, 1)
	}
	return d, nil
}

func (r *Reader) read(
	ctx context.Context, parsed name.Reference, auth authn.Authenticator, ref Ref,
) (Details, error) {
	puller, err := remote.NewPuller(
		remote.WithAuth(auth),
		remote.WithUserAgent(r.userAgent),
		remote.WithTransport(
			&limiter{next: r.transport, timeout: r.timeout, insecure: ref.Insecure, maySend: ref.MaySend}),
		// The caller retries. The library would sleep beyond the end of the context.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	)
	if err != nil {
		return Details{}, err
	}
	f := fetcher{puller: puller, repo: parsed.Context()}
	return f.details(ctx, parsed)
}
