package main

import (
	"errors"
	"fmt"
	"net/url"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

// cluster returns the configuration of the cluster to work on.
func cluster() (*rest.Config, error) {
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to work on: run it in a pod (config/manager), or name a kubeconfig with "+
			"--kubeconfig or KUBECONFIG (%w)", err)
	}
	return cfg, nil
}

// unreachable explains an error of the first requests to the API server.
func unreachable(cfg *rest.Config, err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return fmt.Errorf("the Kubernetes API at %s cannot be reached: %w", cfg.Host, request.Err)
	}
	return err
}
