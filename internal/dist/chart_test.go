package dist

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sigsyaml "sigs.k8s.io/yaml"
)

// TestVersionsAgree: the version that is prepared is the same wherever it is written.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	s := source(t)
	read := func(file string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(s.Root, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	var chart struct{ Version, AppVersion string }
	if err := sigsyaml.Unmarshal([]byte(read("charts/kuberik/Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	for where, pattern := range map[string]string{
		"CHANGELOG.md":                   `\n## \[(\d[^\]]*)\]`,
		"config/manager/deployment.yaml": `image: ghcr\.io/kuberik/kuberik-controller:(.*)`,
		"charts/kuberik/Chart.yaml":      `appVersion: (.*)`,
		"config/default/Kustomization":   `\?ref=v(.*)`,
	} {
		found := regexp.MustCompile(pattern).FindStringSubmatch(read(where))
		if found == nil || strings.TrimSpace(found[1]) != chart.Version {
			t.Errorf("%s says %v, the chart has version %s", where, found, chart.Version)
		}
	}
}

// TestGeneratedFilesOfTheChart: they are the same as in config/.
func TestGeneratedFilesOfTheChart(t *testing.T) {
	t.Parallel()
	s := source(t)
	for folder, of := range map[string]string{"crd": "crd", "rbac": "rbac", "policy": "policy", "some-namespaces": "components/some-namespaces"} {
		files, err := filepath.Glob(filepath.Join(s.Root, "config", of, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(s.Root, "charts/kuberik/files", folder, filepath.Base(file)))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: run make generate (%v)", file, err)
			}
		}
		if there, err := filepath.Glob(filepath.Join(s.Root, "charts/kuberik/files", folder, "*")); err != nil || len(there) != len(files) {
			t.Errorf("%s holds %d files, want %d: run make generate", folder, len(there), len(files))
		}
	}
}
