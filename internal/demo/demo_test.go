package demo

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/devplane"
)

// TestDemoOnce runs the demo while the controller is killed repeatedly. The final facts are the same as without kills.
func TestDemoOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	output := &strings.Builder{}
	found, err := perform(t.Context(), Options{Once: true, KillController: true, Controller: built(t), Out: output})
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	t.Log(output)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(), found); diff != "" {
		t.Errorf("unexpected facts:\n%s", diff)
	}
	if n := strings.Count(output.String(), "the controller is killed"); n < 3 {
		t.Errorf("the controller was killed only %d times", n)
	}
}

// built builds the controller and returns its path.
func built(t *testing.T) string {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	program := filepath.Join(t.TempDir(), controllerName)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/kuberik/kuberik/cmd/kuberik-controller")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the controller: %v\n%s", err, out)
	}
	return program
}

func TestNotBuilt(t *testing.T) {
	_, err := perform(t.Context(), Options{Controller: filepath.Join(t.TempDir(), controllerName), Out: &strings.Builder{}})
	if err == nil || !strings.Contains(err.Error(), "run: make build") {
		t.Errorf("got %v, want what to run", err)
	}
}
