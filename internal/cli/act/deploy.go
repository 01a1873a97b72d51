package act

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewDeploy returns the verb deploy.
func NewDeploy(p *session.Process) *cobra.Command {
	var why string
	var quarantined bool
	c := session.Command(p, &cobra.Command{
		Use:   "deploy RELEASE --reason TEXT",
		Short: "Deploy a known release now, past gates and health",
		Long: `Deploys a release by hand, with the annotation rollout.kuberik.com/force-deploy: past every gate and past the health of
what runs. Afterwards, only releases that are discovered later are deployed automatically. Use override to skip less.

A release that is quarantined is refused without --quarantined.`,
		Example: `  kuberik deploy checkout@1.9.0 -n shop --reason "INC-4711: 1.9.0 fixes it"
  kuberik deploy checkout@1.8.1 -n shop --quarantined --reason "the probe was wrong"`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, err := lookAtRelease(ctx, s, args[0])
		if err != nil {
			return err
		}
		if q := at.facts.Quarantine(at.Release); q != nil && !quarantined {
			return refused(at.tag()+" is quarantined: "+view.Clean(q.Reason), "--quarantined deploys it all the same",
				at.command("lift", at.tag(), `--reason "…"`)+" lets automation deploy it again")
		}
		return at.deploy(ctx, text, nil)
	})
	c.Flags().StringVar(&why, "reason", "", "why, for the history; required")
	c.Flags().BoolVar(&quarantined, "quarantined", false, "deploy the release even if it is quarantined")
	return c
}

// deploy deploys the release by hand.
func (at *scene) deploy(ctx context.Context, why string, plan []string) error {
	if problem := at.facts.DeployProblem(at.Release); problem != "" {
		return refused(problem, at.wayAround()...)
	}
	if err := at.mayPatch(ctx); err != nil {
		return err
	}
	plan = append(at.moves(at.Release), plan...)
	plan = append(append(plan, at.goesPast()...), at.suspended()...)
	return at.do(ctx, change{
		plan: plan, question: "Deploy " + at.tag() + " to " + at.name() + " now?", did: "patched",
		next: at.tag() + " is deployed by hand, by " + view.Clean(at.facts.You.User) +
			"; automation continues with releases that are discovered after " + at.newestTag() + ".",
		apply: at.annotate(map[string]string{
			v1alpha1.AnnotationForceDeploy: at.Release.Spec.Version.Tag, v1alpha1.AnnotationDeployMessage: why,
			v1alpha1.AnnotationDeployUser: at.facts.You.User,
		}),
	})
}

// wayAround says what to do if a deployment by hand is not possible.
func (at *scene) wayAround() []string {
	if pin := at.Rollout.Spec.WantedVersion; pin != nil && *pin != "" {
		return []string{
			at.command("unpin", "", "") + " removes the pin", at.command("pin", address(at.Release), `--reason "…"`) +
				" changes it",
		}
	}
	return []string{at.command("why", "", "") + " says what runs and what waits"}
}

// moves says which release replaces which.
func (at *scene) moves(to *v1alpha1.Release) []string {
	lines := []string{}
	if runs := at.facts.Runs(); runs != nil {
		lines = append(lines, "from  "+at.facts.Describe(runs))
	}
	return append(lines, "to    "+at.facts.Describe(to))
}

// goesPast lists what holds the release now.
func (at *scene) goesPast() []string {
	held := at.facts.Holding(at.Release)
	if len(held) == 0 {
		return nil
	}
	return append([]string{"It goes past:"}, holding(held)...)
}

// newestTag names the newest known release.
func (at *scene) newestTag() string {
	if newest := at.facts.Newest(); newest != nil {
		return view.Clean(newest.Spec.Version.Tag)
	}
	return "it"
}

// NewRollback returns the verb rollback.
func NewRollback(p *session.Process) *cobra.Command {
	var why, to string
	var below bool
	c := session.Command(p, &cobra.Command{
		Use:   "rollback ROLLOUT --reason TEXT",
		Short: "Go back to the last release that was Available, now",
		Long: `Deploys the last release that was Available before, or that of --to, by hand: past gates and health, with the annotation
rollout.kuberik.com/force-deploy. Afterwards, only releases that are discovered later are deployed automatically.

A release below the rollback floor is refused without --below-floor, and one that is quarantined always is.`,
		Example: `  kuberik rollback checkout -n shop --reason "INC-4712: carts are empty"
  kuberik rollback checkout -n shop --to 1.8.0 --reason "INC-4712: carts are empty"`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, err := lookBack(ctx, s, args[0], to)
		if err != nil {
			return err
		}
		return at.rollback(ctx, text, below)
	})
	c.Flags().StringVar(&why, "reason", "", "why, for the history; required")
	c.Flags().StringVar(&to, "to", "", "the version to go back to; the default is the last one that was Available")
	c.Flags().BoolVar(&below, "below-floor", false, "go back even below the rollback floor")
	return c
}

// lookBack finds the release to go back to.
func lookBack(ctx context.Context, s *session.Session, arg, to string) (*scene, error) {
	if to != "" {
		at, err := look(ctx, s, arg+"@"+to)
		if err != nil {
			return nil, err
		}
		return at, nil
	}
	at, err := look(ctx, s, arg)
	if err != nil {
		return nil, err
	}
	if at.Release != nil {
		return nil, exit.Errorf(exit.Usage, "%s names a release: write %s --to %s", arg, at.Rollout.Name, at.tag())
	}
	if at.Release = at.facts.LastGood(); at.Release == nil {
		return nil, refused(at.name()+" has no earlier release that was Available and is not quarantined",
			at.command("history", "", "")+" shows the deployments",
			"--to names any other release")
	}
	return at, nil
}

func (at *scene) rollback(ctx context.Context, why string, below bool) error {
	if q := at.facts.Quarantine(at.Release); q != nil {
		return refused(at.tag()+" is quarantined: "+view.Clean(q.Reason),
			at.command("history", "", "")+" shows the deployments")
	}
	floor := at.facts.BelowFloor(at.Release)
	if floor != "" && !below {
		return refused(fmt.Sprintf("%s is below the rollback floor %s", at.tag(), view.Clean(floor)),
			"the floor says that older releases do not work with the data of today; --below-floor goes back all the same")
	}
	var plan []string
	switch {
	case floor != "":
		plan = append(plan, at.tag()+" is BELOW the rollback floor "+view.Clean(floor)+".")
	case at.Rollout.Spec.RollbackFloor != "":
		plan = append(plan, "The rollback floor is "+view.Clean(at.Rollout.Spec.RollbackFloor)+".")
	}
	return at.deploy(ctx, why, plan)
}
