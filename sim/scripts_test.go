package sim

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/release"
)

var update = flag.Bool("update", false, "write what happens into the golden files")

// scripts returns the golden files: a script, a divider, and the expected trace.
func scripts(t *testing.T) map[string][2]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	all := map[string][2]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, golden, _ := strings.Cut(string(text), divider)
		all[file] = [2]string{script, golden}
	}
	return all
}

const divider = "--- what happens ---\n"

// TestScripts plays each script and compares the trace.
func TestScripts(t *testing.T) {
	for file, s := range scripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			lines, err := play(s[0], options{chain: release.Rules()})
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
			}
			got := strings.Join(lines, "\n") + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(s[0]+divider+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(s[1], got); diff != "" {
				t.Errorf("something else happens (-want +got); if it should, run with -update:\n%s", diff)
			}
		})
	}
}
