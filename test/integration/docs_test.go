package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/test/env"
)

// TestEveryManifestOfTheDocsIsAccepted has the API server judge every YAML block of the guides and the README, with strict field
// validation.
func TestEveryManifestOfTheDocsIsAccepted(t *testing.T) {
	w := env.New(t)
	files, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	judged := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			for _, doc := range strings.Split(match[1], "\n---\n") {
				if !strings.Contains(doc, "apiVersion:") {
					continue // a fragment that says so in the text around it
				}
				judged++
				accept(w, file, doc)
			}
		}
	}
	if judged < 20 {
		t.Errorf("only %d manifests were found", judged)
	}
}

func accept(w *env.World, file, doc string) {
	w.T.Helper()
	var obj unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
		w.T.Errorf("%s: %v\n%s", file, err, doc)
		return
	}
	namespaced, err := w.Admin.IsObjectNamespaced(&obj)
	if err != nil {
		w.T.Errorf("%s: %v", file, err)
		return
	}
	if namespaced {
		obj.SetNamespace(w.Namespace)
	}
	err = w.Admin.Create(w.Ctx(), &obj, client.DryRunAll, client.FieldValidation("Strict"))
	if client.IgnoreAlreadyExists(err) != nil {
		w.T.Errorf("%s: %v\n%s", file, err, doc)
	}
}
