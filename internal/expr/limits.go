package expr

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"

	"github.com/kuberik/kuberik/internal/version"
)

const (
	// maxDepth, maxLoops and maxLiterals limit the nesting of operations, of loops, and of lists and maps.
	maxDepth    = 100
	maxLoops    = 4
	maxLiterals = 8
	// maxItems is the maximum length of a list, and the maximum number of values in one comparison.
	maxItems = 100_000
	// typicalSize is the assumed length of lists and strings in a cost estimate.
	typicalSize = 100
	// maxPattern is the maximum length of a regular expression.
	maxPattern = 256
)

// ErrCost is returned if an evaluation exceeds its limits.
var ErrCost = errors.New("the condition costs too much to evaluate")

// denied are library functions whose result may be as large as the product of their arguments, or larger.
var denied = map[string]bool{
	"replace": true, "format": true, "join": true, "lists.range": true, "flatten": true, "distinct": true,
}

// checkDepth rejects deep nesting.
func checkDepth(tree *ast.AST) error {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		if e.Depth() > maxDepth {
			return errors.New("the condition is nested too deeply")
		}
	}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		loops, literals := 0, 0
		for node, ok := e, true; ok; node, ok = node.Parent() {
			switch node.Kind() {
			case ast.ComprehensionKind:
				loops++
			case ast.ListKind, ast.MapKind:
				literals++
			}
		}
		if loops > maxLoops || literals > maxLiterals {
			return fmt.Errorf("the condition has more than %d loops, or more than %d lists, within each other", maxLoops,
				maxLiterals)
		}
	}
	return nil
}

// checkCalls rejects functions that conditions may not call, and unknown fields of release.
func checkCalls(tree *ast.AST) (err error) {
	bindsRelease := false
	visit(tree.Expr(), func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			c := e.AsComprehension()
			bindsRelease = bindsRelease || c.IterVar() == "release" || c.IterVar2() == "release"
		}
	})
	visit(tree.Expr(), func(e ast.Expr) {
		if err != nil {
			return
		}
		switch e.Kind() {
		case ast.CallKind:
			err = checkCall(e.AsCall())
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); !bindsRelease && o.Kind() == ast.IdentKind && o.AsIdent() == "release" &&
				!releaseFields[s.FieldName()] {
				err = fmt.Errorf("release has no field %s: it has tag, digest, revision, rollout and namespace", s.FieldName())
			}
		}
	})
	return err
}

func checkCall(c ast.CallExpr) error {
	switch {
	case denied[c.FunctionName()]:
		return fmt.Errorf("the function %s is not offered", c.FunctionName())
	case c.FunctionName() == overloads.Matches:
		args := c.Args()
		pattern := args[len(args)-1]
		if pattern.Kind() != ast.LiteralKind {
			return errPatternNotLiteral
		}
		return checkPattern(pattern.AsLiteral())
	}
	return nil
}

var errPatternNotLiteral = errors.New("matches needs a pattern in quotes")

// checkPattern limits a regular expression and its program.
func checkPattern(v ref.Val) error {
	text, ok := v.(types.String)
	if !ok || len(text) > maxPattern {
		return fmt.Errorf("the pattern of matches is longer than %d characters", maxPattern)
	}
	if err := version.CheckPattern(string(text)); err != nil {
		return fmt.Errorf("the pattern of matches %w", err)
	}
	return nil
}

// checkEstimate rejects conditions whose estimated cost over data of typicalSize is too high. The cost over larger data
// is limited during evaluation.
func checkEstimate(env *cel.Env, checked *cel.Ast) error {
	estimate, err := env.EstimateCost(checked, sizeEstimator{})
	if err != nil {
		return errors.New("the cost of the condition cannot be estimated")
	}
	if estimate.Max > maxEstimate {
		return fmt.Errorf("%w: even over short lists it takes more than %d steps", ErrCost, maxEstimate)
	}
	return nil
}

// sizeEstimator estimates that everything of unknown size has typicalSize.
type sizeEstimator struct{}

// EstimateSize implements checker.CostEstimator.
func (sizeEstimator) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: typicalSize}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizeEstimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// stringFunctions are functions that take time linear in the length of strings and have no cost in the library.
var stringFunctions = map[string]bool{
	"charAt": true, "indexOf": true, "lastIndexOf": true, "lowerAscii": true, "upperAscii": true, "split": true,
	"substring": true,
	"trim":      true, "reverse": true, "strings.quote": true,
}

