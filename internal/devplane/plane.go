package devplane

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/devplane/artifact"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/devplane/port"
	"github.com/kuberik/kuberik/internal/devplane/supervise"
)

// Plane is a running local cluster.
type Plane struct {
	options    Options
	state      *state
	config     component.Config
	ids        identities
	ports      *port.Pool
	supervisor *supervise.Supervisor
	client     client.Client
	registry   *artifact.Registry

	// lifetime ends the parts that run inside this process.
	lifetime context.Context //nolint:containedctx // it is the lifetime of the plane itself
	cancel   context.CancelFunc
	running  sync.WaitGroup
	failed   chan error

	// keepDir leaves the state folder behind, because something in it explains an error.
	keepDir bool
	stop    sync.Once
}

// Config returns the configuration of a client with all rights.
func (p *Plane) Config() *rest.Config { return p.ids.config(adminName) }

// Kubeconfig returns the path of a kubeconfig with all rights.
func (p *Plane) Kubeconfig() string { return p.config.Kubeconfig(adminName) }

// Registry returns the host and port of the registry, which serves plain HTTP.
func (p *Plane) Registry() string { return p.registry.Address() }

// Dir returns the state folder.
func (p *Plane) Dir() string { return p.config.Dir }

// Logs returns the folder of the components' logs.
func (p *Plane) Logs() string { return p.config.Logs() }

// AuditLog returns the path of the API server's audit log, which has a JSON object per line and request.
func (p *Plane) AuditLog() string { return p.config.AuditLog() }

// Failed delivers an error when a component ends by itself.
func (p *Plane) Failed() <-chan error { return p.failed }

// PID returns the process id of a component, by the names in package component.
func (p *Plane) PID(name string) (int, bool) { return p.supervisor.PID(name) }

// Kill ends a component as a crash would. Restart brings it back.
func (p *Plane) Kill(name string) error { return p.supervisor.Kill(name) }

// Restart kills a component, if it runs, and starts it again with the same port and data. It returns once the component
// is ready.
func (p *Plane) Restart(ctx context.Context, name string) error {
	return p.supervisor.Restart(ctx, name)
}

// Stop ends everything and removes the state folder if Start created it. It may be called more than once.
func (p *Plane) Stop(ctx context.Context) error {
	var err error
	p.stop.Do(func() { err = p.shutdown(ctx) })
	return err
}

func (p *Plane) shutdown(ctx context.Context) error {
	// Most callers stop because their context has ended. The components still get time to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var problems []error
	p.cancel()
	p.running.Wait()
	if p.supervisor != nil {
		problems = append(problems, p.supervisor.Close(ctx))
	}
	if p.registry != nil {
		problems = append(problems, p.registry.Close(ctx))
	}
	p.ports.Release()
	problems = append(problems, p.state.close(p.keepDir))
	return errors.Join(problems...)
}
