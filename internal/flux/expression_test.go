package flux

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/internal/fair"
)

// evaluate judges a Widget by expressions for its kind.
func evaluate(ctx context.Context, t *testing.T, x Expressions, status any) (Outcome, error) {
	t.Helper()
	x.APIVersion, x.Kind = "example.com/v1", "Widget"
	e, err := (&Applied{Expressions: []Expressions{x}}).Evaluator()
	if err != nil {
		return InProgress, err
	}
	return e.Evaluate(ctx, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "status": status}})
}

func TestExpressionsAreAskedInTheOrderOfFlux(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inProgress, failed, current string
		want                        Outcome
	}{
		"all of them":          {"true", "true", "true", InProgress},
		"failed and current":   {"false", "true", "true", Failed},
		"current":              {"false", "false", "true", Current},
		"none":                 {"false", "false", "false", InProgress},
		"current alone":        {"", "", "true", Current},
		"optional fields":      {"", "", "status.?missing.orValue('x') == 'x'", Current},
		"a field that is not":  {"", "!has(status.missing)", "true", Failed},
		"conditions of a list": {"", "", "status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", Current},
		"the libraries":        {"", "", "sets.contains([1, 2], [1]) && 'a,b'.split(',').size() == 2 && base64.encode(b'a') == 'YQ=='", Current},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}
			got, err := evaluate(t.Context(), t, Expressions{InProgress: c.inProgress, Failed: c.failed, Current: c.current}, status)
			if err != nil || got != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestWhatCannotBeEvaluatedIsAnError(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("true && ", longestExpression/8) + "true"
	deep := strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000)
	for text, want := range map[string]string{
		"status.": "current: Syntax error", "'a'": "neither true nor false", "nothing.at.all": "current of healthCheckExprs has no value for this object", "nowhere()": "no such overload", long: "size exceeds", deep: "recursion",
		"": "current is missing",
	} {
		if _, err := evaluate(t.Context(), t, Expressions{Current: text}, map[string]any{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := evaluate(ctx, t, Expressions{Current: "true"}, map[string]any{}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestAProbeIsBoundedAsAWhole: each object alone is cheap enough, and an inventory may have thousands of them.
func TestAProbeIsBoundedAsAWhole(t *testing.T) {
	t.Parallel()
	var meter fair.Meter
	ctx := fair.WithMeter(t.Context(), &meter)
	items := make([]any, 100)
	for i := range items {
		items[i] = int64(i)
	}
	x := Expressions{Current: "status.all(a, status.exists(b, a == b))"}
	if _, err := evaluate(ctx, t, x, items); err != nil || meter.Taken() == 0 {
		t.Fatalf("%v, after %s", err, meter.Taken())
	}
	fair.Charge(ctx, mostOfProbe)
	_, err := evaluate(ctx, t, x, items)
	if want := "the healthCheckExprs of all objects together take longer than 1s"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// CEL names the key that a map does not have, and the key may be a value of the object.
func TestErrorsHoldNoValueOfTheObject(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{'x': true}[status.password]", "int(status.password) == 1", "timestamp(status.password) == timestamp(status.password)"} {
		if _, err := evaluate(t.Context(), t, Expressions{Current: text}, map[string]any{"password": "hunter2"}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	costly := "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, [0,1,2,3,4,5,6,7,8,9].all(f, a + b + c + d + e + f >= 0))))))"
	if _, err := evaluate(t.Context(), t, Expressions{Current: costly}, map[string]any{}); err == nil || !strings.Contains(err.Error(), "takes more than") {
		t.Errorf("costly: %v", err)
	}
}

func TestAnEvaluatorJudgesItsKinds(t *testing.T) {
	t.Parallel()
	e, err := (&Applied{Expressions: []Expressions{
		{APIVersion: "example.com/v1", Kind: "Widget", Current: "true"}, {APIVersion: "example.org/v1", Current: "true"}, {APIVersion: "v1", Kind: "Pod", Current: "true"},
	}}).Evaluator()
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[schema.GroupKind]bool{
		{Group: "example.com", Kind: "Widget"}: true, {Group: "example.com", Kind: "Gadget"}: false, {Group: "example.org", Kind: "Gadget"}: true,
		{Kind: "Pod"}: true, {Kind: "Service"}: false,
	} {
		if got := e.Judges(kind); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
