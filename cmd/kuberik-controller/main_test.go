package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain runs the program itself where a test asks for that.
func TestMain(m *testing.M) {
	if os.Getenv("KUBERIK_TEST_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWhatItPrints(t *testing.T) {
	t.Parallel()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	err := os.WriteFile(kubeconfig, []byte(`{"kind":"Config","apiVersion":"v1","current-context":"a",
		"clusters":[{"name":"a","cluster":{"server":"https://127.0.0.1:1"}}],"contexts":[{"name":"a","context":{"cluster":"a"}}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args   []string
		failed bool
		want   string
	}{
		"version":     {[]string{"--version"}, false, "kuberik-controller dev go1."},
		"no cluster":  {nil, true, "kuberik-controller: no cluster to work on: run it in a pod (config/manager), or name a kubeconfig with --kubeconfig or KUBECONFIG"},
		"unreachable": {[]string{"--kubeconfig", kubeconfig, "--log-level=error"}, true, "kuberik-controller: the Kubernetes API at https://127.0.0.1:1 cannot be reached: dial tcp 127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := exec.CommandContext(t.Context(), os.Args[0], append(tc.args, "--metrics-bind-address=0", "--health-probe-bind-address=0")...)
			program.Env = []string{"KUBERIK_TEST_PROGRAM=1", "HOME=" + t.TempDir()}
			out, err := program.CombinedOutput()
			if (err != nil) != tc.failed || !strings.HasPrefix(string(out), tc.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("it ends with %v and prints:\n%s", err, out)
			}
		})
	}
}
