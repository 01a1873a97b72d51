package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/cli/act"
	"github.com/kuberik/kuberik/internal/cli/ask"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/see"
	"github.com/kuberik/kuberik/internal/cli/session"
)

// Groups of verbs in the help.
const (
	groupSee = "see"
	groupAct = "act"
	groupAsk = "ask"
	groupRun = "run"
)

// New returns the command with all of its verbs.
func New(p *session.Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "kuberik",
		Short: "Releases for Kubernetes, beside Flux",
		Long: `kuberik shows the releases of a cluster: what runs, what waits, why, and who can change that.

Start with:
  kuberik get rollouts -A
  kuberik why ROLLOUT -n NAMESPACE`,
		Version:       buildinfo.Version,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: p.Program},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetVersionTemplate(buildinfo.Line("kuberik") + "\n")
	root.SetHelpCommandGroupID(groupRun)
	root.SetCompletionCommandGroupID(groupRun)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exit.With(exit.Usage, err, c.CommandPath()+" --help lists the flags")
	})
	root.AddGroup(&cobra.Group{ID: groupSee, Title: "See:"}, &cobra.Group{ID: groupAct, Title: "Act:"},
		&cobra.Group{ID: groupAsk, Title: "Ask:"}, &cobra.Group{ID: groupRun, Title: "Run:"})
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			root.AddCommand(v)
		}
	}
	add(groupSee, see.NewGet(p), see.NewWhy(p), see.NewWhere(p), see.NewTree(p), see.NewHistory(p), see.NewEvents(p),
		see.NewLogs(p))
	add(groupAsk, ask.NewWait(p))
	add(groupAct, act.NewApprove(p), act.NewReject(p), act.NewOverride(p), act.NewDeploy(p), act.NewRollback(p),
		act.NewRetry(p), act.NewPin(p), act.NewUnpin(p),
		act.NewQuarantine(p), act.NewLift(p), act.NewSuspend(p), act.NewResume(p), act.NewReconcile(p))
	add(groupAsk, ask.NewCheck(p), ask.NewLint(p))
	add(groupRun, newDemo(p.Path), newDevplane(), newVersion())
	finish(root, p.Program)
	if p.Has == nil {
		p.Has = func(verb string) bool {
			return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == verb })
		}
	}
	return root
}

// finish prepares every verb below a command: arguments that are wrong have the code of usage, and texts show how
// people call the program.
func finish(c *cobra.Command, program string) {
	if program != "kuberik" {
		c.Long, c.Example = asProgram(c.Long, program), asProgram(c.Example, program)
	}
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, list []string) error {
			return exit.With(exit.Usage, args(c, list), "usage: "+c.UseLine())
		}
	}
	for _, child := range c.Commands() {
		finish(child, program)
	}
}

// asProgram replaces kuberik at the beginning of the lines of a text.
func asProgram(text, program string) string {
	return strings.ReplaceAll("\n"+text, "\n  kuberik ", "\n  "+program+" ")[1:]
}

// Run runs the command and returns its exit code. It prints errors.
func Run(ctx context.Context, p *session.Process, args []string) exit.Code {
	root := New(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	exit.Print(p.Err, p.Program, err)
	return exit.Of(err)
}
