package controller

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	approvals "github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/controller/approval"
	"github.com/kuberik/kuberik/internal/controller/datadog"
	"github.com/kuberik/kuberik/internal/controller/details"
	"github.com/kuberik/kuberik/internal/controller/environment"
	"github.com/kuberik/kuberik/internal/controller/gate"
	"github.com/kuberik/kuberik/internal/controller/healthcheck"
	"github.com/kuberik/kuberik/internal/controller/release"
	"github.com/kuberik/kuberik/internal/controller/rollout"
	"github.com/kuberik/kuberik/internal/controller/schedule"
	"github.com/kuberik/kuberik/internal/environment/all"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
	"github.com/kuberik/kuberik/internal/environment/remote"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/health"
	datadogcheck "github.com/kuberik/kuberik/internal/health/datadog"
	"github.com/kuberik/kuberik/internal/health/httpcheck"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/health/prometheus"
	"github.com/kuberik/kuberik/internal/health/script"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/oci"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Controller is a controller that can be added to a manager.
type Controller interface {
	Register(ctrl.Manager) error
}

// Options of the controllers.
type Options struct {
	// Clock defaults to the real one.
	Clock clock.PassiveClock
	// Rollout holds the options of the Rollout controller.
	Rollout rollout.Options
	// CrossNamespaces lets Rollouts select health checks of other namespaces that share theirs.
	CrossNamespaces bool
	// EventsAddress is the URL of Flux's notification-controller. Defaults to none, which sends no events to it.
	EventsAddress string
	// AllowNetworks lists networks that checks, gates, Environments and image details may connect to although they are
	// refused by default.
	AllowNetworks []netip.Prefix
	// RefuseNetworks lists networks that they may not connect to. If an address is in both lists, the narrower network
	// decides.
	RefuseNetworks []netip.Prefix
}

// maxConditions is about how much memory the compiled conditions take, in bytes, and maxConditionsOfNamespace the share
// of one namespace.
const maxConditions, maxConditionsOfNamespace = 48 << 20, 6 << 20

// Scheme returns a scheme with every kind that the controllers read or write.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(environments.AddToScheme(s))
	utilruntime.Must(flux.AddToScheme(s))
	return s
}

// New returns the controllers of a manager.
func New(mgr ctrl.Manager, o Options) ([]Controller, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	c, live, recorder := mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorder("kuberik-controller")
	keys, policy := outbound.Live(live), outbound.Policy{AllowNetworks: o.AllowNetworks, RefuseNetworks: o.RefuseNetworks}
	var err error
	clients := httpClients{
		out:  outbound.New(outbound.Options{Policy: policy, Keys: keys}),
		keys: keys, conditions: expr.NewCache(maxConditions, maxConditionsOfNamespace),
	}
	if o.Rollout.Inventory, err = inventory(mgr); err != nil {
		return nil, err
	}
	classes, err := classes(mgr, clients, o.Rollout.Inventory)
	if err != nil {
		return nil, err
	}
	if o.Rollout.Policies, err = approvals.NewPolicyVerifier(c); err != nil {
		return nil, err
	}
	o.Rollout.CrossNamespaces, o.Rollout.Pressure = o.CrossNamespaces, &kube.Pressure{}
	backends, err := backends(c, clients, o.Clock)
	if err != nil {
		return nil, err
	}
	budget, people := &fair.Budget{}, approvals.Reader{From: c, Policies: o.Rollout.Policies}
	return []Controller{
		rollout.New(c, live, recorder, o.Clock, o.Rollout),
		release.New(c, o.Clock, o.Rollout.Pressure),
		details.New(c, live, oci.New(oci.WithUserAgent("kuberik/"+buildinfo.Version), oci.WithPolicy(policy))),
		gate.New(c, o.Clock,
			gate.WithApprovals(people),
			gate.WithHTTPAsker(apicheck.Asker{Client: clients.out, Conditions: clients.conditions}), gate.WithBudget(budget)),
		approval.New(c, o.Clock, people),
		healthcheck.New(c, o.Clock, healthcheck.Options{
			Classes: classes, CrossNamespaces: o.CrossNamespaces, Budget: budget,
		}),
		datadog.New(c, live, recorder),
		schedule.New(c, recorder, o.Clock),
		environment.New(c, live, backends, o.Clock),
	}, nil
}

// backends returns the backends in which environments exchange their state.
func backends(c client.Client, a httpClients, clk clock.PassiveClock) (*all.Backends, error) {
	hub, err := environment.NewMeter(metrics.Registry, "github")
	if err != nil {
		return nil, err
	}
	lab, err := environment.NewMeter(metrics.Registry, "gitlab")
	if err != nil {
		return nil, err
	}
	return &all.Backends{
		Client: c, Out: a.out, Keys: a.keys, Clock: clk,
		GitHub: github.NewPool(remote.PoolOptions{Clock: clk, Observer: hub}),
		GitLab: gitlab.NewPool(remote.PoolOptions{Clock: clk, Observer: lab}),
	}, nil
}

// httpClients holds the shared client for outbound requests, its credentials, and the compiled conditions on responses.
type httpClients struct {
	out        *outbound.Client
	keys       outbound.Keys
	conditions *expr.Cache
}

// inventory returns the checker of the objects that Kustomizations apply.
func inventory(mgr ctrl.Manager) (kustomization.Checker, error) {
	live, err := kube.NewLimitedReader(mgr)
	if err != nil {
		return kustomization.Checker{}, fmt.Errorf("preparing to read inventories: %w", err)
	}
	return kustomization.Checker{Live: live, Reads: fair.NewSlots(kustomization.Reads)}, nil
}

// classes returns the classes of health checks that Kuberik evaluates.
func classes(mgr ctrl.Manager, a httpClients, objects kustomization.Checker) (map[string]healthcheck.Class, error) {
	c, live := mgr.GetClient(), mgr.GetAPIReader()
	logs, err := script.NewLogs(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("preparing to read logs: %w", err)
	}
	list := map[string]healthcheck.Class{}
	for name, checker := range map[string]health.Checker{
		v1alpha1.HealthClassKustomization: objects,
		v1alpha1.HealthClassHTTP:          httpcheck.Checker{Client: a.out, Conditions: a.conditions},
		v1alpha1.HealthClassPrometheus:    prometheus.Checker{Client: a.out, Conditions: a.conditions},
		v1alpha1.HealthClassDatadog:       datadogcheck.New(live, a.out, a.keys, a.conditions),
		v1alpha1.HealthClassScript:        script.New(script.Options{Client: c, Live: live, Logs: logs}),
	} {
		traits, ok := health.TraitsOf(&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Class: &name}})
		if !ok {
			return nil, fmt.Errorf("class %q has no traits in internal/health/class.go", name)
		}
		list[name] = healthcheck.Class{Traits: traits, Checker: checker}
	}
	return list, nil
}

// Register adds the indexes and every controller to a manager.
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := kube.AddIndexes(ctx, mgr.GetFieldIndexer(),
		slices.Concat(rollout.Indexes(), approvals.Indexes(), cluster.Indexes(), healthcheck.Indexes(),
			schedule.Indexes())...); err != nil {
		return err
	}
	o.Rollout.Notifier = flux.NewNotifier(o.EventsAddress)
	if err := mgr.Add(o.Rollout.Notifier); err != nil {
		return err
	}
	list, err := New(mgr, o)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := c.Register(mgr); err != nil {
			return err
		}
	}
	return nil
}
