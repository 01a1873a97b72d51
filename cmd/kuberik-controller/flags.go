package main

import (
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/outbound"
)

// flags is what the command line says.
type flags struct {
	settings controller.Settings
	logger   logr.Logger
	version  bool
}

// parse reads the command line. It ends the program after --help and after a mistake.
func parse() (*flags, error) {
	f := &flags{}
	flag.BoolVar(&f.version, "version", false, "Print the version and exit.")
	annotations := flag.Bool("annotation-overrides", true,
		"Obey the annotations force-deploy, bypass-gates, unblock-failed and retry of Rollouts. Whoever may patch a "+
			"Rollout may set them.")
	f.process()
	f.work()
	level := flag.String("log-level", "info", "What is logged: error, info, debug or trace.")
	encoding := flag.String("log-encoding", "json", "How it is logged: json or console.")
	flag.Parse()
	f.settings.Options.Rollout.IgnoreAnnotations = !*annotations
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: every setting is a flag, see --help", flag.Arg(0))
	}
	var err error
	f.logger, err = newLogger(*level, *encoding)
	return f, err
}

// process defines the flags of the program itself.
func (f *flags) process() {
	s := &f.settings
	flag.StringVar(&s.MetricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 turns it off.")
	flag.BoolVar(&s.SecureMetrics, "metrics-secure", false, "Serve metrics over TLS, and only to those whom the API "+
		"server lets get the "+
		"path /metrics.")
	flag.StringVar(&s.ProbeAddress, "health-probe-bind-address", ":8081", "Address of the probe endpoint; 0 turns it off.")
	flag.StringVar(&s.PprofAddress, "pprof-bind-address", "", "Address of the endpoint for profiles of the Go runtime, "+
		"for those who look into the use of "+
		"memory and CPU. Bind it to loopback: whoever reaches it can slow the controller down. Default: none.")
	flag.BoolVar(&s.LeaderElection, "leader-elect", false, "Work only while holding the lease, so that several "+
		"replicas can run.")
	flag.StringVar(&s.Namespace, "leader-election-namespace", "", "Namespace of the lease. Default: that of the pod.")
	flag.DurationVar(&s.Lease.Duration, "leader-election-lease-duration", 10*time.Second,
		"How long the other replicas wait for a leader that is gone. A leader that is stopped properly gives the lease "+
			"back at once.")
	flag.DurationVar(&s.Lease.RenewDeadline, "leader-election-renew-deadline", 6*time.Second,
		"How long the leader tries to renew the lease before it gives up and exits. It has to be shorter than the lease.")
	flag.DurationVar(&s.Lease.RetryPeriod, "leader-election-retry-period", 2*time.Second,
		"How often the leader renews the lease, and how often the other replicas look at it.")
	flag.DurationVar(&s.ShutdownTimeout, "graceful-shutdown-timeout", 20*time.Second,
		"How long work in progress may take to end after the program was asked to stop. Keep it below "+
			"terminationGracePeriodSeconds of the pod.")
}

// work defines the flags that say what the controllers do.
func (f *flags) work() {
	s := &f.settings
	flag.BoolVar(&s.Options.CrossNamespaces, "cross-namespace-health-checks", false,
		"Let Rollouts select health checks of other namespaces that are labelled kuberik.com/share-health-checks=true.")
	flag.StringVar(&s.Options.EventsAddress, "events-addr", "",
		"Address of Flux's notification-controller, which then forwards events. Default: none.")
	flag.Func("watch-namespaces", "Namespaces to work in, with commas between them. The controller then needs its "+
		"rights in these alone. "+
		"Default: all.", func(list string) error {
		s.Namespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	networks(&s.Options.AllowNetworks, "allow-networks", "Networks that may be called for users although they are "+
		"refused otherwise "+
		"(loopback, link-local, metadata services), such as 127.0.0.0/8,::1. It holds for checks, gates, Environments and "+
		"registries.")
	networks(&s.Options.RefuseNetworks, "refuse-networks", "Networks that may not be called for users, such as the "+
		"pods of the control "+
		"plane: 10.0.0.0/24. Where an address is in both lists, the narrower network decides. Default: none.")
	flag.IntVar(&s.Options.Rollout.Workers, "concurrent", 16, "How many Rollouts are reconciled at once; of one "+
		"namespace, at most a quarter of that.")
	flag.DurationVar(&s.Options.Rollout.SettleTime, "settle-time", 10*time.Second,
		"How long after its creation a Rollout waits before its first automatic deployment, so that gates and health "+
			"checks that are "+
			"created after it hold it too.")
}

// networks defines a flag that holds a list of networks.
func networks(into *[]netip.Prefix, name, usage string) {
	flag.Func(name, usage, func(list string) (err error) {
		*into, err = outbound.ParseNetworks(list)
		return err
	})
}

// newLogger makes the logger of a level and an encoding, which have the names that Flux's controllers use.
func newLogger(level, encoding string) (logr.Logger, error) {
	o := zap.Options{}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	o.BindFlags(set)
	levels := map[string]string{"error": "error", "info": "info", "debug": "1", "trace": "2"}
	if levels[level] == "" {
		return logr.Discard(), fmt.Errorf("--log-level is %q: use error, info, debug or trace", level)
	}
	if encoding != "json" && encoding != "console" {
		return logr.Discard(), fmt.Errorf("--log-encoding is %q: use json or console", encoding)
	}
	if err := set.Set("zap-log-level", levels[level]); err != nil {
		return logr.Discard(), err
	}
	if err := set.Set("zap-encoder", encoding); err != nil {
		return logr.Discard(), err
	}
	return zap.New(zap.UseFlagOptions(&o)), nil
}
