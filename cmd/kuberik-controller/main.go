package main

import (
	"context"
	"fmt"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image holds no certificate authorities
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/installed"
)

func main() {
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "kuberik-controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	f, err := parse()
	if err != nil {
		return err
	}
	if f.version {
		_, err := fmt.Println(buildinfo.Line("kuberik-controller"))
		return err
	}
	cfg, err := cluster() // before there is a logger: the library logs a stack trace if there is none
	if err != nil {
		return err
	}
	ctrl.SetLogger(f.logger)
	ctrl.Log.Info("starting", "version", buildinfo.Version)
	if f.settings.Installation, err = installed.New(cfg); err != nil {
		return unreachable(cfg, err)
	}
	if err := f.settings.Installation.Await(ctx, f.settings.ProbeAddress); err != nil {
		return unreachable(cfg, err)
	}
	mgr, err := controller.NewManager(ctx, cfg, f.settings)
	if err != nil {
		return unreachable(cfg, err)
	}
	return mgr.Start(ctx)
}
