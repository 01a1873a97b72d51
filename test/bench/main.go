package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/test/env"
)

// options of the benchmark.
type options struct {
	kubeconfig, controller, output, profiles string
	rollouts, namespaces, burst              int
	rounds, singles, workers                 int
	idle                                     time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrl.SetLogger(logr.Discard())
	work := func(ctx context.Context) error { return measureAll(ctx, parse(), os.Stdout) }
	if os.Getenv(floorEnv) != "" {
		work = runFloor
	}
	if err := work(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError) // the default set has flags of controller-runtime
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig of a cluster that has the CRDs of Flux and Kuberik, "+
		"and where no "+
		"controller of either works. Default: start a local cluster.")
	flags.StringVar(&o.controller, "controller", env.File("bin/kuberik-controller"), "Program to measure.")
	flags.StringVar(&o.output, "json", "", "File for the results as JSON. Default: none.")
	flags.StringVar(&o.profiles, "profiles", "", "Folder for profiles of the controller (CPU during the last burst, "+
		"heap after it). Default: none.")
	flags.IntVar(&o.rollouts, "rollouts", 500, "How many Rollouts there are.")
	flags.IntVar(&o.namespaces, "namespaces", 5, "How many namespaces the Rollouts are in.")
	flags.IntVar(&o.burst, "releases", 0, "How many Rollouts get a release at once. Default: all.")
	flags.IntVar(&o.rounds, "rounds", 3, "How many bursts are measured.")
	flags.IntVar(&o.singles, "singles", 30, "How many releases are measured alone, one after the other.")
	flags.IntVar(&o.workers, "workers", 16, "How many workers the controller and the floor have each.")
	flags.DurationVar(&o.idle, "idle", 20*time.Second, "How long requests are counted while nothing happens.")
	_ = flags.Parse(os.Args[1:]) //nolint:errcheck // it exits on errors
	if o.burst <= 0 || o.burst > o.rollouts {
		o.burst = o.rollouts
	}
	return o
}

// measureAll runs the benchmark and writes the results.
func measureAll(ctx context.Context, o options, out io.Writer) (err error) {
	if _, err := os.Stat(o.controller); err != nil {
		return fmt.Errorf("%w: run make build", err)
	}
	c, err := connect(ctx, o.kubeconfig)
	if err != nil {
		if errors.Is(err, devplane.ErrNotBuilt) {
			return err
		}
		return fmt.Errorf("preparing the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, c.close(context.WithoutCancel(ctx))) }()
	b := &bench{options: o, cluster: c}
	results, err := b.run(ctx)
	if err != nil {
		return err
	}
	if err := results.print(out); err != nil || o.output == "" {
		return err
	}
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.output, append(data, '\n'), 0o600)
}
