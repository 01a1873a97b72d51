package cli_test

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/cli"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
)

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		if got := clitest.New().Run(t, arg); got.Code != exit.OK || !strings.HasPrefix(got.Out, "kuberik dev go1.") {
			t.Errorf("%s: got\n%s", arg, got)
		}
	}
}

// verbs visits every command.
func verbs(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		verbs(child, visit)
	}
}

func newRoot(t *testing.T, program string) *cobra.Command {
	t.Helper()
	w := clitest.New()
	w.Program = program
	return cli.New(w.Process(nil, nil))
}

func TestHelp(t *testing.T) {
	out := clitest.New().Run(t, "--help").Out
	for _, c := range newRoot(t, "kuberik").Commands() {
		if !strings.Contains(out, "\n  "+c.Name()) {
			t.Errorf("the help does not list %s:\n%s", c.Name(), out)
		}
	}
}

// TestEveryVerbIsExplained checks that every verb has a summary and, if it asks a cluster, an example that it accepts.
func TestEveryVerbIsExplained(t *testing.T) {
	verbs(newRoot(t, "kuberik"), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the summary is %q", c.CommandPath(), c.Short)
		}
		if c.Flags().Lookup("namespace") == nil {
			return
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			words, fits := strings.CutPrefix(line, "  kuberik ")
			if !fits {
				continue
			}
			found, rest, err := c.Root().Find(strings.Fields(words))
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: the example %q is wrong: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// TestPlugin checks that help shows how people call the plugin of kubectl.
func TestPlugin(t *testing.T) {
	w := clitest.New(clitest.Shop()...)
	w.Program = "kubectl kuberik"
	for _, args := range [][]string{{"--help"}, {"why", "--help"}, {"get", "rollouts", "--help"}} {
		got := w.Run(t, args...).Out
		if !strings.Contains(got, "  kubectl kuberik ") || strings.Contains(got, "\n  kuberik ") {
			t.Errorf("%v: got\n%s", args, got)
		}
	}
	if got := w.Run(t, "why", "checkout", "-n", "shop"); !strings.Contains(got.Out, "kubectl kuberik approve checkout@1.9.0 -n shop") {
		t.Errorf("got\n%s", got)
	}
}

func TestMistakes(t *testing.T) {
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	t.Setenv("KUBERIK_DEVPLANE_BIN", t.TempDir())
	cases := map[string]struct {
		args []string
		code exit.Code
		want string
	}{
		"Unknown verb":  {[]string{"dance"}, exit.Usage, `unknown command "dance"`},
		"Unknown flag":  {[]string{"demo", "--twice"}, exit.Usage, "unknown flag: --twice"},
		"Argument":      {[]string{"version", "please"}, exit.Usage, `unknown command "please"`},
		"No controller": {[]string{"demo", "--once"}, exit.No, "run: make build"},
		"No components": {[]string{"devplane"}, exit.No, "run: make components"},
		"No version":    {[]string{"demo", "push"}, exit.Usage, "accepts 1 arg(s), received 0"},
		"No demo":       {[]string{"demo", "push", "1.3.0"}, exit.Usage, "export KUBECONFIG as the demo says"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := clitest.New().Run(t, c.args...); got.Code != c.code || !strings.Contains(got.Err, c.want) {
				t.Errorf("got\n%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestNoCluster checks the hints for a kubeconfig that does not lead to a cluster.
func TestNoCluster(t *testing.T) {
	config := t.TempDir() + "/config"
	if err := os.WriteFile(config, []byte(`apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: here, context: {cluster: here, user: me}}]
users: [{name: me, user: {token: x}}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	cases := map[string]struct {
		args []string
		want string
	}{
		"None":    {nil, "no cluster is configured"},
		"Missing": {[]string{"--kubeconfig", config + "-none"}, "config-none"},
		"Context": {[]string{"--kubeconfig", config, "--context", "there"}, "kubectl config get-contexts lists the contexts"},
		"Down":    {[]string{"--kubeconfig", config}, "the API server at 127.0.0.1:1 does not answer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out, err strings.Builder
			p := session.NewProcess()
			p.Out, p.Err = &out, &err
			code := cli.Run(t.Context(), p, append([]string{"get", "rollouts"}, c.args...))
			if code != exit.Usage || !strings.Contains(err.String(), c.want) || out.Len() > 0 {
				t.Errorf("got [%d]\n%s%s\nwant %s", code, out.String(), err.String(), c.want)
			}
		})
	}
}
