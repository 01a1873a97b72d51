package outbound

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/lru"
)

const (
	// mostTransports, mostIdle and idleTime bound how many connections are kept.
	mostTransports = 128
	mostIdle       = 32
	mostIdleOfHost = 2
	idleTime       = 45 * time.Second
	// dialTime ends what nothing else ends.
	dialTime   = time.Minute
	maxHeaders = 64 << 10
)

// security is how the other side of a connection has to prove itself.
type security struct {
	authorities []byte
	serverName  string
}

// flavour is what two requests have to have in common to share connections. Namespaces share none.
type flavour struct {
	namespace string
	security  [sha256.Size]byte
	kept      bool
}

// transports keeps as many transports as are in use, up to a limit.
type transports struct {
	dialer *net.Dialer
	mu     sync.Mutex
	cache  *lru.Cache
}

func newTransports(policy Policy, resolver *net.Resolver) *transports {
	dialer := policy.Dialer(dialTime)
	dialer.Resolver = resolver
	return &transports{
		dialer: dialer,
		cache: lru.NewWithEvictionFunc(mostTransports, func(_ lru.Key, value any) {
			if t, ok := value.(*http.Transport); ok {
				t.CloseIdleConnections()
			}
		}),
	}
}

// get returns the transport for a namespace. Only that of an API client keeps connections: a check that did would go on asking the
// pods that were there before the release, for as long as these are left running.
func (t *transports) get(namespace string, s security, kept bool) (*http.Transport, error) {
	hash := sha256.New()
	hash.Write([]byte(s.serverName + "\x00"))
	hash.Write(s.authorities)
	key := flavour{namespace: namespace, security: [sha256.Size]byte(hash.Sum(nil)), kept: kept}
	if transport := t.cached(key, nil); transport != nil {
		return transport, nil
	}
	// Made without the lock: parsing a large certificate bundle must not delay the requests of other namespaces.
	transport, err := t.make(s, kept)
	if err != nil {
		return nil, err
	}
	return t.cached(key, transport), nil
}

// cached returns the transport of a key. If there is none, it adds the one that was made, unless that is nil.
func (t *transports) cached(key flavour, made *http.Transport) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found, ok := t.cache.Get(key); ok {
		if transport, ok := found.(*http.Transport); ok {
			return transport
		}
	}
	if made != nil {
		t.cache.Add(key, made)
	}
	return made
}

func (t *transports) make(s security, kept bool) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.serverName}
	if s.authorities != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(s.authorities) {
			return nil, &RefusedError{"tls.caFrom holds no certificate in PEM form"}
		}
	}
	// With HTTP/2 a connection outlives the requests that time out on it, and so one that leads nowhere would be tried again.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:       nil, // whoever sets the environment of the controller does not know whom it will call
		DialContext: t.dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.dialTLS(ctx, config, network, addr)
		},
		Protocols:              &protocols,
		DisableKeepAlives:      !kept,
		DisableCompression:     true, // what is small on the wire should not be large here
		MaxIdleConns:           mostIdle,
		MaxIdleConnsPerHost:    mostIdleOfHost,
		IdleConnTimeout:        idleTime,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeaders,
	}, nil
}

// closeIdle closes every connection that is not in use.
func (t *transports) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cache.Clear()
}

// requestKey is where a request hands its own context on to the dialling.
type requestKey struct{}

// dialContext ends when the request does that asked for the connection. The transport itself would go on dialling, for a later
// request to use, and so collect attempts to reach a host that never answers.
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
