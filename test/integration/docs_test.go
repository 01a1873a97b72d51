package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestEveryManifestOfTheDocsIsAccepted sends every YAML block of the guides and the README to the API server, with
// strict field validation.
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

// TestReadmeExampleWaitsAtItsGateOverASlowLink creates the objects of the README's example in their order, with 40 ms
// each way between client and API server, while the controller runs without a settle time. The first release waits at
// the gate.
func TestReadmeExampleWaitsAtItsGateOverASlowLink(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	slow := w.SlowClient(40 * time.Millisecond)
	for _, match := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, doc := range strings.Split(match[1], "\n---\n") {
			if !strings.HasPrefix(doc, "apiVersion:") {
				continue
			}
			var obj unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(doc), &obj.Object); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			obj.SetNamespace(w.Namespace)
			if err := slow.Create(w.Ctx(), &obj); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			if obj.GetKind() == "ImagePolicy" { // the image is known before anything else is
				w.Select(obj.GetName(), "1.0.0", env.Digest("1.0.0"))
			}
		}
	}
	ro := &v1alpha1.Rollout{ObjectMeta: w.Meta("hello")}
	if b := w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval"); b.Name != "release-manager" {
		t.Errorf("it is blocked by %+v", b)
	}
	stays(w, ro, 0)
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
