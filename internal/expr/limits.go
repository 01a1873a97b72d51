package expr

import (
	"context"
	"errors"
	"fmt"
	"regexp/syntax"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

const (
	// maxDepth, maxLoops and maxLiterals are how many operations, loops, and lists and maps may be within each other.
	maxDepth    = 100
	maxLoops    = 4
	maxLiterals = 8
	// maxItems is how long a list may become, and how many values are compared in one comparison.
	maxItems = 100_000
	// usualSize is how long lists and texts are taken to be when the cost is estimated.
	usualSize = 100
	// maxPattern and maxStates bound a regular expression, as it is written and as it is run.
	maxPattern = 256
	maxStates  = 5_000
)

// ErrCost is a condition that takes more steps or more room than one may.
var ErrCost = errors.New("the condition costs too much to evaluate")

// denied are functions of the libraries whose result may be as large as the product of their arguments, or larger.
var denied = map[string]bool{
	"replace": true, "format": true, "join": true, "lists.range": true, "flatten": true, "distinct": true,
}

// shallow refuses what is nested deeply, in whatever way.
func shallow(tree *ast.AST) error {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		if e.Depth() > maxDepth {
			return errors.New("the condition is nested too deeply")
		}
	}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		loops, literals := 0, 0
		for at, more := e, true; more; at, more = at.Parent() {
			switch at.Kind() {
			case ast.ComprehensionKind:
				loops++
			case ast.ListKind, ast.MapKind:
				literals++
			}
		}
		if loops > maxLoops || literals > maxLiterals {
			return fmt.Errorf("the condition has more than %d loops, or more than %d lists, within each other", maxLoops, maxLiterals)
		}
	}
	return nil
}

// acceptable looks for what a condition may not call.
func acceptable(tree *ast.AST) (err error) {
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
			err = call(e.AsCall())
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); !bindsRelease && o.Kind() == ast.IdentKind && o.AsIdent() == "release" && !releaseFields[s.FieldName()] {
				err = fmt.Errorf("release has no field %s: it has tag, digest, revision, rollout and namespace", s.FieldName())
			}
		}
	})
	return err
}

func call(c ast.CallExpr) error {
	switch {
	case denied[c.FunctionName()]:
		return fmt.Errorf("the function %s is not offered", c.FunctionName())
	case c.FunctionName() == overloads.Matches:
		args := c.Args()
		return pattern(args[len(args)-1])
	}
	return nil
}

// pattern bounds a regular expression. Matching takes no more than its size times the length of the text, but a short one may stand
// for a large one, as a{1000} does.
func pattern(e ast.Expr) error {
	if e.Kind() != ast.LiteralKind {
		return errors.New("matches needs a pattern in quotes")
	}
	return regular(e.AsLiteral())
}

func regular(v ref.Val) error {
	text, ok := v.(types.String)
	if !ok || len(text) > maxPattern {
		return fmt.Errorf("the pattern of matches is longer than %d characters", maxPattern)
	}
	parsed, err := syntax.Parse(string(text), syntax.Perl)
	if err != nil {
		return errors.New("the pattern of matches is no regular expression")
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxStates {
		return errors.New("the pattern of matches repeats too much")
	}
	return nil
}

// affordable estimates what a condition costs over data of a usual size. What it costs over larger data shows when it is evaluated.
func affordable(env *cel.Env, checked *cel.Ast) error {
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return errors.New("the cost of the condition cannot be estimated")
	}
	if estimate.Max > maxEstimate {
		return fmt.Errorf("%w: even over short lists it takes more than %d steps", ErrCost, maxEstimate)
	}
	return nil
}

// sizes takes everything whose size is not known to be of a usual one.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: usualSize}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// counted are the functions that walk over a text and have no cost in the library.
var counted = map[string]bool{
	"charAt": true, "indexOf": true, "lastIndexOf": true, "lowerAscii": true, "upperAscii": true, "split": true, "substring": true,
	"trim": true, "reverse": true, "strings.quote": true,
}

// costs adds up what the libraries' functions cost.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64 = 1
	switch function {
	case operators.Equals, operators.NotEquals, operators.In, operators.OldIn:
		left := 2 * maxItems
		for _, a := range args {
			fits(a, &left)
		}
		cost += uint64(2*maxItems-left)/2 + text(args)
	case operators.Add:
		if l, ok := result.(traits.Lister); !ok || grows(l) {
			return nil
		}
		cost += text([]ref.Val{result})
	case setsContains, setsEquivalent, setsIntersects:
		cost += pairs(args[0], args[1])
	default:
		if !counted[function] {
			return nil
		}
		cost += text(args) + text([]ref.Val{result})
	}
	return &cost
}

// text is what it costs to walk over texts.
func text(values []ref.Val) uint64 {
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

// run gives an evaluation its variables, and ends it when its time is up.
type run struct {
	values Values
	ctx    context.Context //nolint:containedctx // it lives as long as the evaluation, whose interface has no place for it
	rounds int
}

// Parent implements interpreter.Activation.
func (*run) Parent() interpreter.Activation { return nil }

// ResolveName implements interpreter.Activation. The interpreter asks for a certain name in each round of a loop, to know whether it
// should go on. If it is told so there, an outer loop goes on nevertheless, as it does after any other error in its body.
func (r *run) ResolveName(name string) (any, bool) {
	if name == "#interrupted" {
		if r.rounds++; r.rounds%checkEvery == 0 && r.ctx.Err() != nil {
			stop()
		}
		return nil, false
	}
	v, ok := r.values[name]
	return v, ok
}

// stop ends an evaluation, as the interpreter itself does when the limit of cost is reached: it recovers from this and from nothing
// else that could be done here.
func stop() {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: ErrCost.Error()}) //nolint:forbidigo // see above
}

// bound replaces the operations whose cost the interpreter only knows once it has paid it. Lists are joined and nested without
// copying, so that a few steps make one of astronomical size, and comparing two of these would never end.
func bound(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	c, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch c.Function() {
	case operators.Add:
		return join{c}, nil
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

// join bounds the length of a sum of lists, and copies it: the interpreter keeps a tree of all sums, which it walks for every item.
type join struct{ interpreter.InterpretableCall }

// Eval implements interpreter.Interpretable.
func (j join) Eval(vars interpreter.Activation) ref.Val {
	sum := j.InterpretableCall.Eval(vars)
	l, ok := sum.(traits.Lister)
	switch {
	case !ok:
		return sum
	case size(l) > maxItems:
		stop()
	case grows(l):
		return sum
	}
	items := make([]ref.Val, 0, size(l))
	for it := l.Iterator(); it.HasNext() == types.True; {
		items = append(items, it.Next())
	}
	return types.NewRefValList(types.DefaultTypeAdapter, items)
}

// grows says whether a list is the result of a loop, to which items are added in place.
func grows(v ref.Val) bool {
	_, ok := v.(traits.MutableLister)
	return ok
}

// compare bounds the size of what is compared.
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
	case !fits(a, &left), !fits(b, &left):
		stop()
	}
	return types.LabelErrNode(c.ID(), c.with(a, b))
}

func contains(item, container ref.Val) ref.Val {
	if c, ok := container.(traits.Container); ok {
		return c.Contains(item)
	}
	return types.NewErr("no such overload")
}

// fits says whether a value has at most so many values in it, those that occur twice counted twice.
func fits(v ref.Val, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	if o, ok := v.(*types.Optional); ok && o.HasValue() {
		return fits(o.GetValue(), left)
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
		if !fits(item, left) {
			return false
		}
	}
	return true
}
