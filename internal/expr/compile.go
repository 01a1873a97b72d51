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
	// MaxLength of a condition.
	MaxLength = 2048
	// MaxCost of an evaluation, in steps. It is a quarter of what the Kubernetes API server allows one of its own rules: about 25ms.
	MaxCost = 250_000
	// maxEstimate is what an evaluation may cost at the most over lists and texts of usual size, which are seldom all as large as that.
	maxEstimate = 1_000_000
	// maxTime ends an evaluation whatever its cost is: to keep account of the cost of long loops takes time itself.
	maxTime = 250 * time.Millisecond
	// checkEvery is how many rounds of loops there are between two looks at the clock.
	checkEvery = 10
)

// environment is everything that conditions over some variables may use.
func environment(own []cel.EnvOption) (*cel.Env, error) {
	return cel.NewEnv(append(own,
		cel.Variable("release", cel.MapType(cel.StringType, cel.StringType)),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		// Versions are named, so that an update of the library does not bring functions that nobody has looked at.
		ext.Strings(ext.StringsVersion(4)),
		ext.Lists(ext.ListsVersion(3)),
		ext.Math(ext.MathVersion(2)),
	)...)
}

// Program is a condition that can be evaluated. It may be used by many at once.
type Program struct {
	program cel.Program
	tree    *ast.AST
	names   map[string]bool
}

// Compile reads a condition. An error says what its author has to change.
func Compile(source string, v Vars) (*Program, error) { return compile(source, v, isCondition) }

// compile reads an expression whose result is of a type that fits.
func compile(source string, v Vars, accepts func(*cel.Type) error) (*Program, error) {
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
	if err := accepts(checked.OutputType()); err != nil {
		return nil, err
	}
	tree := checked.NativeRep()
	if err := acceptable(tree); err != nil {
		return nil, err
	}
	if err := affordable(env, checked); err != nil {
		return nil, err
	}
	program, err := env.Program(checked,
		cel.CostLimit(MaxCost), cel.CostTracking(costs{}), cel.InterruptCheckFrequency(checkEvery), cel.CustomDecorator(bound),
		cel.EvalOptions(cel.OptTrackCost))
	if err != nil {
		return nil, fmt.Errorf("the condition cannot be evaluated")
	}
	return &Program{program: program, tree: tree, names: names(tree)}, nil
}

func isCondition(t *cel.Type) error {
	if t.IsExactType(cel.BoolType) || t.IsExactType(cel.DynType) {
		return nil
	}
	return fmt.Errorf("the condition has to be true or false, and is %s", article(t))
}

// check reads a condition and finds its types, unless it is so deep that this would take long.
func check(env *cel.Env, source string) (*cel.Ast, error) {
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, complaint(issues)
	}
	if err := shallow(parsed.NativeRep()); err != nil {
		return nil, err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, complaint(issues)
	}
	return checked, nil
}

// Uses says whether the condition speaks of a variable.
func (p *Program) Uses(name string) bool { return p.names[name] }

// Eval says whether the condition holds. The error is ErrCost where that takes too much, that of the context where time was up, and
// else about data that the condition does not fit.
func (p *Program) Eval(ctx context.Context, v Values) (bool, error) {
	result, err := p.eval(ctx, v)
	if err != nil {
		return false, err
	}
	return truth(result)
}

func (p *Program) eval(ctx context.Context, v Values) (ref.Val, error) {
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	start := time.Now()
	result, _, err := p.program.Eval(&run{values: v, ctx: limited})
	fair.Charge(ctx, time.Since(start))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("evaluating the condition: %w", context.Cause(ctx))
	case limited.Err() != nil:
		return nil, ErrCost
	case err != nil:
		return nil, p.explain(err)
	}
	return result, nil
}

func truth(result ref.Val) (bool, error) {
	if b, ok := result.(types.Bool); ok {
		return bool(b), nil
	}
	return false, fmt.Errorf("the condition has to be true or false, and is %s", article(result.Type()))
}

// names are the variables that a condition speaks of.
func names(tree *ast.AST) map[string]bool {
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
