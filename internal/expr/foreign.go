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

// Functions of the library of sets, which compare every value of one list with every value of another.
const (
	setsContains   = "sets.contains"
	setsEquivalent = "sets.equivalent"
	setsIntersects = "sets.intersects"
)

// Bounds are the options for a program that is made of an expression for another environment than that of conditions. They limit its
// steps, and what a single step takes: the interpreter counts a step when it has done it, and one step of a short expression can use all
// memory. A program that calls a function without such a limit is refused.
func Bounds(steps uint64) []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.CostLimit(steps), cel.CostTracking(costs{}), cel.EvalOptions(cel.OptTrackCost), cel.InterruptCheckFrequency(checkEvery),
		cel.CustomDecorator(boundOrRefused),
	}
}

// TooCostly says whether an evaluation was ended by its Bounds.
func TooCostly(err error) bool {
	var cancelled interpreter.EvalCancelledError
	return errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded
}

// setFunctions are the functions of the library of sets, with a bound.
var setFunctions = map[string]func(a, b traits.Lister) ref.Val{
	setsContains: all, setsEquivalent: equivalent, setsIntersects: some,
}

func boundOrRefused(i interpreter.Interpretable) (interpreter.Interpretable, error) {
	c, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	if denied[c.Function()] {
		return nil, fmt.Errorf("the function %s is not evaluated by Kuberik, because the size of its result has no bound", c.Function())
	}
	if with, ok := setFunctions[c.Function()]; ok && len(c.Args()) == 2 {
		return compare{c, listed(with)}, nil
	}
	if c.Function() == overloads.Matches {
		args := c.Args()
		constant, ok := args[len(args)-1].(interpreter.InterpretableConst)
		if !ok {
			return nil, errors.New("matches needs a pattern in quotes")
		}
		if err := regular(constant.Value()); err != nil {
			return nil, err
		}
	}
	return bound(i)
}

// listed compares two lists that are not too large for it.
func listed(with func(a, b traits.Lister) ref.Val) func(a, b ref.Val) ref.Val {
	return func(a, b ref.Val) ref.Val {
		first, ok := a.(traits.Lister)
		second, too := b.(traits.Lister)
		switch {
		case !ok || !too:
			return types.NewErr("no such overload")
		case pairs(a, b) > maxItems:
			stop()
		}
		return with(first, second)
	}
}

// pairs is how many values are compared at most where each of one is compared with each of the other.
func pairs(a, b ref.Val) uint64 {
	count := func(v ref.Val) uint64 {
		left := maxItems
		fits(v, &left)
		return uint64(maxItems - left) //nolint:gosec // it is between 1 and maxItems+1
	}
	return count(a) * count(b)
}

// all says whether every value of the second list is in the first.
func all(list, values traits.Lister) ref.Val {
	for it := values.Iterator(); it.HasNext() == types.True; {
		if list.Contains(it.Next()) != types.True {
			return types.False
		}
	}
	return types.True
}

// equivalent says whether every value of each list is in the other.
func equivalent(a, b traits.Lister) ref.Val {
	if all(a, b) == types.True {
		return all(b, a)
	}
	return types.False
}

// some says whether a value of the second list is in the first.
func some(list, values traits.Lister) ref.Val {
	for it := values.Iterator(); it.HasNext() == types.True; {
		if list.Contains(it.Next()) == types.True {
			return types.True
		}
	}
	return types.False
}
