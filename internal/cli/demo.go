package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/demo"
)

func newDemo(program string) *cobra.Command {
	o := demo.Options{Program: program}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run three releases through a local cluster, live",
		Long: "Starts a local cluster with Flux and Kuberik on it and takes three releases of an application through it. " +
			"The second\n" +
			"one is bad and is stopped. Nothing but this machine is used; everything is removed at the end.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out = c.OutOrStdout()
			return exit.With(exit.No, demo.Run(c.Context(), o))
		},
	}
	c.Flags().BoolVar(&o.Once, "once", false, "end when the releases are through; exit 0 only if all of it really "+
		"happened")
	c.Flags().BoolVar(&o.KillController, "kill-controller", false,
		"kill the controller again and again meanwhile, and start it anew")
	c.Flags().DurationVar(&o.Timeout, "timeout", 0, "how long the story may take (default 4m)")
	c.AddCommand(newDemoPush())
	return c
}

func newDemoPush() *cobra.Command {
	return &cobra.Command{
		Use:   "push VERSION",
		Short: "Publish a version of the application to a demo that runs",
		Long:  "Publishes a version of the application to a demo that runs. KUBECONFIG has to be exported as the demo says.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
				clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
			if err != nil {
				return fmt.Errorf("%w; export KUBECONFIG as the demo says", err)
			}
			if err := demo.Push(c.Context(), config, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Pushed %s. The demo shows what becomes of it; so does: kubectl get ro,rel "+
				"-A\n", args[0])
			return err
		},
	}
}
