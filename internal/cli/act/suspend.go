package act

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewSuspend returns the verb suspend.
func NewSuspend(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "suspend ROLLOUT",
		Short: "Freeze a Rollout: nothing is decided and nothing is written to Flux",
		Long: "Sets spec.suspend. What runs keeps running. A release that is in flight neither passes nor fails until " +
			"resume.",
		Example: `  kuberik suspend checkout -n shop`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		return setSuspend(ctx, s, args[0], true)
	})
}

// NewResume returns the verb resume.
func NewResume(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:     "resume ROLLOUT",
		Short:   "Let a suspended Rollout decide again",
		Long:    "Sets spec.suspend to false.",
		Example: `  kuberik resume checkout -n shop`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		return setSuspend(ctx, s, args[0], false)
	})
}

func setSuspend(ctx context.Context, s *session.Session, arg string, to bool) error {
	at, err := lookAtRollout(ctx, s, arg)
	if err != nil {
		return err
	}
	if err := at.mayPatch(ctx); err != nil {
		return err
	}
	word, verb := "is suspended", "Suspend "
	if !to {
		word, verb = "is not suspended", "Resume "
	}
	if at.Rollout.Spec.Suspend == to {
		return at.print(at.Rollout, change{did: "unchanged", next: "it " + word})
	}
	return at.do(ctx, change{
		plan: at.standing(), question: verb + at.name() + "?", did: "patched", next: at.name() + " " + word +
			at.consequence(to),
		apply: at.patch(map[string]any{"spec": map[string]any{"suspend": to}}),
	})
}

// standing says what runs and what is next.
func (at *scene) standing() []string {
	st := at.Rollout.Status
	var lines []string
	if st.CurrentVersion != "" {
		lines = append(lines, at.name()+" is "+string(st.Phase)+" and runs "+view.Clean(st.CurrentVersion)+".")
	}
	if st.PendingVersion != "" {
		lines = append(lines, view.Clean(st.PendingVersion)+" is next.")
	}
	return lines
}

func (at *scene) consequence(suspended bool) string {
	if suspended {
		return ": nothing is deployed until " + at.command("resume", "", "") + "."
	}
	return " any more."
}
