package controller

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kuberik/kuberik/internal/installed"
	"github.com/kuberik/kuberik/internal/lease"
	"github.com/kuberik/kuberik/internal/scrape"
)

// Settings of the program that runs the controllers.
type Settings struct {
	// MetricsAddress and ProbeAddress to listen on; "0" turns them off.
	MetricsAddress, ProbeAddress string
	// PprofAddress to serve profiles at; empty: nowhere.
	PprofAddress string
	// SecureMetrics serves metrics over TLS, and only to those whom the API server lets get the path /metrics.
	SecureMetrics bool
	// LeaderElection lets only one of several replicas work, and Namespace is where they agree.
	LeaderElection bool
	Namespace      string
	// Lease holds the times of the lease.
	Lease Lease
	// Namespaces to work in. Default: all.
	Namespaces []string
	// ShutdownTimeout is how long work in progress may take to end. Default: 30 seconds.
	ShutdownTimeout time.Duration
	// Installation is checked while the controllers run; the program is not ready while it is not complete. Default: it is
	// not checked.
	Installation *installed.Checker
	// Options of the controllers.
	Options Options
	// Controller holds settings of the library that runs them.
	Controller config.Controller
}

// Lease holds the times of the lease of the leader. What is zero is the default.
type Lease struct {
	// Duration is how long the lease lasts after its last renewal: how long another replica waits for a leader that is
	// gone. Default 10s.
	Duration time.Duration
	// RenewDeadline is how long the leader tries to renew the lease before it gives up and exits. Default 6s.
	RenewDeadline time.Duration
	// RetryPeriod is how often the lease is renewed, and how often the other replicas look at it. Default 2s.
	RetryPeriod time.Duration
}

// withDefaults fills in the defaults.
func (l Lease) withDefaults() Lease {
	l.Duration = cmp.Or(l.Duration, 10*time.Second)
	l.RenewDeadline = cmp.Or(l.RenewDeadline, 6*time.Second)
	l.RetryPeriod = cmp.Or(l.RetryPeriod, 2*time.Second)
	return l
}

// fence returns what stops a leader from writing that was paused for so long that another replica may be the leader. It
// is open until half-way between the moment at which the leader gives up by itself and the end of the lease. Other
// replicas know that end in whole seconds.
func (l Lease) fence() *lease.Fence {
	return &lease.Fence{Lifetime: l.RenewDeadline + (l.Duration.Truncate(time.Second)-l.RenewDeadline)/2}
}

//+kubebuilder:rbac:groups=coordination.k8s.io,namespace=kuberik-system,resources=leases,verbs=get;create;update
//+kubebuilder:rbac:groups="",namespace=kuberik-system,resources=events,verbs=create

// NewManager makes a manager with every controller.
func NewManager(ctx context.Context, cfg *rest.Config, s Settings) (ctrl.Manager, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // API Priority and Fairness limits clients, fairly and with a view of the whole
	times := s.Lease.withDefaults()
	if s.LeaderElection {
		cfg.Wrap(times.fence().Wrap)
	}
	cached, err := caches(s.Namespaces)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        Scheme(),
		Metrics:                       s.metrics(),
		HealthProbeBindAddress:        s.ProbeAddress,
		PprofBindAddress:              s.PprofAddress,
		LeaderElection:                s.LeaderElection,
		LeaderElectionID:              "kuberik-controller",
		LeaderElectionNamespace:       s.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &times.Duration,
		RenewDeadline:                 &times.RenewDeadline,
		RetryPeriod:                   &times.RetryPeriod,
		Cache:                         cached,
		Controller:                    s.Controller,
		GracefulShutdownTimeout:       s.shutdownTimeout(),
		Client: client.Options{
			Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := s.addProbes(mgr); err != nil {
		return nil, err
	}
	return mgr, Register(ctx, mgr, s.Options)
}

func (s Settings) metrics() metricsserver.Options {
	o := metricsserver.Options{BindAddress: s.MetricsAddress}
	if s.SecureMetrics {
		o.SecureServing, o.FilterProvider = true, scrape.Filter
	}
	return o
}

// shutdownTimeout returns nil for the default of the library.
func (s Settings) shutdownTimeout() *time.Duration {
	if s.ShutdownTimeout == 0 {
		return nil
	}
	return &s.ShutdownTimeout
}
