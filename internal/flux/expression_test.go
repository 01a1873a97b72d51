package flux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/internal/fair"
)

// evaluate evaluates expressions for a Widget with a status.
func evaluate(ctx context.Context, t *testing.T, x Expressions, widgetStatus any) (status.Status, error) {
	t.Helper()
	x.APIVersion, x.Kind = "example.com/v1", "Widget"
	e, err := (&KustomizationState{Expressions: []Expressions{x}}).Evaluator(t.Context())
	if err != nil {
		return status.UnknownStatus, err
	}
	return e.Evaluate(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "status": widgetStatus,
	}})
}

func TestExpressionsAreEvaluatedInTheOrderOfFlux(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inProgress, failed, current string
		want                        status.Status
	}{
		"all are true":                {"true", "true", "true", status.InProgressStatus},
		"failed and current are true": {"false", "true", "true", status.FailedStatus},
		"only current is true":        {"false", "false", "true", status.CurrentStatus},
		"none is true":                {"false", "false", "false", status.InProgressStatus},
		"only current is set":         {"", "", "true", status.CurrentStatus},
		"optional fields":             {"", "", "status.?missing.orValue('x') == 'x'", status.CurrentStatus},
		"missing field":               {"", "!has(status.missing)", "true", status.FailedStatus},
		"condition in a list":         {"", "", "status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", status.CurrentStatus},
		"equal sets": {"", "", "sets.equivalent([1, 2], [2, 1, 1]) && !sets.equivalent([1], [1, 2]) && " +
			"!sets.equivalent([1, 2], [1])", status.CurrentStatus},
		"intersecting sets": {"", "", "sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [2]) && " +
			"!sets.contains([1], [2])", status.CurrentStatus},
		"pattern":            {"", "", "status.conditions[0].type.matches('^Rea')", status.CurrentStatus},
		"chain of optionals": {"", "", "status.?conditions.optMap(c, c.size() == 1).orValue(false)", status.CurrentStatus},
		"libraries": {"", "", "sets.contains([1, 2], [1]) && 'a,b'.split(',').size() == 2 && " +
			"base64.encode(b'a') == 'YQ=='", status.CurrentStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			widgetStatus := map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}
			x := Expressions{InProgress: c.inProgress, Failed: c.failed, Current: c.current}
			got, err := evaluate(t.Context(), t, x, widgetStatus)
			if err != nil || got != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestInvalidExpressionsAreErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("true && ", maxExpressionLength/8) + "true"
	deep := strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000)
	for text, want := range map[string]string{
		"status.":     "current: Syntax error",
		"'a'":         "current does not return true or false",
		"missing.key": "healthCheckExprs: current has no value for this object",
		"missing()":   "no such overload",
		long:          "size exceeds",
		deep:          "recursion",
		"":            "current is missing",
	} {
		if _, err := evaluate(t.Context(), t, Expressions{Current: text}, map[string]any{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := evaluate(ctx, t, Expressions{Current: "true"}, map[string]any{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// TestProbeTimeIsLimited: one object is cheap, but an inventory may hold thousands.
func TestProbeTimeIsLimited(t *testing.T) {
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
	fair.Charge(ctx, maxProbeTime)
	_, err := evaluate(ctx, t, x, items)
	if want := "evaluating healthCheckExprs for all objects takes longer than 1s"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// doubling returns an expression that doubles a list n times. The format doubled takes a variable twice, and Z in the
// expression last stands for the resulting list.
func doubling(n int, doubled, last string) string {
	before, after, list := "", "", "[1, 2]"
	for i := range n {
		v := fmt.Sprintf("v%d", i)
		before, after, list = before+"["+list+"].exists("+v+", ", after+")", fmt.Sprintf(doubled, v, v)
	}
	return before + strings.ReplaceAll(last, "Z", list) + after
}

// TestSingleStepsAreLimited: each of these takes few steps but, without its own limit, all memory or hours.
func TestSingleStepsAreLimited(t *testing.T) {
	t.Parallel()
	const tooMuch = "takes more than 250000 steps or builds lists that are too large"
	hundred := strings.Repeat("a", 100)
	for name, c := range map[string]struct{ text, want string }{
		"replacing repeatedly":          {`"a"` + strings.Repeat(`.replace("a", "`+hundred+`")`, 6) + ` == ""`, "the function replace is not evaluated"},
		"joining":                       {`["a", "b"].join("` + hundred + `") == ""`, "the function join is not evaluated"},
		"formatting":                    {`"%s".format([status]) == ""`, "the function format is not evaluated"},
		"comparing lists":               {doubling(40, "(%s + %s)", "Z == Z"), tooMuch},
		"comparing sets":                {doubling(12, "(%s + %s)", "sets.contains(Z, Z)"), tooMuch},
		"comparing nested lists":        {doubling(40, "[%s, %s]", "Z == Z"), tooMuch},
		"comparing optional lists":      {doubling(40, "[%s, %s]", "optional.of(Z) == optional.of(Z)"), tooMuch},
		"a list as the result":          {"[[1, 2] + [3]].map(a, a)", "does not return true or false"},
		"a computed pattern":            {`"a".matches("a" + "b")`, "matches needs a pattern in quotes"},
		"a large pattern":               {`"a".matches("((a{30}){30}){1}(b{900})(c{900})(d{900})(e{900})(f{900})")`, "repeats too much"},
		"macros that copy their target": {"optional.of(true)" + strings.Repeat(".optMap(a, a)", 60) + ".orValue(false)", "optMap and optFlatMap are used more than 4 times"},
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

// TestCompilingExpressionsIsCharged: a Kustomization may have thousands.
func TestCompilingExpressionsIsCharged(t *testing.T) {
	t.Parallel()
	var meter fair.Meter
	ctx := fair.WithMeter(t.Context(), &meter)
	x := &KustomizationState{Expressions: []Expressions{{APIVersion: "v1", Kind: "Pod", Current: "true"}}}
	if _, err := x.Evaluator(ctx); err != nil || meter.Taken() == 0 {
		t.Fatalf("%v, after %s", err, meter.Taken())
	}
	fair.Charge(ctx, maxProbeTime)
	if _, err := x.Evaluator(ctx); err == nil || !strings.Contains(err.Error(), "compiling all expressions takes longer than 1s") {
		t.Errorf("got %v", err)
	}
}

// TestErrorsContainNoValueOfTheObject: an error of CEL names the missing key of a map, which may be a value of the
// object.
func TestErrorsContainNoValueOfTheObject(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{'x': true}[status.password]", "int(status.password) == 1", "timestamp(status.password) == timestamp(status.password)",
	} {
		_, err := evaluate(t.Context(), t, Expressions{Current: text}, map[string]any{"password": "hunter2"})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	costly := "a + b + c + d + e + f >= 0"
	for _, v := range "fedcba" {
		costly = fmt.Sprintf("[0,1,2,3,4,5,6,7,8,9].all(%c, %s)", v, costly)
	}
	_, err := evaluate(t.Context(), t, Expressions{Current: costly}, map[string]any{})
	if err == nil || !strings.Contains(err.Error(), "takes more than") {
		t.Errorf("costly: %v", err)
	}
}

func TestEvaluatorHandlesItsKinds(t *testing.T) {
	t.Parallel()
	e, err := (&KustomizationState{Expressions: []Expressions{
		{APIVersion: "example.com/v1", Kind: "Widget", Current: "true"},
		{APIVersion: "example.org/v1", Current: "true"},
		{APIVersion: "v1", Kind: "Pod", Current: "true"},
	}}).Evaluator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[schema.GroupKind]bool{
		{Group: "example.com", Kind: "Widget"}: true,
		{Group: "example.com", Kind: "Gadget"}: false,
		{Group: "example.org", Kind: "Gadget"}: true,
		{Kind: "Pod"}:                          true,
		{Kind: "Service"}:                      false,
	} {
		if got := e.Handles(kind); got != want {
			t.Errorf("%s: handled %t", kind, got)
		}
	}
}
