package act

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewRetry returns the verb retry.
func NewRetry(p *session.Process) *cobra.Command {
	var why string
	c := session.Command(p, &cobra.Command{
		Use:   "retry ROLLOUT --reason TEXT",
		Short: "Run the release that failed or is paused once more",
		Long: `Runs the newest deployment again from its start, with the annotation rollout.kuberik.com/retry: failures before it do not
count, and the release is taken out of quarantine. The event Retried has the reason.`,
		Example: `  kuberik retry checkout -n shop --reason "the database is back"`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, err := lookAtRollout(ctx, s, args[0])
		if err != nil {
			return err
		}
		if problem := at.facts.RetryProblem(); problem != "" {
			return refused("there is nothing to retry: "+problem, at.command("why", "", "")+" says what waits")
		}
		if err := at.mayPatch(ctx); err != nil {
			return err
		}
		return at.retry(ctx, text)
	})
	c.Flags().StringVar(&why, "reason", "", "why it will pass this time; required")
	return c
}

func (at *scene) retry(ctx context.Context, why string) error {
	head := at.Rollout.Status.History[0]
	tag := view.Clean(head.Version.Tag)
	plan := []string{tag + " runs again."}
	if m := head.BakeStatusMessage; m != nil {
		plan = []string{tag + " runs again. It failed: " + view.Clean(*m)}
	}
	if head.PausedTime != nil {
		plan = []string{tag + " runs again. It is paused since " + at.Clock().At(head.PausedTime.Time) + "."}
	}
	return at.do(ctx, change{
		plan: append(plan, at.suspended()...), question: "Retry " + tag + " in " + at.name() + "?", did: "patched",
		next:  tag + " is deployed again, and its bake starts anew.",
		apply: at.annotate(map[string]string{v1alpha1.AnnotationRetry: at.signed(why)}),
	})
}
