package install

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/test/env"
)

var update = flag.Bool("update", false, "write the golden files")

func TestLint(t *testing.T) {
	t.Parallel()
	l := action.NewLint()
	l.Strict = true
	result := l.Run([]string{env.File("charts/kuberik")}, map[string]any{})
	for _, m := range result.Messages {
		if !strings.Contains(m.Err.Error(), "icon is recommended") {
			t.Error(m)
		}
	}
	if result.TotalChartsLinted != 1 {
		t.Errorf("linted %d charts", result.TotalChartsLinted)
	}
}

// TestMistakesInValues: what has no effect or cannot work is refused before anything is applied.
func TestMistakesInValues(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"replicas: 3":                                            "additional properties 'replicas' not allowed",
		"controller: {replica: 3}":                               "'replica' not allowed",
		"controller: {replicas: 0}":                              "minimum",
		"controller: {replicas: \"2\"}":                          "want integer",
		"controller: {replicas: 2, leaderElection: false}":       "leaderElection",
		"controller: {logLevel: warn}":                           "logLevel",
		"controller: {eventsAddress: notification-controller}":   "eventsAddress",
		"controller: {allowNetworks: [10.0.0.1]}":                "allowNetworks",
		"controller: {watchNamespaces: [Team_A]}":                "watchNamespaces",
		"controller: {extraArgs: [verbose]}":                     "extraArgs",
		"controller: {metrics: {podMonitor: {enabled: true}}}":   "tokenSecret",
		"controller: {metrics: {serviceMonitor: {interval: 5}}}": "interval",
		"image: {digest: 1234}":                                  "digest",
		"image: {digest: \"sha256:12\"}":                         "digest",
		"image: {repository: \"\"}":                              "repository",
		"image: {pullSecrets: [registry]}":                       "pullSecrets",
		"crds: {enabled: false}":                                 "'enabled' not allowed",
		"rbac: {healthReader: {extra: [{apiGroups: [a], resources: [b], verbs: [delete]}]}}": "verbs",
		"networkPolicy: {egress: restricted}":                                                "apiServer",
		"networkPolicy: {egress: closed}":                                                    "egress",
		"fullnameOverride: Kuberik":                                                          "fullnameOverride",
		"commonLabels: {team: 1}":                                                            "commonLabels",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", values, err, want)
		}
	}
}

// TestThreeWaysGiveTheSameObjects compares the chart, the one file and the Kustomize base field by field. The chart adds labels only.
func TestThreeWaysGiveTheSameObjects(t *testing.T) {
	t.Parallel()
	want := objects(t, installYAML(t))
	if diff := cmp.Diff(want, objects(t, kustomized(t))); diff != "" {
		t.Errorf("the Kustomize base (+) is not install.yaml (-):\n%s", diff)
	}
	got := objects(t, []byte(rendered(t, "").Manifest))
	delete(want, "Namespace /kuberik-system") // of the release, not of the chart
	for key, o := range got {
		if want[key] != nil {
			dropLabels(o, want[key])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart (+) is not install.yaml (-):\n%s", diff)
	}
}

// dropLabels removes the labels that Helm's users expect, where the other object has none of that name.
func dropLabels(o, other *unstructured.Unstructured) {
	labels := o.GetLabels()
	maps.DeleteFunc(labels, func(k, _ string) bool {
		_, shared := other.GetLabels()[k]
		return !shared && strings.HasPrefix(k, "app.kubernetes.io/")
	})
	if len(labels) == 0 {
		labels = nil
	}
	o.SetLabels(labels)
}

// sets are values that users have, by the name of a golden file. What is there with the default values is left out of the file.
var sets = map[string]string{
	"single-replica":  "controller: {replicas: 1, leaderElection: false, terminationGracePeriodSeconds: 60}",
	"names":           "{nameOverride: ship, fullnameOverride: ship-controller, commonLabels: {team: platform}, commonAnnotations: {example.com/owner: platform}, policies: {install: false}}",
	"image":           "image: {repository: registry.example.com/kuberik, tag: 1.2.3, digest: \"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", pullPolicy: Always, pullSecrets: [{name: registry}]}",
	"plain-metrics":   "controller: {metrics: {secure: false, serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 30s}}}",
	"secure-metrics":  "{controller: {metrics: {podMonitor: {enabled: true, tokenSecret: {name: prometheus, key: token}}, serviceMonitor: {enabled: true}}}, networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}}",
	"no-metrics":      "controller: {metrics: {enabled: false}}",
	"some-namespaces": "controller: {watchNamespaces: [team-a, team-b]}",
	"egress":          "networkPolicy: {egress: restricted, apiServer: [192.0.2.1/32], extraEgress: [{ports: [{port: 9090}]}]}",
	"less-rights":     "rbac: {aggregate: false, healthReader: {common: false, extra: [{apiGroups: [example.com], resources: [databases], verbs: [get]}]}}",
	"scheduling":      "controller: {topologySpreadConstraints: [], priorityClassName: system-cluster-critical, nodeSelector: {pool: system}, tolerations: [{operator: Exists}], affinity: {nodeAffinity: {}}, podLabels: {a: b}, podAnnotations: {c: d}, resources: {limits: {memory: 1Gi}}, pdb: {maxUnavailable: 50%}}",
	"settings":        "controller: {concurrent: 4, annotationOverrides: false, crossNamespaceHealthChecks: true, allowNetworks: [169.254.0.0/16], refuseNetworks: [10.0.0.0/24, \"fd00::/8\"], eventsAddress: \"\", logLevel: debug, logEncoding: console, extraArgs: [--settle-time=20s], extraEnv: [{name: HTTPS_PROXY, value: \"http://proxy:3128\"}], extraVolumes: [{name: ca, configMap: {name: ca}}], extraVolumeMounts: [{name: ca, mountPath: /etc/ssl/certs}]}",
	"extra":           "{networkPolicy: {enabled: false}, extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: \"of-{{ .Release.Name }}\"}}]}",
	"owned-elsewhere": "{crds: {install: false}, policies: {install: false}, rbac: {create: false}}",
	"not-kept":        "{crds: {keep: false}, policies: {crdGuard: false}}",
}

