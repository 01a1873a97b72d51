package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is an in-memory OCI registry on a loopback port, without TLS.
type Registry struct {
	listener net.Listener
	server   *http.Server
}

// Serve starts a registry.
func Serve() (*Registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the registry: %w", err)
	}
	quiet := log.New(io.Discard, "", 0)
	r := &Registry{
		listener: listener,
		server: &http.Server{
			Handler:           registry.New(registry.Logger(quiet)),
			ErrorLog:          quiet,
			ReadHeaderTimeout: 10 * time.Second,
		},
	}
	go func() {
		if err := r.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("the registry's listener broke: %v", err)) //nolint:forbidigo // a local cluster is of no use without its registry
		}
	}()
	return r, nil
}

// Address returns the host and port of the registry.
func (r *Registry) Address() string { return r.listener.Addr().String() }

// Close stops the registry. Its content is lost.
func (r *Registry) Close(ctx context.Context) error {
	if err := r.server.Shutdown(ctx); err != nil {
		return r.server.Close()
	}
	return nil
}
