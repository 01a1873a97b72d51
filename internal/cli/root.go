package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/buildinfo"
)

// New makes the command. Program is how it was called, and is shown where people are told what to type.
func New(program string, out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "kuberik",
		Short:         "Releases for Kubernetes, beside Flux",
		Long:          "kuberik runs the demo and a local cluster. Releases themselves are the business of kuberik-controller, in the cluster.",
		Version:       buildinfo.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.SetVersionTemplate(buildinfo.Line("kuberik") + "\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newDemo(program), newDevplane(), newVersion())
	return root
}