// TestGoldens shows what a value changes: the objects that it adds or changes in whole, and the names of those that it removes.
func TestGoldens(t *testing.T) {
	t.Parallel()
	base := objects(t, []byte(rendered(t, "").Manifest))
	for name, values := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rel := rendered(t, values)
			got := objects(t, []byte(rel.Manifest))
			text := "# " + values + "\n" + changes(t, base, got)
			file := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("it renders something else (+) than before (-); go test -update writes it down:\n%s", diff)
			}
		})
	}
}

// many are kinds that a file does not list by name, since there are more and more of them.
var many = []string{"CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

func changes(t *testing.T, base, got map[string]*unstructured.Unstructured) string {
	t.Helper()
	var out strings.Builder
	removed := map[string]bool{}
	for key, o := range base {
		if got[key] == nil && slices.Contains(many, o.GetKind()) {
			key = "objects of kind " + o.GetKind()
		}
		removed[key] = removed[key] || got[key] == nil
	}
	for _, key := range slices.Sorted(maps.Keys(removed)) {
		if removed[key] {
			fmt.Fprintf(&out, "# removed: %s\n", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if base[key] != nil && cmp.Equal(base[key], got[key]) {
			continue
		}
		o := got[key]
		if o.GetKind() == "CustomResourceDefinition" || o.GetKind() == "ClusterRole" && base[key] != nil {
			o = &unstructured.Unstructured{Object: map[string]any{"kind": o.GetKind(), "metadata": o.Object["metadata"]}} // the rest is the same
		}
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "---\n%s", data)
	}
	return out.String()
}

func TestNotesSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	if notes := rendered(t, "").Info.Notes; !strings.Contains(notes, "rollout status deployment/kuberik-controller") || strings.Contains(notes, "not installed") {
		t.Errorf("by default it notes:\n%s", notes)
	}
	notes := rendered(t, sets["owned-elsewhere"]+"\n").Info.Notes
	for _, want := range []string{"policies are not installed", "CustomResourceDefinitions are not installed"} {
		if !strings.Contains(notes, want) {
			t.Errorf("it does not note that %s:\n%s", want, notes)
		}
	}
	if notes := rendered(t, "controller: {replicas: 1}").Info.Notes; !strings.Contains(notes, "one replica") {
		t.Errorf("with one replica it notes:\n%s", notes)
	}
}

// TestPoliciesCarryNoVersion: an upgrade that changes no policy does not write one, which would void the Approvals before it.
func TestPoliciesCarryNoVersion(t *testing.T) {
	t.Parallel()
	for key, o := range objects(t, []byte(rendered(t, "").Manifest)) {
		if !strings.HasPrefix(key, "ValidatingAdmissionPolicy") {
			continue
		}
		for k, v := range o.GetLabels() {
			if strings.Contains(v, "0.1.0") {
				t.Errorf("%s has the label %s=%s", key, k, v)
			}
		}
	}
}

// TestComponents builds the components with Kustomize.
func TestComponents(t *testing.T) {
	t.Parallel()
	built := objects(t, kustomized(t, "components: [../../config/components/monitoring, ../../config/components/single-replica, ../../config/components/some-namespaces]"))
	for key, there := range map[string]bool{
		"ServiceMonitor kuberik-system/kuberik-controller":        true,
		"NetworkPolicy kuberik-system/kuberik-controller-metrics": true,
		"PodDisruptionBudget kuberik-system/kuberik-controller":   false,
		"ClusterRoleBinding /kuberik-controller":                  false,
		"ClusterRoleBinding /kuberik-health-reader-builtin":       false,
		"ClusterRoleBinding /kuberik-controller-cluster":          true,
		"ClusterRoleBinding /kuberik-metrics-auth":                true,
	} {
		if (built[key] != nil) != there {
			t.Errorf("%s is there: %v, want %v", key, !there, there)
		}
	}
	replicas, _, err := unstructured.NestedFloat64(built["Deployment kuberik-system/kuberik-controller"].Object, "spec", "replicas")
	if err != nil || replicas != 1 {
		t.Errorf("%v replicas: %v", replicas, err)
	}
}
