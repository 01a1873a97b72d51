package outbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/kuberik/kuberik/internal/fair"
)

const (
	// maxTransports is the total size of the cached transports, and maxTransportsOfNamespace the share of one namespace. A
	// transport has the size 1, and 1 more for each 32 KiB of its certificate bundle.
	maxTransports, maxTransportsOfNamespace = 512, 32
	// maxIdle and maxIdlePerHost limit the idle connections of one transport, and maxIdleTime how long they stay open.
	maxIdle, maxIdlePerHost = 8, 2
	maxIdleTime             = 45 * time.Second
	// dialTimeout is the longest time to establish a connection.
	dialTimeout = time.Minute
	maxHeaders  = 64 << 10
)

// security configures the verification of a server.
type security struct {
	authorities []byte
	serverName  string
}

// size returns the size of a transport in the cache.
func (s security) size() int { return 1 + len(s.authorities)>>15 }

// transportKey identifies a transport. Requests of one namespace with the same key share connections.
type transportKey struct {
	security  [sha256.Size]byte
	keepAlive bool
}

// transports caches transports by namespace.
type transports struct {
	dialer *net.Dialer
	mu     sync.Mutex
	cache  *fair.Cache[transportKey, *http.Transport]
	pools  certificatePools
}

func newTransports(policy Policy, resolver *net.Resolver) *transports {
	dialer := policy.Dialer(dialTimeout)
	dialer.Resolver = resolver
	return &transports{
		dialer: dialer,
		cache: fair.NewCache(maxTransports, maxTransportsOfNamespace,
			func(_ string, _ transportKey, t *http.Transport) { t.CloseIdleConnections() }),
	}
}

// get returns the transport for a namespace. Only that of an API client keeps connections alive. A check that did would
// continue to reach the pods of the previous release.
func (t *transports) get(namespace string, s security, keepAlive bool) (*http.Transport, error) {
	hash := sha256.New()
	hash.Write([]byte(s.serverName + "\x00"))
	hash.Write(s.authorities)
	key := transportKey{security: [sha256.Size]byte(hash.Sum(nil)), keepAlive: keepAlive}
	if transport, ok := t.cache.Get(namespace, key); ok {
		return transport, nil
	}
	// Made without the lock: parsing a large certificate bundle must not delay the requests of other namespaces.
	transport, err := t.make(s, keepAlive)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if other, ok := t.cache.Get(namespace, key); ok {
		return other, nil
	}
	t.cache.Add(namespace, key, transport, s.size())
	return transport, nil
}

func (t *transports) make(s security, keepAlive bool) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.serverName}
	if s.authorities != nil {
		var err error
		if config.RootCAs, err = t.pools.get(s.authorities); err != nil {
			return nil, err
		}
	}
	// With HTTP/2, a broken connection would be used again after a timeout.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:       nil, // the environment of the controller must not redirect the requests of users
		DialContext: t.dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.dialTLS(ctx, config, network, addr)
		},
		Protocols:              &protocols,
		DisableKeepAlives:      !keepAlive,
		DisableCompression:     true, // a small response must not become large in memory
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        maxIdleTime,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeaders,
	}, nil
}

// closeIdle closes every connection that is not in use.
func (t *transports) closeIdle() { t.cache.Clear() }

// maxCertificates is the maximum number of certificates in a bundle. Each takes about 3 KB in memory. Mozilla's public
// authorities are about 150.
const maxCertificates = 400

// certificatePools shares the pools of equal certificate bundles, such as one that is distributed to all namespaces, as
// long as a transport uses them. The zero value is empty. It is safe for concurrent use.
type certificatePools struct {
	mu    sync.Mutex
	pools map[[sha256.Size]byte]weak.Pointer[x509.CertPool]
}

// get returns the pool of a bundle in PEM.
func (c *certificatePools) get(bundle []byte) (*x509.CertPool, error) {
	key := sha256.Sum256(bundle)
	if pool := c.shared(key, nil); pool != nil {
		return pool, nil
	}
	if n := bytes.Count(bundle, []byte("-----BEGIN CERTIFICATE-----")); n > maxCertificates {
		return nil, &RefusedError{fmt.Sprintf("tls.caFrom holds %d certificates: use at most %d", n, maxCertificates)}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, &RefusedError{"tls.caFrom holds no certificate in PEM form"}
	}
	return c.shared(key, pool), nil
}

// shared returns the pool of a key. If there is none, it adds the given one, unless that is nil.
func (c *certificatePools) shared(key [sha256.Size]byte, added *x509.CertPool) *x509.CertPool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pool := c.pools[key].Value(); pool != nil || added == nil {
		return pool
	}
	if c.pools == nil {
		c.pools = map[[sha256.Size]byte]weak.Pointer[x509.CertPool]{}
	}
	c.pools[key] = weak.Make(added)
	runtime.AddCleanup(added, c.forget, key)
	return added
}

// forget removes the pool of a key, if nothing uses it any more.
func (c *certificatePools) forget(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pools[key].Value() == nil {
		delete(c.pools, key)
	}
}

// requestKey is the context key of the context of a request.
type requestKey struct{}

// dialContext returns the context of the request that needs a connection. By default, a transport continues to dial for
// later requests, and would collect attempts to reach a host that never responds.
func dialContext(ctx context.Context) context.Context {
	if request, ok := ctx.Value(requestKey{}).(context.Context); ok {
		return request
	}
	return ctx
}

func (t *transports) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return t.dialer.DialContext(dialContext(ctx), network, addr)
}

func (t *transports) dialTLS(ctx context.Context, config *tls.Config, network, addr string) (net.Conn, error) {
	conn, err := t.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(dialContext(ctx)); err != nil {
		conn.Close() //nolint:errcheck // the handshake's error is the one that matters
		return nil, err
	}
	return secure, nil
}
