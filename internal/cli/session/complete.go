package session

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/view"
)

// Completion is what the shell can complete.
type Completion string

const (
	// Rollouts completes names of Rollouts.
	Rollouts Completion = "rollouts"
	// Releases completes names of Rollouts and, after an @, their versions, newest first.
	Releases Completion = "releases"
	// Versions completes the versions of the Rollout that is the first argument.
	Versions Completion = "versions"
)

const (
	// completionTime is how long the shell waits, and mostCompletions how many names it gets.
	completionTime  = time.Second
	mostCompletions = 500
)

// complete returns a function that completes an argument or a flag. A cluster that does not answer completes nothing.
func complete(s *Session, what Completion) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmp.Or(c.Context(), context.Background()), completionTime)
		defer cancel()
		rollout, _, isVersion := strings.Cut(text, "@")
		switch {
		case what == Versions && len(args) > 0:
			return s.versions(ctx, args[0], ""), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		case what == Versions, len(args) > 0 && what != Rollouts:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case isVersion && what == Releases:
			return s.versions(ctx, rollout, rollout+"@"), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if what == Releases {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return s.rollouts(ctx, text), directive
	}
}

// rollouts lists the names of Rollouts. Before a slash is the namespace.
func (s *Session) rollouts(ctx context.Context, text string) []cobra.Completion {
	c, err := s.Client()
	if err != nil {
		return nil
	}
	namespace, _, qualified := strings.Cut(text, "/")
	if !qualified {
		namespace = s.Namespace()
	}
	var list v1alpha1.RolloutList
	if c.List(ctx, &list, client.InNamespace(namespace), client.Limit(mostCompletions)) != nil {
		return nil
	}
	var found []cobra.Completion
	for _, row := range view.Rollouts(list.Items) {
		name := row.Name
		if qualified || s.Flags.AllNamespaces {
			name = row.Namespace + "/" + name
		}
		if strings.HasPrefix(name, text) {
			found = append(found, cobra.CompletionWithDesc(name, view.Clean(row.Phase+" "+row.Runs)))
		}
	}
	return found
}

// versions lists the versions of a Rollout, newest first.
func (s *Session) versions(ctx context.Context, rollout, prefix string) []cobra.Completion {
	t, err := s.Target(ctx, rollout)
	if err != nil {
		return nil
	}
	var found []cobra.Completion
	for _, row := range view.ReleaseRows(t.Releases[:min(len(t.Releases), mostCompletions)]) {
		found = append(found, cobra.CompletionWithDesc(prefix+view.Clean(row.Tag), view.Clean(row.Phase)))
	}
	return found
}

// completeFlag sets what the shell can complete after a flag.
func completeFlag(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	// It fails only for a flag that does not exist, which the tests of completion find.
	_ = c.RegisterFlagCompletionFunc(flag, complete) //nolint:errcheck // see above
}

// completeNames returns a function that completes with the names that list returns, within the time limit.
func completeNames(s *Session, list func(context.Context, *Session) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmp.Or(c.Context(), context.Background()), completionTime)
		defer cancel()
		return list(ctx, s), cobra.ShellCompDirectiveNoFileComp
	}
}

// completions declares what the shell can complete for a verb. The flags of the verb exist already.
func completions(c *cobra.Command, s *Session, o Options) {
	words := func(list ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	completeFlag(c, "output", words(string(Table), string(Wide), string(JSON), string(YAML), string(Name)))
	if o.Acts {
		completeFlag(c, "dry-run", words("none", "server"))
	}
	for flag, what := range o.CompleteFlags {
		completeFlag(c, flag, complete(s, what))
	}
	for flag, list := range o.Words {
		completeFlag(c, flag, words(list...))
	}
	switch {
	case o.Names != nil:
		c.ValidArgsFunction = completeNames(s, o.Names)
	case o.Completes != "":
		c.ValidArgsFunction = complete(s, o.Completes)
	case o.Target:
		c.ValidArgsFunction = complete(s, Releases)
	}
}
