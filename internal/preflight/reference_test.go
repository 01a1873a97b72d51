package preflight_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/preflight"
)

var update = flag.Bool("update", false, "rewrite docs/reference/check.md")

// TestReference checks that the generated page is up to date.
func TestReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Results of check\n\n<!-- Generated: go test ./internal/preflight -run TestReference -update -->\n\n" +
		"`kuberik check` looks for these in a cluster. Its exit code is 1 if something is missing.\n")
	for _, r := range preflight.Rules {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\nOtherwise: %s\n\n%s\n", r.ID, r.Title, r.Meaning, r.Mend)
	}
	path := filepath.Join("..", "..", "docs", "reference", "check.md")
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
		t.Errorf("%s (go test ./internal/preflight -update rewrites it):\n%s", path, diff)
	}
}
