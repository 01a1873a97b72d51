package flux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/internal/fair"
)

// evaluate judges a Widget by expressions for its kind.
func evaluate(ctx context.Context, t *testing.T, x Expressions, status any) (Outcome, error) {
	t.Helper()
	x.APIVersion, x.Kind = "example.com/v1", "Widget"
	e, err := (&Applied{Expressions: []Expressions{x}}).Evaluator(t.Context())
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
		"equal sets":           {"", "", "sets.equivalent([1, 2], [2, 1, 1]) && !sets.equivalent([1], [1, 2]) && !sets.equivalent([1, 2], [1])", Current},
		"sets that meet":       {"", "", "sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [2]) && !sets.contains([1], [2])", Current},
		"a pattern":            {"", "", "status.conditions[0].type.matches('^Rea')", Current},
		"a chain of optionals": {"", "", "status.?conditions.optMap(c, c.size() == 1).orValue(false)", Current},
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

// bind makes an expression that doubles a list n times, by a format of two variables, each time in a loop around the last expression, in
// which Z is the result.
func bind(n int, doubled, last string) string {
	before, after, list := "", "", "[1, 2]"
	for i := range n {
		v := fmt.Sprintf("v%d", i)
		before, after, list = before+"["+list+"].exists("+v+", ", after+")", fmt.Sprintf(doubled, v, v)
	}
	return before + strings.ReplaceAll(last, "Z", list) + after
}

// TestNoStepOfAnExpressionTakesAllThereIs: each of these takes few steps and, without its own bound, all memory or hours.
func TestNoStepOfAnExpressionTakesAllThereIs(t *testing.T) {
	t.Parallel()
	const tooMuch = "takes more than 250000 steps, or builds lists that are too large"
	hundred := strings.Repeat("a", 100)
	for name, c := range map[string]struct{ text, want string }{
		"replacing again and again": {`"a"` + strings.Repeat(`.replace("a", "`+hundred+`")`, 6) + ` == ""`, "the function replace is not evaluated"},
		"joining":                   {`["a", "b"].join("` + hundred + `") == ""`, "the function join is not evaluated"},
		"formatting":                {`"%s".format([status]) == ""`, "the function format is not evaluated"},
		"comparing lists":           {bind(40, "(%s + %s)", "Z == Z"), tooMuch},
		"comparing sets":            {bind(12, "(%s + %s)", "sets.contains(Z, Z)"), tooMuch},
		"comparing nested lists":    {bind(40, "[%s, %s]", "Z == Z"), tooMuch},
		"comparing optional lists":  {bind(40, "[%s, %s]", "optional.of(Z) == optional.of(Z)"), tooMuch},
		"a list as the result":      {"[[1, 2] + [3]].map(a, a)", "neither true nor false"},
		"a pattern out of nothing":  {`"a".matches("a" + "b")`, "matches needs a pattern in quotes"},
		"a pattern that is large":   {`"a".matches("((a{30}){30}){1}(b{900})(c{900})(d{900})(e{900})(f{900})")`, "repeats too much"},
		"copies of the parser":      {"optional.of(true)" + strings.Repeat(".optMap(a, a)", 60) + ".orValue(false)", "optMap and optFlatMap are called more than 4 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := evaluate(ctx, t, Expressions{Current: c.text}, map[string]any{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestReadingExpressionsIsPaidFor: a Kustomization may have thousands.
func TestReadingExpressionsIsPaidFor(t *testing.T) {
	t.Parallel()
	var meter fair.Meter
	ctx := fair.WithMeter(t.Context(), &meter)
	x := &Applied{Expressions: []Expressions{{APIVersion: "v1", Kind: "Pod", Current: "true"}}}
	if _, err := x.Evaluator(ctx); err != nil || meter.Taken() == 0 {
		t.Fatalf("%v, after %s", err, meter.Taken())
	}
	fair.Charge(ctx, mostOfProbe)
	if _, err := x.Evaluator(ctx); err == nil || !strings.Contains(err.Error(), "reading all expressions takes longer than 1s") {
		t.Errorf("got %v", err)
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
	}}).Evaluator(t.Context())
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
