package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/installed"
)

// patience is how long a probe waits for the caches. The kubelet waits for a second.
const patience = 500 * time.Millisecond

// addProbes says when the program is alive and when it is ready. A replica that does not lead is ready.
func (s Settings) addProbes(mgr ctrl.Manager) error {
	c := caching{cache: mgr.GetCache(), scheme: mgr.GetScheme(), elected: mgr.Elected()}
	if err := errors.Join(mgr.AddHealthzCheck("healthz", healthz.Ping),
		mgr.AddReadyzCheck("caches", c.ready)); err != nil {
		return err
	}
	if s.LeaderElection {
		if err := mgr.Add(manager.RunnableFunc(sayLeading)); err != nil {
			return err
		}
		if err := mgr.Add(standby{mgr.Elected()}); err != nil {
			return err
		}
	}
	if s.Installation == nil {
		return nil
	}
	watch := installed.NewWatch(s.Installation)
	return errors.Join(mgr.AddReadyzCheck("installation", watch.Ready), mgr.Add(watch))
}

// sayLeading runs once this replica leads.
func sayLeading(context.Context) error {
	ctrl.Log.Info("leading: this replica works")
	return nil
}

// standby says that a replica is waiting, if it is.
type standby struct{ elected <-chan struct{} }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (standby) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (s standby) Start(ctx context.Context) error {
	select {
	case <-s.elected:
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		ctrl.Log.Info("waiting for the lease: another replica works, and this one is ready to take over")
	}
	return nil
}

// caching tells whether the caches hold what the cluster holds.
type caching struct {
	cache   cache.Cache
	scheme  *runtime.Scheme
	elected <-chan struct{}
}

// ready implements healthz.Checker. Before a replica leads, it caches only what it indexes.
func (c caching) ready(r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if !c.cache.WaitForCacheSync(ctx) {
		return errors.New("the caches are not synced yet")
	}
	select {
	case <-c.elected:
	default:
		return nil
	}
	var waits []string
	for _, kind := range watched() {
		informer, err := c.cache.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("caching %T: %w", kind, err)
		}
		if informer.HasSynced() {
			continue
		}
		gvk, err := apiutil.GVKForObject(kind, c.scheme)
		if err != nil {
			return err
		}
		waits = append(waits, gvk.Kind)
	}
	if len(waits) > 0 {
		return fmt.Errorf("the caches of %s are not synced yet", strings.Join(waits, ", "))
	}
	return nil
}

// watched lists the kinds that the controllers watch in every installation.
func watched() []client.Object {
	return slices.Concat(flux.TargetKinds(), flux.SourceKinds(), []client.Object{
		&v1alpha1.Rollout{}, &v1alpha1.Release{}, &v1alpha1.RolloutGate{}, &v1alpha1.HealthCheck{}, &v1alpha1.Approval{},
		&v1alpha1.Override{},
		&v1alpha1.RolloutSchedule{}, &v1alpha1.ClusterRolloutSchedule{}, &environments.Environment{},
	})
}
