package expr

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"

	"github.com/kuberik/kuberik/internal/fair"
)

const (
	// MaxLength is the maximum length of a condition in bytes.
	MaxLength = 2048
	// MaxCost is the maximum cost of an evaluation in steps, which take about 25ms. The Kubernetes API server allows its
	// own rules four times as many.
	MaxCost = 250_000
	// maxEstimate is the maximum estimated cost over lists and strings of typicalSize, which are seldom all that large.
	maxEstimate = 1_000_000
	// maxTime is the maximum duration of an evaluation: tracking the cost of long loops takes time itself.
	maxTime = 250 * time.Millisecond
	// interruptFrequency is the number of loop iterations between two checks of the context.
	interruptFrequency = 10
)

// environment returns the variables and functions that conditions may use.
func environment(variables []cel.EnvOption) (*cel.Env, error) {
	return cel.NewEnv(append(variables,
		cel.Variable("release", cel.MapType(cel.StringType, cel.StringType)),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		// The versions are pinned so that an update of the library adds no functions without a review.
		ext.Strings(ext.StringsVersion(4)),
		ext.Lists(ext.ListsVersion(3)),
		ext.Math(ext.MathVersion(2)),
	)...)
}

// Program is a compiled condition. It is safe for concurrent use.
type Program struct {
	program   cel.Program
	tree      *ast.AST
	variables map[string]bool
}

// Compile compiles a condition. An error says what its author has to change.
func Compile(source string, v Vars) (*Program, error) { return compile(source, v, isBool) }

// compile compiles an expression whose type is accepted by checkType.
func compile(source string, v Vars, checkType func(*cel.Type) error) (*Program, error) {
	switch {
	case strings.TrimSpace(source) == "":
		return nil, fmt.Errorf("the condition is empty")
	case len(source) > MaxLength:
		return nil, fmt.Errorf("the condition is longer than %d characters", MaxLength)
	}
	env, err := v.env()
	if err != nil {
		return nil, fmt.Errorf("preparing conditions: %w", err)
	}
	checked, err := check(env, source)
	if err != nil {
		return nil, err
	}
	if err := checkType(checked.OutputType()); err != nil {
		return nil, err
	}
	tree := checked.NativeRep()
	if err := checkCalls(tree); err != nil {
		return nil, err
	}
	if err := checkEstimate(env, checked); err != nil {
		return nil, err
	}
	program, err := env.Program(checked,
		cel.CostLimit(MaxCost), cel.CostTracking(costEstimator{}), cel.InterruptCheckFrequency(interruptFrequency),
		cel.CustomDecorator(limitSize),
		cel.EvalOptions(cel.OptTrackCost))
	if err != nil {
		return nil, fmt.Errorf("the condition cannot be evaluated")
	}
	return &Program{program: program, tree: tree, variables: variables(tree)}, nil
}

func isBool(t *cel.Type) error {
	if t.IsExactType(cel.BoolType) || t.IsExactType(cel.DynType) {
		return nil
	}
	return fmt.Errorf("the condition has to be true or false, and is %s", describeType(t))
}

// check parses a condition and checks its types. It rejects deep nesting first, since checking it would take long.
func check(env *cel.Env, source string) (*cel.Ast, error) {
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, firstIssue(issues)
	}
	if err := checkDepth(parsed.NativeRep()); err != nil {
		return nil, err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, firstIssue(issues)
	}
	return checked, nil
}

// uses reports whether the condition uses a variable.
func (p *Program) uses(name string) bool { return p.variables[name] }

// Eval reports whether the condition holds. The error is ErrCost if a limit is exceeded, wraps that of the context if
// it has ended, and otherwise says which data the condition lacks.
func (p *Program) Eval(ctx context.Context, v Values) (bool, error) {
	result, err := p.eval(ctx, v)
	if err != nil {
		return false, err
	}
	return toBool(result)
}

func (p *Program) eval(ctx context.Context, v Values) (ref.Val, error) {
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	start := time.Now()
	result, _, err := p.program.Eval(&activation{values: v, ctx: limited})
	fair.Charge(ctx, time.Since(start))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("evaluating the condition: %w", context.Cause(ctx))
	case limited.Err() != nil:
		return nil, ErrCost
	case err != nil:
		return nil, p.safeError(err)
	}
	return result, nil
}

func toBool(result ref.Val) (bool, error) {
	if b, ok := result.(types.Bool); ok {
		return bool(b), nil
	}
	return false, fmt.Errorf("the condition has to be true or false, and is %s", describeType(result.Type()))
}

// variables returns the variables that a condition uses.
func variables(tree *ast.AST) map[string]bool {
	found := map[string]bool{}
	visit(tree.Expr(), func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			found[e.AsIdent()] = true
		}
	})
	return found
}

func visit(e ast.Expr, f func(ast.Expr)) {
	ast.PostOrderVisit(e, ast.NewExprVisitor(f))
}
