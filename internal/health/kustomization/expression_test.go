package kustomization

import (
	"encoding/json"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

const widget = "ns_w_example.com_Widget"

// expressed is a Kustomization with a Widget and expressions, written as users write them.
func expressed(t *testing.T, expressions string) *kustomizev1.Kustomization {
	t.Helper()
	return applied([]string{widget}, func(k *kustomizev1.Kustomization) {
		if err := json.Unmarshal([]byte(expressions), &k.Spec.HealthCheckExprs); err != nil {
			t.Fatal(err)
		}
	})
}

// aWidget has a status, and what else is given of its metadata.
func aWidget(t *testing.T, metadata, status string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	text := `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"namespace":"ns","name":"w","labels":{"kustomize.toolkit.fluxcd.io/name":"app","kustomize.toolkit.fluxcd.io/namespace":"ns"}` + metadata + `},"status":` + status + `}`
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return o
}

const phases = `[{"apiVersion":"example.com/v1","kind":"Widget","inProgress":"status.phase == 'Busy'","failed":"status.phase == 'Broken'","current":"status.phase == 'Up'"}]`

func TestExpressionsOfTheKustomizationJudgeItsObjects(t *testing.T) {
	t.Parallel()
	current := func(apiVersion, kind, text string) string {
		return `[{"apiVersion":"` + apiVersion + `","kind":"` + kind + `","current":"` + text + `"}]`
	}
	never := current("example.com/v1", "Widget", "false")
	for name, c := range map[string]struct {
		expressions, metadata, status string
		state                         v1alpha1.HealthState
		says                          string
	}{
		"current":     {phases, "", `{"phase":"Up"}`, "Healthy", "all 1 objects"},
		"in progress": {phases, "", `{"phase":"Busy"}`, "Pending", "Widget ns/w is in progress, by the healthCheckExprs of the Kustomization"},
		"failed":      {phases, "", `{"phase":"Broken"}`, "Unhealthy", "Widget ns/w has failed, by the healthCheckExprs of the Kustomization"},
		"failed, and it says why": {phases, "", `{"phase":"Broken","conditions":[{"type":"Ready","status":"False","message":"no disk"}]}`,
			"Unhealthy", "has failed, by the healthCheckExprs of the Kustomization: no disk"},
		"none of them":                   {phases, "", `{"phase":"Odd"}`, "Pending", "is in progress"},
		"the convention does not count":  {never, "", `{"conditions":[{"type":"Ready","status":"True"}]}`, "Pending", "is in progress"},
		"nor does its failure":           {phases, "", `{"phase":"Up","conditions":[{"type":"Stalled","status":"True"}]}`, "Healthy", "all 1 objects"},
		"not looked at yet":              {phases, `,"generation":2`, `{"phase":"Up","observedGeneration":1}`, "Pending", "is in progress"},
		"looked at":                      {phases, `,"generation":2`, `{"phase":"Up","observedGeneration":2}`, "Healthy", "all 1 objects"},
		"an odd observedGeneration":      {phases, `,"generation":2`, `{"phase":"Up","observedGeneration":"1"}`, "Healthy", "all 1 objects"},
		"of another version of the kind": {current("example.com/v2", "Widget", "false"), "", `{}`, "Pending", "healthCheckExprs"},
		"of another group":               {current("example.org/v1", "Widget", "false"), "", `{}`, "Healthy", "all 1 objects"},
		"of another kind":                {current("example.com/v1", "Gadget", "false"), "", `{}`, "Healthy", "all 1 objects"},
		"of the whole group":             {current("example.com/v1", "", "false"), "", `{}`, "Pending", "healthCheckExprs"},
		"the kind wins over the group": {`[{"apiVersion":"example.com/v1","current":"false"},{"apiVersion":"example.com/v1","kind":"Widget","current":"true"}]`,
			"", `{}`, "Healthy", "all 1 objects"},
		"no status yet": {phases, "", `null`, "Pending", "healthCheckExprs: inProgress has no value"},
		"no such field": {phases, "", `{}`, "Pending", "healthCheckExprs: inProgress has no value"},
		"no truth":      {current("example.com/v1", "Widget", "status.phase"), "", `{"phase":"Up"}`, "Pending", "healthCheckExprs: current does not return true or false"},
		"too dear": {current("example.com/v1", "Widget", "status.l.all(a, status.l.all(b, status.l.all(c, status.l.all(d, status.l.all(e, status.l.all(f, a+b+c+d+e+f > 0))))))"),
			"", `{"l":[1,1,1,1,1,1,1,1,1,1,1,1]}`, "Pending", "takes more than"},
		"malformed":       {current("example.com/v1", "Widget", "status.phase =="), "", `{}`, "Pending", "Kustomization app: spec.healthCheckExprs[0] for example.com/v1 Widget: current: Syntax error"},
		"current missing": {`[{"apiVersion":"example.com/v1","kind":"Widget","failed":"false"}]`, "", `{}`, "Pending", "current is missing"},
		"twice":           {strings.Replace(phases+phases, "][", ",", 1), "", `{}`, "Pending", "spec.healthCheckExprs[1]: example.com/v1 Widget already has expressions"},
		"being deleted": {phases, `,"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["example.com/backup"]`, `{"phase":"Up"}`,
			"Pending", "Widget ns/w is being deleted, and waits for example.com/backup"},
		"stalled, without expressions": {`[]`, "", `{"conditions":[{"type":"Stalled","status":"True","reason":"BadSpec","message":"no such size"}]}`,
			"Unhealthy", "Widget ns/w is stalled: no such size"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objs := []client.Object{expressed(t, c.expressions), aWidget(t, c.metadata, c.status)}
			report, err := checker(t, objs, nil).Check(t.Context(), health.CheckInput{Check: check("app")})
			if err != nil || report.State != c.state || !strings.Contains(report.Message, c.says) {
				t.Errorf("%s: %q, %v", report.State, report.Message, err)
			}
		})
	}
}

func TestAnObjectWithExpressionsThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	report, err := checker(t, []client.Object{expressed(t, phases)}, nil).Check(t.Context(), health.CheckInput{Check: check("app")})
	if err != nil || report.State != v1alpha1.HealthUnhealthy || report.Message != "Widget ns/w does not exist" {
		t.Errorf("%s: %q, %v", report.State, report.Message, err)
	}
}
