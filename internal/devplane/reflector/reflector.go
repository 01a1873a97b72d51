package reflector

import (
	"fmt"
	"sync"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Retries are quick, because somebody watches the local cluster.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// New returns the manager of both controllers. The caller starts it.
func New(cfg *rest.Config, log logr.Logger) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{imagev1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme:  scheme,
		Logger:  log,
		Metrics: metricsserver.Options{BindAddress: "0"},
		// Several local clusters may run in one process.
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the image reflector: %w", err)
	}
	found := &tags{byImage: map[string][]string{}}
	repositories := &repositoryController{client: mgr.GetClient(), tags: found, now: time.Now}
	policies := &policyController{client: mgr.GetClient(), tags: found}
	if err := repositories.register(mgr); err != nil {
		return nil, fmt.Errorf("preparing the image reflector: %w", err)
	}
	if err := policies.register(mgr); err != nil {
		return nil, fmt.Errorf("preparing the image reflector: %w", err)
	}
	return mgr, nil
}

func options() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: 4,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
			firstRetry, lastRetry),
	}
}

// tags holds the results of the last scans, by the full name of the image.
type tags struct {
	mu      sync.RWMutex
	byImage map[string][]string
}

func (t *tags) set(image string, found []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byImage[image] = found
}

func (t *tags) get(image string) ([]string, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	found, ok := t.byImage[image]
	return found, ok
}
