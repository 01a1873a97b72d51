// Command kuberik shows the releases of a cluster, and runs the demo and the local cluster. Under the name
// kubectl-kuberik it is a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	_ "golang.org/x/crypto/x509roots/fallback" // an image holds no certificate authorities

	"github.com/kuberik/kuberik/internal/cli"
	"github.com/kuberik/kuberik/internal/cli/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends at once what the first one has asked to end.
	context.AfterFunc(ctx, stop)
	// Commands report errors themselves. Log lines of the libraries would mix with their output.
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	os.Exit(int(cli.Run(ctx, session.NewProcess(), os.Args[1:])))
}
