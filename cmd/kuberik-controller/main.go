package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/outbound"
)

func main() {
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "kuberik-controller:", err)
		os.Exit(1)
	}
}

// networks defines a flag that holds a list of networks.
func networks(into *[]netip.Prefix, name, usage string) {
	flag.Func(name, usage, func(list string) (err error) {
		*into, err = outbound.ParseNetworks(list)
		return err
	})
}

func run(ctx context.Context) error {
	var s controller.Settings
	annotations := flag.Bool("annotation-overrides", true,
		"Obey the annotations force-deploy, bypass-gates, unblock-failed and retry of Rollouts. Whoever may patch a Rollout may set them.")
	flag.StringVar(&s.MetricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 turns it off.")
	flag.StringVar(&s.ProbeAddress, "health-probe-bind-address", ":8081", "Address of the probe endpoint; 0 turns it off.")
	flag.StringVar(&s.PprofAddress, "pprof-bind-address", "", "Address of the endpoint for profiles of the Go runtime, for those who look into the use of "+
		"memory and CPU. Bind it to loopback: whoever reaches it can slow the controller down. Default: none.")
	flag.BoolVar(&s.LeaderElection, "leader-elect", false, "Work only while holding the lease, so that several replicas can run.")
	flag.StringVar(&s.Namespace, "leader-election-namespace", "", "Namespace of the lease. Default: that of the pod.")
	flag.BoolVar(&s.Options.CrossNamespaces, "cross-namespace-health-checks", false,
		"Let Rollouts select health checks of other namespaces that are labelled kuberik.com/share-health-checks=true.")
	flag.StringVar(&s.Options.EventsAddress, "events-addr", "",
		"Address of Flux's notification-controller, which then forwards events. Default: none.")
	flag.Func("watch-namespaces", "Namespaces to work in, with commas between them. The controller then needs its rights in these alone. "+
		"Default: all.", func(list string) error {
		s.Namespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	networks(&s.Options.AllowNetworks, "allow-networks", "Networks that may be called for users although they are refused otherwise "+
		"(loopback, link-local, metadata services), such as 127.0.0.0/8,::1. It holds for checks, gates, Environments and registries.")
	networks(&s.Options.RefuseNetworks, "refuse-networks", "Networks that may not be called for users, such as the pods of the control "+
		"plane: 10.0.0.0/24. Where an address is in both lists, the narrower network decides. Default: none.")
	flag.IntVar(&s.Options.Rollout.Workers, "concurrent", 16, "How many Rollouts are reconciled at once; of one namespace, at most a quarter of that.")
	flag.DurationVar(&s.Options.Rollout.SettleTime, "settle-time", 10*time.Second,
		"How long after its creation a Rollout waits before its first automatic deployment, so that gates and health checks that are "+
			"created after it hold it too.")
	version := flag.Bool("version", false, "Print the version and exit.")
	logs := zap.Options{}
	logs.BindFlags(flag.CommandLine)
	flag.Parse()
	if *version {
		_, err := fmt.Println(buildinfo.Line("kuberik-controller"))
		return err
	}

	s.Options.Rollout.IgnoreAnnotations = !*annotations
	cfg, err := cluster() // before there is a logger: the library logs a stack trace if there is none
	if err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logs)))
	ctrl.Log.Info("starting", "version", buildinfo.Version)
	mgr, err := controller.NewManager(ctx, cfg, s)
	if err != nil {
		return unreachable(cfg, err)
	}
	return mgr.Start(ctx)
}
