package dist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func source(t *testing.T) Source {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return Source{Root: root, Version: "v9.8.7"}
}

func objects(t *testing.T, data []byte) (list []unstructured.Unstructured) {
	t.Helper()
	stream := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var o unstructured.Unstructured
		err := stream.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			list = append(list, o)
		}
	}
}

// TestManifestsAreWhatIsInConfig finds every object of config/ once, what others need before them, and the image of the version.
func TestManifestsAreWhatIsInConfig(t *testing.T) {
	t.Parallel()
	s := source(t)
	data, err := s.Manifests("sha256:abc")
	if err != nil {
		t.Fatal(err)
	}
	order := map[string]int{}
	for i, o := range objects(t, data) {
		key := o.GetKind() + "/" + o.GetName()
		if _, twice := order[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		order[key] = i
		if o.GetKind() == "Kustomization" {
			t.Errorf("%s is for kustomize", key)
		}
	}
	for _, folder := range []string{"crd", "rbac", "policy", "manager"} {
		files, err := filepath.Glob(filepath.Join(s.Root, "config", folder, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects(t, data) {
				if _, there := order[o.GetKind()+"/"+o.GetName()]; !there {
					t.Errorf("%s of %s is missing", o.GetName(), file)
				}
			}
		}
	}
	for _, pair := range [][2]string{
		{"Namespace/kuberik-system", "ServiceAccount/kuberik-controller"},
		{"CustomResourceDefinition/rollouts.kuberik.com", "Deployment/kuberik-controller"},
		{"ValidatingAdmissionPolicyBinding/kuberik-record", "Deployment/kuberik-controller"},
		{"ClusterRoleBinding/kuberik-controller", "Deployment/kuberik-controller"},
	} {
		if order[pair[0]] >= order[pair[1]] {
			t.Errorf("%s comes after %s", pair[0], pair[1])
		}
	}
	if want := "image: ghcr.io/kuberik/kuberik-controller:9.8.7@sha256:abc\n"; bytes.Count(data, []byte("image: ")) != 1 || !bytes.Contains(data, []byte(want)) {
		t.Errorf("there is no %s", want)
	}
	definitions, err := s.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, definitions) {
		if a := o.GetAnnotations(); o.GetKind() != "CustomResourceDefinition" || a["kuberik.com/schema-version"] != "1" ||
			a["helm.sh/resource-policy"] != "keep" || a["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
			t.Errorf("%s %s has the annotations %v", o.GetKind(), o.GetName(), a)
		}
	}
}

func TestAnnotatingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	const before = "kind: A\nmetadata:\n  annotations:\n    controller-gen.kubebuilder.io/version: v1\n  name: a\nspec: {}\n"
	once, err := annotate(before)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := annotate(once)
	if err != nil || once != twice || once == before {
		t.Errorf("%v, first:\n%s\nthen:\n%s", err, once, twice)
	}
	if _, err := annotate("kind: A\n"); err == nil {
		t.Error("a file without annotations is accepted")
	}
}

// TestDockerfile: it builds what make image builds.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	s := source(t)
	data, err := os.ReadFile(filepath.Join(s.Root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	s.Version = "${VERSION}"
	flags := s.Flags()
	for _, want := range []string{
		strings.Join(flags[:len(flags)-1], " ") + ` "` + flags[len(flags)-1] + `"`, "CGO_ENABLED=0", "GOFLAGS=",
		fmt.Sprintf("USER %[1]d:%[1]d", UserID), "FROM scratch", `ENTRYPOINT ["/kuberik-controller"]`,
	} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("the Dockerfile lacks %s", want)
		}
	}
	for name, content := range accounts() {
		line := strings.ReplaceAll(string(content), "\n", `\n`)
		if !bytes.Contains(data, []byte("printf '"+line+"' > /out/"+name)) {
			t.Errorf("the Dockerfile does not write %s", name)
		}
	}
}
