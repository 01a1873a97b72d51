package expr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// MaxValue is the maximum size of the text of a Value in bytes. It is that of the body of a request.
const MaxValue = 64 << 10

// errValueSize is returned if the text of a Value is longer than MaxValue.
var errValueSize = fmt.Errorf("the result of the expression is larger than %d KiB", MaxValue>>10)

// Value is a compiled expression over release that produces text, such as the body of a request. It is safe for
// concurrent use.
type Value struct{ program *Program }

// isValue checks that a type can be written as text.
func isValue(t *cel.Type) error {
	switch t.Kind() {
	case types.StringKind, types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.ListKind, types.MapKind,
		types.NullTypeKind,
		types.DynKind:
		return nil
	}
	return errNoValue(t)
}

// Text returns the result of the expression: a string as it is, and everything else as JSON. It fails with ErrCost,
// with the error of the context, or if the result is too large or has no JSON.
func (v *Value) Text(ctx context.Context, r Release) (string, error) {
	result, err := v.program.eval(ctx, Values{"release": r.value()})
	if err != nil {
		return "", valueError{err}
	}
	if s, ok := result.(types.String); ok {
		if len(s) > MaxValue {
			return "", errValueSize
		}
		return string(s), nil
	}
	// Lists share their items, so a short expression can have a result whose JSON is huge. Its size is limited first.
	left := MaxValue
	native, err := toNative(result, &left)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(native)
	switch {
	case err != nil:
		return "", errors.New("the result of the expression is a number that JSON cannot express")
	case len(text) > MaxValue:
		return "", errValueSize
	}
	return string(text), nil
}

// toNative converts a value to a Go value for JSON. It subtracts the size from left, and fails if left becomes
// negative.
func toNative(v ref.Val, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errValueSize
	}
	switch v := v.(type) {
	case types.String:
		*left -= len(v)
		return string(v), nil
	case types.Bool, types.Int, types.Uint, types.Double:
		return v.Value(), nil
	case types.Null:
		return nil, nil //nolint:nilnil // JSON's null
	case traits.Mapper:
		return mapToNative(v, left)
	case traits.Lister:
		return listToNative(v, left)
	}
	return nil, errNoValue(v.Type())
}

func listToNative(list traits.Lister, left *int) (any, error) {
	items := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item, err := toNative(it.Next(), left)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func mapToNative(m traits.Mapper, left *int) (any, error) {
	fields := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errors.New("the result of the expression is a map whose keys are not all texts")
		}
		*left -= len(name)
		field, err := toNative(m.Get(key), left)
		if err != nil {
			return nil, err
		}
		fields[string(name)] = field
	}
	return fields, nil
}

func errNoValue(t ref.Type) error {
	return fmt.Errorf("the expression has to be text, a number, true or false, a list or a map, and is %s",
		describeType(t))
}

// valueError replaces "condition" by "expression" in the message of an error.
type valueError struct{ error }

// Error implements error.
func (e valueError) Error() string {
	return strings.ReplaceAll(e.error.Error(), "the condition", "the expression")
}

// Unwrap returns the wrapped error.
func (e valueError) Unwrap() error { return e.error }
