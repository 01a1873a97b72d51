package flux

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
)

const (
	// maxCost bounds the cost of an evaluation. Anyone who may write a Kustomization writes the expressions, and all
	// namespaces share the CPU.
	maxCost = 250_000
	// maxProbeTime bounds all evaluations of a probe together, because an inventory may hold thousands of objects.
	maxProbeTime = time.Second
	// maxExpressionLength is the maximum length of an expression in characters.
	maxExpressionLength = 16 << 10
	// maxOptMaps is the maximum number of calls of optMap and optFlatMap in an expression. The parser copies the
	// target of each call, so that every call in a chain doubles the parsed expression.
	maxOptMaps = 4
)

// optMaps matches the macros that copy their target.
var optMaps = regexp.MustCompile(`\bopt(Flat)?Map\b`)

// Expressions are a custom health check for the objects of a group, or of one kind of it. They replace kstatus.
type Expressions struct {
	// APIVersion and Kind of the objects. An empty Kind selects all kinds of the group.
	APIVersion, Kind string
	// InProgress, Failed and Current are evaluated in this order, except where empty. The first that is true decides.
	InProgress, Failed, Current string
}

// groupKind returns the group and kind that the expressions apply to. Like Flux, it ignores the version.
func (e Expressions) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: schema.FromAPIVersionAndKind(e.APIVersion, e.Kind).Group, Kind: e.Kind}
}

// String returns the API version and the kind.
func (e Expressions) String() string { return strings.TrimSpace(e.APIVersion + " " + e.Kind) }

func expressions(k *kustomizev1.Kustomization) []Expressions {
	var list []Expressions
	for _, e := range k.Spec.HealthCheckExprs {
		list = append(list, Expressions{
			APIVersion: e.APIVersion, Kind: e.Kind, InProgress: e.InProgress, Failed: e.Failed, Current: e.Current,
		})
	}
	return list
}

// Evaluator evaluates the healthCheckExprs of a Kustomization. It is safe for concurrent use.
type Evaluator struct{ steps map[schema.GroupKind][]step }

// step is one expression of a custom health check.
type step struct {
	// field that holds the expression.
	field   string
	program cel.Program
	// result if the expression is true.
	result status.Status
}

// Evaluator compiles the healthCheckExprs of the Kustomization and charges the time to the meter in the context. An
// error says what to change in the Kustomization.
func (s *KustomizationState) Evaluator(ctx context.Context) (*Evaluator, error) {
	e := &Evaluator{steps: map[schema.GroupKind][]step{}}
	for i, x := range s.Expressions {
		if _, duplicate := e.steps[x.groupKind()]; duplicate {
			return nil, fmt.Errorf("spec.healthCheckExprs[%d]: %s already has expressions", i, x)
		}
		start := time.Now()
		compiled, err := compile(x)
		if fair.Charge(ctx, time.Since(start)) > maxProbeTime {
			return nil, fmt.Errorf("spec.healthCheckExprs: compiling all expressions takes longer than %s",
				maxProbeTime)
		}
		if err != nil {
			return nil, fmt.Errorf("spec.healthCheckExprs[%d] for %s: %w", i, x, err)
		}
		e.steps[x.groupKind()] = compiled
	}
	return e, nil
}

func compile(x Expressions) ([]step, error) {
	if x.Current == "" {
		return nil, errors.New("current is missing")
	}
	var steps []step
	for _, e := range []struct {
		field, text string
		result      status.Status
	}{
		{"inProgress", x.InProgress, status.InProgressStatus},
		{"failed", x.Failed, status.FailedStatus},
		{"current", x.Current, status.CurrentStatus},
	} {
		if e.text == "" {
			continue
		}
		program, err := parse(e.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.field, err)
		}
		steps = append(steps, step{e.field, program, e.result})
	}
	return steps, nil
}

// environment is the CEL environment of Flux. Expressions are not type-checked, because any field of the object may be
// a variable.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
		cel.ParserExpressionSizeLimit(maxExpressionLength),
	)
})

func parse(text string) (cel.Program, error) {
	if len(optMaps.FindAllStringIndex(text, maxOptMaps+1)) > maxOptMaps {
		return nil, fmt.Errorf("optMap and optFlatMap are used more than %d times", maxOptMaps)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("creating the CEL environment: %w", err)
	}
	tree, issues := env.Parse(text)
	if all := issues.Errors(); len(all) > 0 {
		message, _, _ := strings.Cut(all[0].Message, "\n")
		at := all[0].Location
		return nil, fmt.Errorf("%s, at line %d, character %d", message, at.Line(), at.Column()+1)
	}
	return env.Program(tree, expr.Bounds(maxCost)...)
}

// Handles reports whether there are expressions for a kind.
func (e *Evaluator) Handles(kind schema.GroupKind) bool { return e.stepsFor(kind) != nil }

func (e *Evaluator) stepsFor(kind schema.GroupKind) []step {
	if steps := e.steps[kind]; steps != nil {
		return steps
	}
	return e.steps[schema.GroupKind{Group: kind.Group}]
}

// Evaluate returns the status of an object of a kind that has expressions. An object whose controller has not observed
// its current generation is in progress. An error names the expression that has no result.
func (e *Evaluator) Evaluate(ctx context.Context, o *unstructured.Unstructured) (status.Status, error) {
	if isGenerationUnobserved(o.Object) {
		return status.InProgressStatus, nil
	}
	for _, x := range e.stepsFor(o.GroupVersionKind().GroupKind()) {
		holds, err := x.evaluate(ctx, o)
		if err != nil {
			return status.UnknownStatus, err
		}
		if holds {
			return x.result, nil
		}
	}
	return status.InProgressStatus, nil
}

func (s step) evaluate(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	start := time.Now()
	value, _, err := s.program.ContextEval(ctx, o.Object)
	total := fair.Charge(ctx, time.Since(start))
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case total > maxProbeTime:
		return false, fmt.Errorf("evaluating healthCheckExprs for all objects takes longer than %s", maxProbeTime)
	case expr.TooCostly(err):
		return false, fmt.Errorf("healthCheckExprs: %s takes more than %d steps or builds lists that are too large",
			s.field, maxCost)
	case err != nil:
		// The error text of CEL may contain values of the object.
		return false, fmt.Errorf("healthCheckExprs: %s has no value for this object: "+
			"guard fields that may be missing, as in has(status.field)", s.field)
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("healthCheckExprs: %s does not return true or false", s.field)
	}
	return bool(holds), nil
}

// isGenerationUnobserved reports whether the status of an object refers to another generation than the current one.
func isGenerationUnobserved(o map[string]any) bool {
	observed, ok, err := unstructured.NestedInt64(o, "status", "observedGeneration")
	if err != nil || !ok {
		return false
	}
	generation, ok, err := unstructured.NestedInt64(o, "metadata", "generation")
	return err == nil && ok && observed != generation
}
