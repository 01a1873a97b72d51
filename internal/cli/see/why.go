package see

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// standings are the exit codes of the answers.
var standings = map[view.Standing]exit.Code{
	view.Fine: exit.OK, view.InProgress: exit.OK, view.Failed: exit.No, view.Waits: exit.Held,
	view.Replaced: exit.Replaced,
}

// NewWhy returns the verb why.
func NewWhy(p *session.Process) *cobra.Command {
	var all bool
	c := session.Command(p, &cobra.Command{
		Use:   "why ROLLOUT | RELEASE",
		Short: "Say why a release has not gone out, and who or what can change that",
		Long: `Explains why a release has not been deployed. Lists everything that holds it, in order: since when, until when, who or
what clears it, and the command that you can run.

Exit codes: 0 it is Available or on its way, 1 it failed, 3 it waits, 5 another release replaced it, 6 there is none.`,
		Example: `  kuberik why checkout -n shop
  kuberik why shop/checkout@1.9.0
  kuberik why checkout@sha256:8c2e -n shop -o json`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Watch: true, Completes: session.Releases},
		func(ctx context.Context, s *session.Session, args []string) error {
			if s.Flags.Watch {
				return watchWhy(ctx, s, args[0], all)
			}
			a, err := why(ctx, s, args[0])
			if err != nil {
				return err
			}
			if err := s.Print(whyDocument(s, a, all)); err != nil {
				return err
			}
			return exit.Silently(standings[a.Standing])
		})
	c.Flags().BoolVar(&all, "all", false, "show what holds nothing as well: gates that are open, checks that are healthy")
	return c
}

func why(ctx context.Context, s *session.Session, arg string) (view.Answer, error) {
	t, err := s.Target(ctx, arg)
	if err != nil {
		return view.Answer{}, err
	}
	facts, unread, err := s.Facts(ctx, t)
	if err != nil {
		return view.Answer{}, err
	}
	if len(unread) > 0 && !s.Flags.Watch {
		slices.Sort(unread)
		if err := s.Remark("You may not read " + strings.Join(unread, ", ") + " in " + t.Rollout.Namespace +
			", so the answer does without."); err != nil {
			return view.Answer{}, err
		}
	}
	return view.Why(facts, t.Release), nil
}

func whyDocument(s *session.Session, a view.Answer, all bool) session.Document {
	name := "rollout/" + a.Subject.Rollout
	if a.Subject.Release != "" {
		name = "release/" + a.Subject.Release
	}
	return session.Document{Object: a, Names: []string{name}, Text: func(style view.Style, wide bool) []string {
		return a.Lines(s.Clock(), style, all || wide)
	}}
}

// watchWhy prints the answer again whenever the chain of blockers changes.
func watchWhy(ctx context.Context, s *session.Session, arg string, all bool) error {
	t, err := s.Target(ctx, arg)
	if err != nil {
		return err
	}
	last := ""
	kinds := []client.ObjectList{
		&v1alpha1.RolloutList{}, &v1alpha1.ReleaseList{}, &v1alpha1.RolloutGateList{}, &v1alpha1.ApprovalList{},
		&environments.EnvironmentList{},
	}
	return s.Follow(ctx, t.Rollout.Namespace, kinds, 0, func() (bool, error) {
		a, err := why(ctx, s, arg)
		if err != nil || chain(a) == last {
			return false, err
		}
		lines := []string{}
		if last != "" && s.Flags.Output == session.Table {
			lines = append(lines, "")
		}
		last = chain(a)
		if err := s.Lines(lines...); err != nil {
			return false, err
		}
		return false, s.PrintLine(whyDocument(s, a, all))
	})
}

// chain identifies an answer without its times.
func chain(a view.Answer) string {
	parts := []string{string(a.Standing), a.State, a.Subject.Tag, a.Subject.Digest, a.Runs}
	for _, b := range a.Blockers {
		parts = append(parts, b.Kind, b.Name, b.Reason, b.Message)
	}
	return strings.Join(parts, "\x00")
}
