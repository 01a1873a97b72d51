package install

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/kuberik/kuberik/internal/dist"
	"github.com/kuberik/kuberik/test/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m, nil)) }

// version is the one that is prepared, which the chart and config/ name.
const version = "v0.1.0"

// installYAML renders the one file.
func installYAML(t *testing.T) []byte {
	t.Helper()
	root, err := dist.Root()
	if err != nil {
		t.Fatal(err)
	}
	data, err := dist.Source{Root: root, Version: version}.Manifests("")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// kustomized builds a folder of config/ with Kustomize, or a Kustomization in a new folder beside config/ if lines are given.
func kustomized(t *testing.T, lines ...string) []byte {
	t.Helper()
	dir := env.File("config/default")
	if len(lines) > 0 {
		var err error
		if dir, err = os.MkdirTemp(env.File("bin"), "kustomize-*"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../../config/default]\n" + strings.Join(lines, "\n")
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// objects decodes manifests, by kind, namespace and name.
func objects(t *testing.T, manifests []byte) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	stream := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := stream.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, manifests)
		}
		if len(o.Object) == 0 {
			continue
		}
		key := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = o
	}
}
