package see

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewHistory returns the verb history.
func NewHistory(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "history ROLLOUT",
		Short: "Show the deployments of a Rollout, newest first: result, duration, who and why",
		Example: `  kuberik history checkout -n shop
  kuberik history checkout -n shop -o json`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Completes: session.Releases},
		func(ctx context.Context, s *session.Session, args []string) error {
			t, err := s.Target(ctx, args[0])
			if err != nil {
				return err
			}
			rows := view.History(t.Rollout, t.Release)
			if len(rows) == 0 {
				return s.Remark("Nothing was deployed yet.")
			}
			return s.Print(session.Document{
				Object: view.List[view.DeploymentRow]{Meta: view.NewMeta("DeploymentList"), Items: rows},
				Names:  []string{"rollout/" + t.Rollout.Name},
				Text: func(style view.Style, wide bool) []string {
					return gridLines(s, view.HistoryTable(rows, s.Clock(), view.Columns{Wide: wide}), style)
				},
			})
		})
}

// gridLines renders a table, without its heading if --quiet is set.
func gridLines(s *session.Session, g view.Grid, style view.Style) []string {
	lines := g.Lines(style)
	if s.Flags.Quiet {
		return lines[1:]
	}
	return lines
}
