// Command kuberik runs the demo and the local cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends at once what the first one has asked to end.
	context.AfterFunc(ctx, stop)
	ctrl.SetLogger(logr.Discard())
	if err := cli.New(os.Args[0], os.Stdout).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kuberik:", err)
		os.Exit(1)
	}
}
