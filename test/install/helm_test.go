package install

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/test/env"
)

// loadChart loads the chart.
func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(env.File("charts/kuberik"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// values parses values as a user writes them.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return v
}

// render renders the chart as helm template does.
func render(t *testing.T, v string) (*release.Release, error) {
	t.Helper()
	i := action.NewInstall(action.NewConfiguration())
	i.DryRunStrategy, i.ReleaseName, i.Namespace = action.DryRunClient, "kuberik", "kuberik-system"
	i.KubeVersion = &common.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"}
	rel, err := i.Run(loadChart(t), values(t, v))
	if err != nil {
		return nil, err
	}
	return rel.(*release.Release), nil
}

// rendered renders the chart, and fails the test if that is not possible.
func rendered(t *testing.T, v string) *release.Release {
	t.Helper()
	rel, err := render(t, v)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// helm is Helm on a cluster, for one namespace.
type helm struct {
	t      *testing.T
	config *action.Configuration
}

func onCluster(t *testing.T, kubeconfig, namespace string) *helm {
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = kubeconfig
	settings.SetNamespace(namespace)
	h := &helm{t: t, config: action.NewConfiguration()}
	if err := h.config.Init(settings.RESTClientGetter(), namespace, "secret"); err != nil {
		t.Fatal(err)
	}
	return h
}

// installation has the defaults of helm install. Nothing makes Deployments ready here, so it does not wait for them.
func (h *helm) installation() *action.Install {
	i := action.NewInstall(h.config)
	i.ReleaseName, i.Namespace, i.CreateNamespace, i.WaitStrategy = "kuberik", "kuberik-system", true, kube.HookOnlyStrategy
	return i
}

func (h *helm) upgrade(c *chart.Chart, v string) error {
	h.t.Helper()
	u := action.NewUpgrade(h.config)
	u.Namespace, u.WaitStrategy = "kuberik-system", kube.HookOnlyStrategy
	_, err := u.Run("kuberik", c, values(h.t, v))
	return err
}

func (h *helm) rollback(to int) error {
	r := action.NewRollback(h.config)
	r.Version, r.WaitStrategy = to, kube.HookOnlyStrategy
	return r.Run("kuberik")
}

func (h *helm) uninstall() error {
	u := action.NewUninstall(h.config)
	u.WaitStrategy = kube.HookOnlyStrategy
	_, err := u.Run("kuberik")
	return err
}

// chartOfSchema loads a copy of the chart whose schemas have another version.
func chartOfSchema(t *testing.T, schema string) *chart.Chart {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kuberik")
	if err := os.CopyFS(dir, os.DirFS(env.File("charts/kuberik"))); err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(dir, "files", "crd")
	changed := 0
	err := filepath.WalkDir(crds, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed += strings.Count(string(data), `kuberik.com/schema-version: "1"`)
		return os.WriteFile(path, []byte(strings.Replace(string(data), `kuberik.com/schema-version: "1"`, `kuberik.com/schema-version: "`+schema+`"`, 1)), 0o600)
	})
	if err != nil || changed == 0 {
		t.Fatalf("changed %d schemas: %v", changed, err)
	}
	c, err := loader.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
