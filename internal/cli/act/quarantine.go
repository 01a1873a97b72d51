package act

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewQuarantine returns the verb quarantine.
func NewQuarantine(p *session.Process) *cobra.Command {
	var why string
	c := session.Command(p, &cobra.Command{
		Use:   "quarantine RELEASE --reason TEXT",
		Short: "Keep a release from being deployed automatically, here and in later environments",
		Long: `Quarantines a release, with the annotation rollout.kuberik.com/quarantine: it is not deployed automatically, no rollback goes
back to it, and it is not promoted to the environments that come after this one. What runs keeps running.`,
		Example: `  kuberik quarantine checkout@1.9.0 -n shop --reason "INC-4712: it empties carts"`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, err := lookAtRelease(ctx, s, args[0])
		if err != nil {
			return err
		}
		if err := at.mayPatch(ctx); err != nil {
			return err
		}
		return at.quarantine(ctx, text)
	})
	c.Flags().StringVar(&why, "reason", "", "why, for those who want to deploy it; required")
	return c
}

func (at *scene) quarantine(ctx context.Context, why string) error {
	if q := at.facts.Quarantine(at.Release); q != nil {
		return at.print(at.Rollout, change{
			did: "unchanged", next: at.tag() + " is quarantined already: " + view.Clean(q.Reason),
		})
	}
	plan := []string{at.facts.Describe(at.Release)}
	if at.Release.Status.Running {
		plan = append(plan, "It runs now, and keeps running. "+at.command("rollback", "", `--reason "…"`)+" goes back.")
	}
	return at.do(ctx, change{
		plan: plan, question: "Quarantine " + at.tag() + " of " + at.name() + "?", did: "patched",
		next: at.tag() + " is not deployed automatically any more, and not promoted. " +
			at.command("lift", at.tag(), `--reason "…"`) + " allows it again.",
		apply: at.annotate(map[string]string{
			v1alpha1.AnnotationQuarantine: at.Release.Spec.Version.Tag + " " + at.signed(why),
		}),
	})
}

// NewLift returns the verb lift.
func NewLift(p *session.Process) *cobra.Command {
	var why string
	c := session.Command(p, &cobra.Command{
		Use:   "lift RELEASE --reason TEXT",
		Short: "Take a release out of quarantine",
		Long: `Takes the releases of a tag out of quarantine, with the annotation rollout.kuberik.com/lift-quarantine. The status keeps the
reason. A release that is not newer than what was deployed since needs deploy in addition.`,
		Example: `  kuberik lift checkout@1.8.1 -n shop --reason "the probe was wrong"`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, err := lookAtRelease(ctx, s, args[0])
		if err != nil {
			return err
		}
		q := at.facts.Quarantine(at.Release)
		if q == nil {
			return refused(at.tag()+" is not quarantined", at.command("why", at.tag(), "")+" says more")
		}
		if err := at.mayPatch(ctx); err != nil {
			return err
		}
		return at.do(ctx, change{
			plan: []string{
				at.facts.Describe(at.Release), "It is quarantined since " + at.Clock().At(q.Since.Time) + ": " +
					view.Clean(q.Reason),
			},
			question: "Take " + at.tag() + " of " + at.name() + " out of quarantine?", did: "patched",
			next: at.tag() + " may be deployed automatically again.",
			apply: at.annotate(map[string]string{
				v1alpha1.AnnotationLiftQuarantine: at.Release.Spec.Version.Tag + " " + at.signed(text),
			}),
		})
	})
	c.Flags().StringVar(&why, "reason", "", "why it may be deployed again; required")
	return c
}
