package cli

import (
	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/devplane"
)

func newDevplane() *cobra.Command {
	o := devplane.Options{Flux: true, Workloads: true}
	c := &cobra.Command{
		Use:   "devplane",
		Short: "Run a local cluster until interrupted",
		Long: "Runs etcd, an API server, Kubernetes' own controllers, Flux and a registry on this machine, without a " +
			"container engine.\n" +
			"Pods are simulated.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return exit.With(exit.No, devplane.Run(c.Context(), o, c.OutOrStdout()))
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "state folder, kept afterwards (default: a fresh one that is removed)")
	c.Flags().BoolVar(&o.Flux, "flux", o.Flux, "run Flux and the image reflector")
	c.Flags().BoolVar(&o.Workloads, "workloads", o.Workloads, "run what makes pods: controller manager, scheduler, "+
		"fake nodes")
	c.Flags().IntVar(&o.Nodes, "nodes", 1, "number of fake nodes")
	return c
}
