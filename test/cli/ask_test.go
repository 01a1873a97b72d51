package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/lint"
	"github.com/kuberik/kuberik/test/env"
)

// TestCheckOfCluster runs check on a cluster that has everything but a Deployment of the controller.
func TestCheckOfCluster(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	viewer, nobody := someone(w, "viewer", "kuberik-view"), someone(w, "nobody")
	expect(t, "check, as a viewer", viewer.runs("check"), exit.OK, "✓ KC01  Kubernetes 1.", "○ KC02  you may not read CRDs",
		"✓ KC05  in "+w.Namespace+" you may see everything\n")
	expect(t, "check, without rights", nobody.runs("check"), exit.No, "✗ KC05  in "+w.Namespace+" you may not list rollouts, releases")
	admin := person{w: w, name: "admin"}
	expect(t, "check, as an administrator", admin.runs("check", "--as-group", "system:masters"), exit.OK,
		"✓ KC02  CRDs of this version", "✓ KC03  Flux", "admission policies are bound as they are shipped\n", "○ KC06")
}

// TestLintAgreesWithAPIServer gives every example of lint to the API server. Lint finds a mistake in the schema of an
// object exactly if the API server refuses it.
func TestLintAgreesWithAPIServer(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	files, err := filepath.Glob("../../internal/lint/testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ours := refusedByLint(text)
		theirs, message := refusedByServer(t, w, string(text))
		if ours != theirs {
			t.Errorf("%s: lint says that the API server refuses it: %t, and it does: %t %s", file, ours, theirs, message)
		}
	}
}

// schemaRules are the rules that are about what the API server refuses. A client parses YAML itself, so KL001 is not one of them.
var schemaRules = map[string]bool{"KL002": true, "KL004": true, "KL005": true}

func refusedByLint(text []byte) bool {
	for _, f := range lint.Run([]lint.Source{{Name: "file", Text: text}}, lint.Options{}).Findings {
		if schemaRules[f.ID] {
			return true
		}
	}
	return false
}

// refusedByServer creates the objects of Kuberik in a file with a dry run.
func refusedByServer(t *testing.T, w *env.World, text string) (refused bool, message string) {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		switch err := decoder.Decode(o); {
		case errors.Is(err, io.EOF):
			return false, ""
		case err != nil:
			return true, err.Error()
		}
		if !strings.HasSuffix(o.GroupVersionKind().Group, "kuberik.com") {
			continue
		}
		if o.GetNamespace() != "" {
			o.SetNamespace(w.Namespace)
		}
		err := w.Admin.Create(context.Background(), o, client.DryRunAll, client.FieldValidation("Strict"))
		if err != nil {
			return true, err.Error()
		}
	}
}
