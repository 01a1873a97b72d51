package lint_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/lint"
)

var update = flag.Bool("update", false, "rewrite docs/reference/lint.md")

var now = time.Date(2026, 5, 8, 12, 50, 3, 0, time.UTC)

func run(text string) []lint.Finding {
	return lint.Run([]lint.Source{{Name: "file.yaml", Text: []byte(text)}}, lint.Options{Now: now}).Findings
}

func example(t *testing.T, id, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", id, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRules checks that each rule finds its mistake in one example, and that no rule finds anything in the other.
func TestRules(t *testing.T) {
	for _, rule := range lint.Rules {
		t.Run(rule.ID, func(t *testing.T) {
			found := run(example(t, rule.ID, "bad"))
			if len(found) == 0 || slices.ContainsFunc(found, func(f lint.Finding) bool { return f.ID != rule.ID }) {
				t.Errorf("bad.yaml: got %+v, want %s and no other", found, rule.ID)
			}
			for _, f := range found {
				t.Logf("%s:%d %s %s %s: %s", f.File, f.Line, f.Severity, f.ID, f.Object, f.Message)
				if f.Line < 2 && rule.ID != "KL005" || f.Severity != rule.Severity || f.Message == "" {
					t.Errorf("bad.yaml: got %+v, with severity %s, a line and a message", f, rule.Severity)
				}
			}
			if found := run(example(t, rule.ID, "good")); len(found) > 0 {
				t.Errorf("good.yaml: got %+v", found)
			}
		})
	}
}

// TestReference checks that the generated page is up to date.
func TestReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Findings of lint\n\n<!-- Generated: go test ./internal/lint -run TestReference -update -->\n\n" +
		"`kuberik lint FILES` finds these mistakes without a cluster. Its exit code is 1 if it finds any.\n\n" +
		"References between objects are checked within the files that are given. If they contain no object of a kind, lint\n" +
		"assumes that it is elsewhere.\n")
	for _, r := range lint.Rules {
		fmt.Fprintf(&b, "\n## %s\n\n%s. Severity: %s.\n\n%s\n\n%s\n\nFinds the mistake in:\n\n```yaml\n%s```\n\nFinds nothing in:\n\n```yaml\n%s```\n",
			r.ID, r.Title, r.Severity, r.Meaning, r.Mend, example(t, r.ID, "bad"), example(t, r.ID, "good"))
	}
	path := filepath.Join("..", "..", "docs", "reference", "lint.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("%s (go test ./internal/lint -update rewrites it):\n%s", path, diff)
	}
}
