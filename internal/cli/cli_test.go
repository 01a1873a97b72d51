package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/internal/cli"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := cli.New("kuberik", &out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		out, err := run(t, arg)
		if err != nil || !strings.HasPrefix(out, "kuberik dev go1.") {
			t.Errorf("%s: got %q, %v", arg, out, err)
		}
	}
}

func TestHelp(t *testing.T) {
	out, err := run(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"demo", "devplane", "version"} {
		if !strings.Contains(out, "\n  "+verb) {
			t.Errorf("the help does not list %s:\n%s", verb, out)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	t.Setenv("KUBERIK_DEVPLANE_BIN", t.TempDir())
	cases := map[string]struct {
		args []string
		want string
	}{
		"Unknown verb":  {[]string{"dance"}, `unknown command "dance"`},
		"Unknown flag":  {[]string{"demo", "--twice"}, "unknown flag: --twice"},
		"Argument":      {[]string{"version", "please"}, `unknown command "please"`},
		"No controller": {[]string{"demo", "--once"}, "run: make build"},
		"No components": {[]string{"devplane"}, "run: make components"},
		"No version":    {[]string{"demo", "push"}, "accepts 1 arg(s), received 0"},
		"No demo":       {[]string{"demo", "push", "1.3.0"}, "export KUBECONFIG as the demo says"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := run(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
