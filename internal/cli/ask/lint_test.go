package ask_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/internal/cli/clitest"
)

func TestLint(t *testing.T) {
	cases := map[string]string{
		"lint.txt":        "lint testdata/deploy",
		"lint-json.txt":   "lint testdata/deploy/gate.yaml -o json",
		"lint-name.txt":   "lint testdata/deploy -o name",
		"lint-quiet.txt":  "lint -q testdata/deploy/app.yaml",
		"lint-class.txt":  "lint --gate-class manuel testdata/deploy/gate.yaml",
		"lint-stdin.txt":  "lint -",
		"lint-usage.txt":  "lint",
		"lint-absent.txt": "lint testdata/absent.yaml",
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			w := clitest.New()
			w.Offline = clitest.ErrOffline
			w.Input = "kind: Rollout\napiVersion: kuberik.com/v1alpha1\nmetadata: {name: a}\nspec: {bakeTime: [1]}\n"
			clitest.Golden(t, name, w.Run(t, strings.Fields(args)...).String())
		})
	}
}

// TestLintFolders checks which files of a folder are read.
func TestLintFolders(t *testing.T) {
	dir := t.TempDir()
	gate, err := os.ReadFile("testdata/deploy/gate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b/gate.yaml", "a/gate.json.txt", ".git/gate.yaml"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, gate, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := clitest.New().Run(t, "lint", dir)
	if !strings.Contains(got.Out, "a/b/gate.yaml:9 ") || !strings.Contains(got.Out, "1 finding in 1 object\n") {
		t.Errorf("got\n%s", got)
	}
	if got := clitest.New().Run(t, "lint", filepath.Join(dir, ".git", "none")); got.Code != 2 {
		t.Errorf("got\n%s", got)
	}
}

// TestLintHostile checks that text of files cannot control the terminal.
func TestLintHostile(t *testing.T) {
	w := clitest.New()
	w.Input = "kind: RolloutGate\napiVersion: kuberik.com/v1alpha1\nmetadata: {name: \"a\\e[2J\"}\nspec: {class: \"x\\e[31m\", rolloutRef: {name: b}}\n"
	if got := w.Run(t, "lint", "-"); strings.Contains(got.Out, "\x1b") || !strings.Contains(got.Out, "KL012") {
		t.Errorf("got %q", got.Out)
	}
}
