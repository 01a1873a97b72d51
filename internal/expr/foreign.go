package expr

import (
	"errors"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// Functions of the sets library, which compare each value of one list with each value of another.
const (
	setsContains   = "sets.contains"
	setsEquivalent = "sets.equivalent"
	setsIntersects = "sets.intersects"
)

// Bounds returns the options that limit a program of another environment than that of conditions. They limit the number
// of steps and the size of each step: the interpreter counts a step only afterwards, and a single step can use all
// memory. A program that calls a function without such a limit is rejected.
func Bounds(steps uint64) []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.CostLimit(steps), cel.CostTracking(costEstimator{}), cel.EvalOptions(cel.OptTrackCost),
		cel.InterruptCheckFrequency(interruptFrequency),
		cel.CustomDecorator(limitSizeOrReject),
	}
}

// TooCostly reports whether an evaluation exceeded its Bounds.
func TooCostly(err error) bool {
	var cancelled interpreter.EvalCancelledError
	return errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded
}

// setFunctions implements the functions of the sets library with a limit.
var setFunctions = map[string]func(a, b traits.Lister) ref.Val{
	setsContains: containsAll, setsEquivalent: equivalent, setsIntersects: containsAny,
}

func limitSizeOrReject(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	c, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	if denied[c.Function()] {
		return nil, fmt.Errorf("the function %s is not evaluated by Kuberik, because the size of its result has no bound",
			c.Function())
	}
	if with, ok := setFunctions[c.Function()]; ok && len(c.Args()) == 2 {
		return compare{c, limitPairs(with)}, nil
	}
	if c.Function() == overloads.Matches {
		args := c.Args()
		constant, ok := args[len(args)-1].(interpreter.InterpretableConst)
		if !ok {
			return nil, errPatternNotLiteral
		}
		if err := checkPattern(constant.Value()); err != nil {
			return nil, err
		}
	}
	return limitSize(i)
}

// limitPairs returns a function that applies another to two lists unless they are too large.
func limitPairs(with func(a, b traits.Lister) ref.Val) func(a, b ref.Val) ref.Val {
	return func(a, b ref.Val) ref.Val {
		first, ok := a.(traits.Lister)
		second, too := b.(traits.Lister)
		switch {
		case !ok || !too:
			return types.NewErr("no such overload")
		case comparisons(a, b) > maxItems:
			abort()
		}
		return with(first, second)
	}
}

// comparisons returns the maximum number of comparisons if each value of one list is compared with each of the other.
func comparisons(a, b ref.Val) uint64 {
	count := func(v ref.Val) uint64 {
		left := maxItems
		fitsWithin(v, &left)
		return uint64(maxItems - left) //nolint:gosec // it is between 1 and maxItems+1
	}
	return count(a) * count(b)
}

// containsAll reports whether every value of the second list is in the first.
func containsAll(list, values traits.Lister) ref.Val {
	for it := values.Iterator(); it.HasNext() == types.True; {
		if list.Contains(it.Next()) != types.True {
			return types.False
		}
	}
	return types.True
}

// equivalent reports whether every value of each list is in the other.
func equivalent(a, b traits.Lister) ref.Val {
	if containsAll(a, b) == types.True {
		return containsAll(b, a)
	}
	return types.False
}

// containsAny reports whether a value of the second list is in the first.
func containsAny(list, values traits.Lister) ref.Val {
	for it := values.Iterator(); it.HasNext() == types.True; {
		if list.Contains(it.Next()) == types.True {
			return types.True
		}
	}
	return types.False
}
