package env

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/internal/controller"
)

// Manager runs the controllers in the process of the test with the permissions of their service account.
type Manager struct {
	// Wire is the connection to the API server.
	Wire *Wire
	stop context.CancelFunc
	done chan error
	once sync.Once
}

// Run starts the controllers for the namespace of the test with the default settings, changed by edit. They stop at
// the end of the test.
func (w *World) Run(edit ...func(*controller.Settings)) *Manager {
	w.T.Helper()
	s := controller.Settings{
		MetricsAddress: "0", ProbeAddress: "0", Namespace: "kuberik-system", Namespaces: []string{w.Namespace},
	}
	s.Controller.SkipNameValidation = ptr.To(true) // several managers run in the process
	for _, e := range edit {
		e(&s)
	}
	m := &Manager{Wire: &Wire{}, done: make(chan error, 1)}
	cfg := rest.CopyConfig(w.Controller)
	cfg.Wrap(m.Wire.wrap)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Ctx()))
	m.stop = cancel
	mgr, err := controller.NewManager(ctx, cfg, s)
	if err != nil {
		cancel()
		w.T.Fatal(err)
	}
	go func() { m.done <- mgr.Start(ctx) }()
	w.T.Cleanup(func() {
		if err := m.Stop(); err != nil {
			w.T.Error(err)
		}
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		w.T.Fatal("the caches did not sync")
	}
	return m
}

// Stop stops the controllers and waits for them.
func (m *Manager) Stop() error {
	var err error
	m.once.Do(func() {
		m.stop()
		select {
		case err = <-m.done:
		case <-time.After(Timeout):
			err = errors.New("the manager does not stop")
		}
	})
	return err
}

// Crash stops the controllers like a killed process: no further request reaches the API server.
func (m *Manager) Crash() error {
	m.Wire.SetFault(func(Call) Fault { return Before })
	return m.Stop()
}

// AwaitIdle waits until the controllers have made no write request for a while.
func (m *Manager) AwaitIdle(ctx context.Context, quiet time.Duration) error {
	activity := m.Wire.subscribe()
	for {
		select {
		case <-ctx.Done():
			return errors.New("the controllers still write")
		case <-activity:
		case <-time.After(quiet):
			return nil
		}
	}
}

func (w *Wire) subscribe() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.activity = make(chan struct{}, 1)
	return w.activity
}