// costEstimator returns the actual cost of library functions.
type costEstimator struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costEstimator) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64 = 1
	switch function {
	case operators.Equals, operators.NotEquals, operators.In, operators.OldIn:
		left := 2 * maxItems
		for _, a := range args {
			fitsWithin(a, &left)
		}
		cost += uint64(2*maxItems-left)/2 + textCost(args)
	case operators.Add:
		if l, ok := result.(traits.Lister); !ok || isMutable(l) {
			return nil
		}
		cost += textCost([]ref.Val{result})
	case setsContains, setsEquivalent, setsIntersects:
		cost += comparisons(args[0], args[1])
	default:
		if !stringFunctions[function] {
			return nil
		}
		cost += textCost(args) + textCost([]ref.Val{result})
	}
	return &cost
}

// textCost returns the cost of reading strings.
func textCost(values []ref.Val) uint64 {
	var total uint64
	for _, v := range values {
		total += size(v)
	}
	return total / 10
}

func size(v ref.Val) uint64 {
	if s, ok := v.(traits.Sizer); ok {
		if n, ok := s.Size().(types.Int); ok {
			return uint64(max(n, 0))
		}
	}
	return 1
}

// activation provides the variables of an evaluation, and aborts it when its context ends.
type activation struct {
	values     Values
	ctx        context.Context //nolint:containedctx // the interpreter's interface passes no context
	iterations int
}

// Parent implements interpreter.Activation.
func (*activation) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation. The interpreter resolves "#interrupted" in each iteration of a loop.
// Returning true ends only that loop: an outer loop continues, as after any error in its body. So it aborts instead.
func (r *activation) ResolveName(name string) (any, bool) {
	if name == "#interrupted" {
		if r.iterations++; r.iterations%interruptFrequency == 0 && r.ctx.Err() != nil {
			abort()
		}
		return nil, false
	}
	v, ok := r.values[name]
	return v, ok
}

// abort ends an evaluation with the panic that the interpreter itself uses for its cost limit, and recovers from.
func abort() {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: ErrCost.Error()}) //nolint:forbidigo // see above
}

// limitSize replaces operations whose cost the interpreter knows only afterwards. Lists are joined and nested without
// copying, so a few steps can create a list so large that comparing it would never end.
func limitSize(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	c, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch c.Function() {
	case operators.Add:
		return add{c}, nil
	case operators.Equals:
		return compare{c, types.Equal}, nil
	case operators.NotEquals:
		return compare{c, func(a, b ref.Val) ref.Val {
			if equal, ok := types.Equal(a, b).(types.Bool); ok {
				return !equal
			}
			return types.True
		}}, nil
	case operators.In, operators.OldIn:
		return compare{c, contains}, nil
	}
	return i, nil
}

// add limits the length of a sum of lists and copies it: the interpreter keeps a tree of sums, and walks it for each
// item.
type add struct{ interpreter.InterpretableCall }

// Eval implements interpreter.Interpretable.
func (s add) Eval(vars interpreter.Activation) ref.Val {
	sum := s.InterpretableCall.Eval(vars)
	l, ok := sum.(traits.Lister)
	switch {
	case !ok:
		return sum
	case size(l) > maxItems:
		abort()
	case isMutable(l):
		return sum
	}
	items := make([]ref.Val, 0, size(l))
	for it := l.Iterator(); it.HasNext() == types.True; {
		items = append(items, it.Next())
	}
	return types.NewRefValList(types.DefaultTypeAdapter, items)
}

// isMutable reports whether a list is the result of a loop, which adds items in place.
func isMutable(v ref.Val) bool {
	_, ok := v.(traits.MutableLister)
	return ok
}

// compare limits the size of the values that are compared.
type compare struct {
	interpreter.InterpretableCall
	with func(a, b ref.Val) ref.Val
}

// Eval implements interpreter.Interpretable.
func (c compare) Eval(vars interpreter.Activation) ref.Val {
	args := c.Args()
	a, b, left := args[0].Eval(vars), args[1].Eval(vars), maxItems
	switch {
	case types.IsUnknownOrError(a):
		return a
	case types.IsUnknownOrError(b):
		return b
	case !fitsWithin(a, &left), !fitsWithin(b, &left):
		abort()
	}
	return types.LabelErrNode(c.ID(), c.with(a, b))
}

func contains(item, container ref.Val) ref.Val {
	if c, ok := container.(traits.Container); ok {
		return c.Contains(item)
	}
	return types.NewErr("no such overload")
}

// fitsWithin reports whether a value contains at most left values, counting duplicates, and subtracts them from left.
func fitsWithin(v ref.Val, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	if o, ok := v.(*types.Optional); ok && o.HasValue() {
		return fitsWithin(o.GetValue(), left)
	}
	items, ok := v.(traits.Iterable)
	if !ok {
		return true
	}
	values, keyed := v.(traits.Mapper)
	for it := items.Iterator(); it.HasNext() == types.True; {
		item := it.Next()
		if keyed {
			item = values.Get(item)
		}
		if !fitsWithin(item, left) {
			return false
		}
	}
	return true
}
