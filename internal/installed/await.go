package installed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

// again is how long to wait before the installation is checked again.
const again = 5 * time.Second

// Await waits until the cluster has everything, or ctx ends. Meanwhile it logs what is missing, and answers the probes
// at an address: alive, and not ready for that reason. So a pod that comes before the CustomResourceDefinitions waits
// for them and does not crash. The address "0" stands for no probes. If the API server does not answer at first, Await
// returns that error.
func (c *Checker) Await(ctx context.Context, probes string) error {
	missing := c.Check(ctx)
	if missing == nil || !errors.Is(missing, ErrMissing) {
		return missing
	}
	page := &page{}
	page.say(missing)
	stop, err := page.serve(probes)
	if err != nil {
		return err
	}
	for said := ""; missing != nil; missing = c.Check(ctx) {
		if ctx.Err() != nil {
			return errors.Join(page.said(), stop())
		}
		if missing.Error() != said {
			said = missing.Error()
			ctrl.Log.Info("waiting for the installation", "missing", said)
			page.say(missing)
		}
		select {
		case <-ctx.Done():
		case <-c.pause:
		case <-time.After(again):
		}
	}
	return stop()
}

// serve answers the probes until stop is called.
func (p *page) serve(address string) (stop func() error, err error) {
	if address == "0" {
		return func() error { return nil }, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for probes: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.Handle("/readyz", p)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return func() error {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
