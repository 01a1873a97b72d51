package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kuberik/kuberik/internal/cli"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
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

func TestCompletion(t *testing.T) {
	cases := map[string]struct {
		args string
		want []string
		not  string
	}{
		"Verbs":              {"wh", []string{"why\t", "where\t"}, "demo"},
		"Rollouts":           {"why -n shop ", []string{"checkout\tAvailable 1.8.2", "search\tFailed 2.1.0"}, "ledger"},
		"Begun":              {"tree -n shop che", []string{"checkout\t"}, "search"},
		"Qualified":          {"tree pay/", []string{"pay/fees\t", "pay/ledger\t"}, "checkout"},
		"Everywhere":         {"why -A ", []string{"shop/checkout\t", "web/site\t"}, "\ncheckout"},
		"Releases":           {"why -n shop checkout@", []string{"checkout@1.9.0\tPending\ncheckout@1.8.2\tAvailable"}, "search"},
		"Second":             {"why -n shop checkout ", nil, "search"},
		"No release":         {"tree -n shop checkout@", nil, "1.9.0"},
		"Version":            {"wait -n shop checkout --version ", []string{"1.9.0\tPending\n1.8.2\tAvailable"}, "2.1.0"},
		"Unknown":            {"why -n shop chekout@", nil, "1.9.0"},
		"Goals":              {"wait checkout --for ", []string{"available", "settled"}, "1.9.0"},
		"Formats":            {"get rollouts -o ", []string{"json", "yaml", "wide"}, "checkout"},
		"Names":              {"get gates -n shop ", []string{"office-hours", "release-manager"}, "checkout"},
		"Rollouts of a flag": {"get gates -n shop --rollout ", []string{"checkout\t"}, "office"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			words := strings.Split(c.args, " ")
			got := clitest.New(clitest.Shop()...).Run(t, append([]string{"__complete"}, words...)...)
			for _, want := range c.want {
				if !strings.Contains(got.Out, want) {
					t.Errorf("%q lacks %q:\n%s", c.args, want, got)
				}
			}
			if strings.Contains("\n"+got.Out, c.not) {
				t.Errorf("%q has %q:\n%s", c.args, c.not, got)
			}
		})
	}
	w := clitest.New()
	w.Offline = clitest.ErrOffline
	if got := w.Run(t, "__complete", "why", ""); got.Code != exit.OK || strings.Contains(got.Out, "refused") {
		t.Errorf("without a cluster: got\n%s", got)
	}
}

// TestReference checks docs/reference/cli.md, which is generated from the commands.
func TestReference(t *testing.T) {
	clitest.Golden(t, filepath.Join("..", "..", "..", "docs", "reference", "cli.md"), reference(newRoot(t, "kuberik")))
}

// reference returns the page of a command and everything below it.
func reference(root *cobra.Command) string {
	var b strings.Builder
	tree, _, err := root.Find([]string{"tree"})
	if err != nil {
		return err.Error()
	}
	common := pflag.NewFlagSet("", pflag.ContinueOnError)
	tree.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "all-namespaces" && f.Name != "watch" {
			common.AddFlag(f)
		}
	})
	b.WriteString("# kuberik\n\n" + root.Long + "\n\nEverything works as `kubectl kuberik` too, if the program is installed as `kubectl-kuberik`.\n" + `
A target is written as ` + "`checkout`, `shop/checkout` (namespace and name) or `rollout/checkout`" + `; a release as
` + "`checkout@1.9.0`, `checkout@sha256:8c2e` (the beginning of its digest)" + ` or the name of its object.

JSON and YAML have the apiVersion ` + "`" + view.APIVersion + "`" + `; fields are only added.

| exit code | meaning |
| --- | --- |
| 0 | reached; nothing to object to |
| 1 | the answer is no: failed, unhealthy, findings, differences |
| 2 | called in a wrong way, or the cluster could not be asked |
| 3 | held: by a gate, a schedule, a person, or the health of what runs |
| 4 | timed out |
| 5 | superseded, cancelled or replaced by another release |
| 6 | no such object or release |
| 7 | refused by RBAC or by admission |
| 130 | interrupted |

Completion for a shell: ` + "`kuberik completion bash`, `zsh`, `fish` or `powershell`" + `.

Flags of every verb that asks a cluster:

` + "```\n" + common.FlagUsages() + "```" + `

This page is generated from the commands.
`)
	verbs(root, func(c *cobra.Command) {
		if c == root || c.Name() == "help" || c.Hidden {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", c.CommandPath(), c.Short, c.UseLine())
		if c.Long != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", c.Long)
		}
		if c.Example != "" {
			fmt.Fprintf(&b, "\nExamples:\n\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
		}
		own := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if same := common.Lookup(f.Name); same == nil || same.Usage != f.Usage || same.DefValue != f.DefValue {
				own.AddFlag(f)
			}
		})
		if flags := own.FlagUsages(); flags != "" {
			fmt.Fprintf(&b, "\nFlags:\n\n```\n%s```\n", flags)
		}
	})
	return b.String()
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
