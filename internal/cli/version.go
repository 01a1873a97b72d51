package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/buildinfo"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), buildinfo.Line("kuberik"))
			return err
		},
	}
}
