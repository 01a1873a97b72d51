package controller

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/controller/details"
	"github.com/kuberik/kuberik/internal/controller/gate"
	"github.com/kuberik/kuberik/internal/controller/healthcheck"
	"github.com/kuberik/kuberik/internal/controller/release"
	"github.com/kuberik/kuberik/internal/controller/rollout"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health/kustomization"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/oci"
)

// Controller is something that a manager runs.
type Controller interface {
	Register(ctrl.Manager) error
}

// Options of the controllers.
type Options struct {
	// Clock they go by. Default: the real one.
	Clock clock.PassiveClock
	// Rollout holds the options of the Rollout controller.
	Rollout rollout.Options
}

// Scheme knows every kind that the controllers read or write.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(flux.AddToScheme(s))
	return s
}

// New lists the controllers of a manager.
func New(mgr ctrl.Manager, o Options) []Controller {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	c, live := mgr.GetClient(), mgr.GetAPIReader()
	classes := map[string]healthcheck.Class{
		v1alpha1.HealthClassKustomization: {Checker: kustomization.Checker{Flux: flux.Reader{Reader: c}, Live: live}, ByRevision: true},
	}
	return []Controller{
		rollout.New(c, live, mgr.GetEventRecorder("kuberik-controller"), o.Clock, o.Rollout),
		release.New(c),
		details.New(c, live, oci.New(oci.WithUserAgent("kuberik/"+buildinfo.Version))),
		gate.New(c, o.Clock),
		healthcheck.New(c, classes, o.Clock),
	}
}

// Register adds every controller, and the indexes they need, to a manager.
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := kube.AddIndexes(ctx, mgr.GetFieldIndexer(), slices.Concat(rollout.Indexes(), healthcheck.Indexes())...); err != nil {
		return err
	}
	for _, c := range New(mgr, o) {
		if err := c.Register(mgr); err != nil {
			return err
		}
	}
	return nil
}
