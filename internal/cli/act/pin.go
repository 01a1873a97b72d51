package act

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/version"
	"github.com/kuberik/kuberik/internal/view"
)

// NewPin returns the verb pin.
func NewPin(p *session.Process) *cobra.Command {
	var why string
	c := session.Command(p, &cobra.Command{
		Use:   "pin ROLLOUT@TAG --reason TEXT",
		Short: "Deploy a tag and stay on it until it is unpinned",
		Long: `Sets spec.wantedVersion: the tag is deployed now, past gates and health, and nothing else is deployed automatically until
unpin. The tag need not be a known release: the controller asks the registry for it first.`,
		Example: `  kuberik pin checkout@1.8.2 -n shop --reason "1.9 waits for the new database"`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		text, err := reason(why, maxReason)
		if err != nil {
			return err
		}
		at, tag, err := lookAtTag(ctx, s, args[0])
		if err != nil {
			return err
		}
		return at.pin(ctx, tag, text)
	})
	c.Flags().StringVar(&why, "reason", "", "why, for the history; required")
	return c
}

// lookAtTag finds the Rollout and the tag that a target names. The release need not be known.
func lookAtTag(ctx context.Context, s *session.Session, arg string) (*scene, string, error) {
	ref, err := session.ParseReference(arg)
	if err != nil {
		return nil, "", err
	}
	tag := ref.Tag
	if tag == "" || ref.Digest != "" {
		at, err := lookAtRelease(ctx, s, arg)
		if err != nil {
			return nil, "", err
		}
		return at, at.Release.Spec.Version.Tag, nil
	}
	if err := version.CheckTag(tag); err != nil {
		return nil, "", exit.Errorf(exit.Usage, "%s is no image tag: %s", view.Clean(tag), view.Clean(err.Error()))
	}
	before, _, _ := strings.Cut(arg, "@")
	at, err := look(ctx, s, before)
	if err != nil {
		return nil, "", err
	}
	for i := range at.Target.Releases {
		if at.Target.Releases[i].Spec.Version.Tag == tag {
			at.Release = &at.Target.Releases[i]
			break
		}
	}
	return at, tag, nil
}

func (at *scene) pin(ctx context.Context, tag, why string) error {
	if err := at.mayPatch(ctx); err != nil {
		return err
	}
	if pin := at.Rollout.Spec.WantedVersion; pin != nil && *pin == tag {
		return at.print(at.Rollout, change{did: "unchanged", next: "it is pinned to " + view.Clean(tag) + " already"})
	}
	var plan []string
	if at.Release == nil {
		plan = []string{
			view.Clean(tag) + " is no known release of " + at.name() +
				": the controller asks the registry for the tag before it deploys it.",
		}
	} else {
		plan = append(at.moves(at.Release), at.goesPast()...)
		if q := at.facts.Quarantine(at.Release); q != nil {
			plan = append(plan, "It is quarantined: "+view.Clean(q.Reason))
		}
	}
	if pin := at.Rollout.Spec.WantedVersion; pin != nil && *pin != "" {
		plan = append(plan, "It replaces the pin to "+view.Clean(*pin)+".")
	}
	return at.do(ctx, change{
		plan: append(plan, at.suspended()...), question: "Pin " + at.name() + " to " + view.Clean(tag) + "?", did: "patched",
		next: "spec.wantedVersion is " + view.Clean(tag) + ". Nothing else is deployed automatically until " +
			at.command("unpin", "", "") + ".",
		apply: at.patch(map[string]any{
			"spec":     map[string]any{"wantedVersion": tag},
			"metadata": map[string]any{"annotations": at.attribution(tag, why)},
		}),
	})
}

// attribution returns the annotations that record the reason and the user of a pin. A pin to what runs deploys nothing,
// and the annotations would speak of a later deployment.
func (at *scene) attribution(tag, why string) map[string]string {
	if at.Rollout.Status.CurrentVersion == tag {
		return nil
	}
	return map[string]string{v1alpha1.AnnotationDeployMessage: why, v1alpha1.AnnotationDeployUser: at.facts.You.User}
}

// NewUnpin returns the verb unpin.
func NewUnpin(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:     "unpin ROLLOUT",
		Short:   "Remove the pin of a Rollout",
		Long:    "Removes spec.wantedVersion. Automation continues with releases that were discovered after the pin was set.",
		Example: `  kuberik unpin checkout -n shop`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		at, err := lookAtRollout(ctx, s, args[0])
		if err != nil {
			return err
		}
		if err := at.mayPatch(ctx); err != nil {
			return err
		}
		pin := at.Rollout.Spec.WantedVersion
		if pin == nil {
			return at.print(at.Rollout, change{did: "unchanged", next: "it is not pinned"})
		}
		return at.do(ctx, change{
			plan:     append([]string{at.name() + " is pinned to " + view.Clean(*pin) + "."}, at.suspended()...),
			question: "Remove the pin of " + at.name() + "?", did: "patched",
			next: "the pin to " + view.Clean(*pin) + " is removed; automation continues with releases that were discovered " +
				"after it was set.",
			apply: at.patch(map[string]any{"spec": map[string]any{"wantedVersion": nil}}),
		})
	})
}

// lookAtRollout finds a target that is a Rollout.
func lookAtRollout(ctx context.Context, s *session.Session, arg string) (*scene, error) {
	at, err := look(ctx, s, arg)
	if err == nil && at.Release != nil {
		err = exit.With(exit.Usage, fmt.Errorf("%s names a release, and the verb is about the Rollout", arg),
			"write "+at.Rollout.Name)
	}
	return at, err
}
