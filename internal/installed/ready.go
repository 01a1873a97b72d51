package installed

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

// recheck is how often a running program checks the installation.
const recheck = time.Minute

// page holds why a program is not ready.
type page struct {
	mu  sync.Mutex
	why error
}

func (p *page) say(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = why
}

func (p *page) said() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	why := p.said()
	if why == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Error(w, why.Error(), http.StatusServiceUnavailable)
}

// Watch keeps an eye on the installation of a running program: it logs what has gone missing, and Ready reports it.
type Watch struct {
	checker *Checker
	page    page
}

// NewWatch returns a Watch of a cluster. It implements manager.Runnable.
func NewWatch(c *Checker) *Watch { return &Watch{checker: c} }

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica says whether it could take over.
func (*Watch) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (w *Watch) Start(ctx context.Context) error {
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(recheck):
		}
	}
}

// look checks once. While the API server does not answer, the last result holds.
func (w *Watch) look(ctx context.Context) {
	found, before := w.checker.Check(ctx), w.page.said()
	if found != nil && !errors.Is(found, ErrMissing) {
		return
	}
	w.page.say(found)
	switch {
	case found != nil && (before == nil || before.Error() != found.Error()):
		ctrl.Log.Error(found, "not ready")
	case found == nil && before != nil:
		ctrl.Log.Info("the installation is complete again")
	}
}

// Ready implements healthz.Checker.
func (w *Watch) Ready(*http.Request) error { return w.page.said() }
