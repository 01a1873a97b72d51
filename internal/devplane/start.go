package devplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/devplane/artifact"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/devplane/port"
	"github.com/kuberik/kuberik/internal/devplane/supervise"
)

// crdsDir holds Flux's CRDs, inside BinDir.
const crdsDir = "crds"

// Start starts a local cluster and returns when all of it is ready. If it fails, nothing is left running, and the error
// says where the logs are.
func Start(ctx context.Context, options Options) (*Plane, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	if err := sweep(); err != nil {
		return nil, fmt.Errorf("cleaning up after a local cluster that crashed: %w", err)
	}
	p, err := prepare(options)
	if err != nil {
		return nil, fmt.Errorf("preparing the local cluster: %w", err)
	}
	if err := p.startComponents(ctx); err != nil {
		p.keepDir = true
		err = fmt.Errorf("starting the local cluster (logs are in %s): %w", p.Logs(), err)
		return nil, errors.Join(err, p.Stop(ctx))
	}
	return p, nil
}

// prepare does everything that starts no process.
func prepare(options Options) (*Plane, error) {
	state, err := openState(options.Dir)
	if err != nil {
		return nil, err
	}
	p := &Plane{options: options, state: state, ports: &port.Pool{}, failed: make(chan error, 1)}
	p.lifetime, p.cancel = context.WithCancel(context.Background())
	if err := p.prepareFiles(); err != nil {
		return nil, errors.Join(err, p.Stop(context.Background()))
	}
	return p, nil
}

func (p *Plane) prepareFiles() error {
	var err error
	if p.config, p.ids, err = configure(p.options, p.state.dir, p.ports); err != nil {
		return err
	}
	if p.registry, err = artifact.Serve(); err != nil {
		return err
	}
	p.supervisor, err = supervise.New(supervise.Options{
		Logs:   p.config.Logs(),
		State:  p.state.processes(),
		Client: probe(p.ids.authority),
	})
	return err
}

// probe returns the client for readiness probes.
func probe(authority []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true,
	}}
}

// startComponents starts the components in the order of their dependencies.
func (p *Plane) startComponents(ctx context.Context) error {
	began := time.Now()
	for _, process := range []component.Process{component.NewEtcd(p.config), component.NewAPIServer(p.config)} {
		if err := p.start(ctx, process); err != nil {
			return err
		}
	}
	var err error
	if p.client, err = client.New(p.Config(), client.Options{}); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	if p.options.Workloads {
		group.Go(func() error { return p.startWorkloads(groupCtx) })
	}
	if p.options.Flux {
		group.Go(func() error { return p.startFlux(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.watch()
	p.logf("The local cluster is up after %s.", time.Since(began).Round(100*time.Millisecond))
	return nil
}

func (p *Plane) startWorkloads(ctx context.Context) error {
	if err := writeStages(filepath.Join(p.config.BinDir, stagesDir), p.config.Stages()); err != nil {
		return err
	}
	if err := p.createNodes(ctx); err != nil {
		return err
	}
	err := p.startAll(ctx,
		component.NewControllerManager(p.config), component.NewScheduler(p.config), component.NewKWOK(p.config))
	if err != nil {
		return err
	}
	return p.awaitNodes(ctx)
}

func (p *Plane) startFlux(ctx context.Context) error {
	if err := p.InstallCRDs(ctx, filepath.Join(p.config.BinDir, crdsDir)); err != nil {
		return err
	}
	if err := p.createNamespace(ctx, component.FluxNamespace); err != nil {
		return err
	}
	if err := p.startReflector(ctx); err != nil {
		return err
	}
	return p.startAll(ctx, component.NewSourceController(p.config), component.NewKustomizeController(p.config))
}

// startAll starts processes that do not depend on each other.
func (p *Plane) startAll(ctx context.Context, processes ...component.Process) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, process := range processes {
		group.Go(func() error { return p.start(ctx, process) })
	}
	return group.Wait()
}

func (p *Plane) start(ctx context.Context, process component.Process) error {
	began := time.Now()
	if err := p.supervisor.Start(ctx, process); err != nil {
		return err
	}
	p.logf("%s is ready after %s", process.Name, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// watch reports a component that ends by itself.
func (p *Plane) watch() {
	p.running.Go(func() {
		select {
		case <-p.lifetime.Done():
		case err := <-p.supervisor.Failed():
			p.fail(err)
		}
	})
}

func (p *Plane) fail(err error) {
	select {
	case p.failed <- err:
	default: // an earlier failure is reported
	}
}

// logf reports progress. The cluster does not depend on it.
func (p *Plane) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.options.Log, format+"\n", args...) //nolint:errcheck // see above
}
