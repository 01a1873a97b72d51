package flux

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

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
	// mostCost bounds an evaluation, in steps: the expressions are of whoever may write a Kustomization, and the time is of all.
	mostCost = 250_000
	// mostOfProbe bounds all evaluations of one probe together: an inventory may have thousands of objects.
	mostOfProbe = time.Second
	// longestExpression is the most characters of an expression.
	longestExpression = 16 << 10
	// mostOptMaps is how many calls of optMap and optFlatMap an expression may have: the parser copies the target of each, so that a chain
	// of them doubles what is parsed with every call.
	mostOptMaps = 4
)

// optMaps finds the macros that copy their target.
var optMaps = regexp.MustCompile(`\bopt(Flat)?Map\b`)

// Expressions judge the objects of a group, or of one kind of it, in the place of the convention.
type Expressions struct {
	// APIVersion and Kind of the objects; without a kind, all those of the group.
	APIVersion, Kind string
	// InProgress, Failed and Current are asked in this order, each if it is not empty. The first that is true decides.
	InProgress, Failed, Current string
}

// group and kind that the expressions are for. As for Flux, the version does not count.
func (e Expressions) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: schema.FromAPIVersionAndKind(e.APIVersion, e.Kind).Group, Kind: e.Kind}
}

// String names what they are for.
func (e Expressions) String() string { return strings.TrimSpace(e.APIVersion + " " + e.Kind) }

func expressions(k *kustomizev1.Kustomization) []Expressions {
	var list []Expressions
	for _, e := range k.Spec.HealthCheckExprs {
		list = append(list, Expressions{APIVersion: e.APIVersion, Kind: e.Kind, InProgress: e.InProgress, Failed: e.Failed, Current: e.Current})
	}
	return list
}

// Outcome is what expressions say of an object.
type Outcome int

const (
	// InProgress: it is on its way.
	InProgress Outcome = iota
	// Failed: it will not get there.
	Failed
	// Current: it is there.
	Current
)

// Evaluator judges objects by the expressions of a Kustomization. It may be used by many at once.
type Evaluator struct{ kinds map[schema.GroupKind]*steps }

// steps are expressions that can be evaluated, in order.
type steps struct{ list []step }

type step struct {
	// field that the expression is in.
	field   string
	program cel.Program
	outcome Outcome
}

// Evaluator compiles the expressions of the Kustomization, on the account of whoever the context is for. An error says what its author has
// to change.
func (a *Applied) Evaluator(ctx context.Context) (*Evaluator, error) {
	e := &Evaluator{kinds: map[schema.GroupKind]*steps{}}
	for i, x := range a.Expressions {
		if _, twice := e.kinds[x.groupKind()]; twice {
			return nil, fmt.Errorf("spec.healthCheckExprs[%d]: %s has expressions already", i, x)
		}
		start := time.Now()
		compiled, err := compile(x)
		if fair.Charge(ctx, time.Since(start)) > mostOfProbe {
			return nil, fmt.Errorf("spec.healthCheckExprs: reading all expressions takes longer than %s", mostOfProbe)
		}
		if err != nil {
			return nil, fmt.Errorf("spec.healthCheckExprs[%d] for %s: %w", i, x, err)
		}
		e.kinds[x.groupKind()] = compiled
	}
	return e, nil
}

func compile(x Expressions) (*steps, error) {
	if x.Current == "" {
		return nil, errors.New("current is missing")
	}
	var s steps
	for _, e := range []struct {
		field, text string
		outcome     Outcome
	}{{"inProgress", x.InProgress, InProgress}, {"failed", x.Failed, Failed}, {"current", x.Current, Current}} {
		if e.text == "" {
			continue
		}
		program, err := parse(e.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.field, err)
		}
		s.list = append(s.list, step{e.field, program, e.outcome})
	}
	return &s, nil
}

// environment is that of Flux. Types are not checked, since any field of the object may be a variable.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
		cel.ParserExpressionSizeLimit(longestExpression),
	)
})

func parse(text string) (cel.Program, error) {
	if len(optMaps.FindAllStringIndex(text, mostOptMaps+1)) > mostOptMaps {
		return nil, fmt.Errorf("optMap and optFlatMap are called more than %d times", mostOptMaps)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing expressions: %w", err)
	}
	tree, issues := env.Parse(text)
	if all := issues.Errors(); len(all) > 0 {
		message, _, _ := strings.Cut(all[0].Message, "\n")
		return nil, fmt.Errorf("%s, at line %d, character %d", message, all[0].Location.Line(), all[0].Location.Column()+1)
	}
	return env.Program(tree, expr.Bounds(mostCost)...)
}

// Judges says whether there are expressions for a kind.
func (e *Evaluator) Judges(kind schema.GroupKind) bool { return e.of(kind) != nil }

func (e *Evaluator) of(kind schema.GroupKind) *steps {
	if s := e.kinds[kind]; s != nil {
		return s
	}
	return e.kinds[schema.GroupKind{Group: kind.Group}]
}

// Evaluate judges an object of a kind that there are expressions for. An object that its controller has not looked at since it was
// changed is on its way. An error says which expression
// has no value.
func (e *Evaluator) Evaluate(ctx context.Context, o *unstructured.Unstructured) (Outcome, error) {
	s := e.of(o.GroupVersionKind().GroupKind())
	if s == nil || behind(o.Object) {
		return InProgress, nil
	}
	for _, x := range s.list {
		start := time.Now()
		value, _, err := x.program.ContextEval(ctx, o.Object)
		all := fair.Charge(ctx, time.Since(start))
		switch {
		case ctx.Err() != nil:
			return InProgress, ctx.Err()
		case all > mostOfProbe:
			return InProgress, fmt.Errorf("the healthCheckExprs of all objects together take longer than %s", mostOfProbe)
		case expr.TooCostly(err):
			return InProgress, fmt.Errorf("%s of healthCheckExprs takes more than %d steps, or builds lists that are too large", x.field, mostCost)
		case err != nil:
			// CEL's own text may hold values of the object.
			return InProgress, fmt.Errorf("%s of healthCheckExprs has no value for this object: guard fields that may be missing, as in has(status.field)", x.field)
		}
		switch value {
		case types.True:
			return x.outcome, nil
		case types.False:
		default:
			return InProgress, fmt.Errorf("%s of healthCheckExprs is neither true nor false", x.field)
		}
	}
	return InProgress, nil
}

// behind says whether the object tells that its controller has not looked at its last change yet.
func behind(o map[string]any) bool {
	observed, ok, err := unstructured.NestedInt64(o, "status", "observedGeneration")
	if err != nil || !ok {
		return false
	}
	generation, ok, err := unstructured.NestedInt64(o, "metadata", "generation")
	return err == nil && ok && observed != generation
}
