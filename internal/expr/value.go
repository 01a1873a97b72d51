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

// MaxValue is how large the text of a Value may be, in bytes: as large as the body of a request may be.
const MaxValue = 64 << 10

// ErrValueSize is a value whose text is longer than MaxValue.
var ErrValueSize = fmt.Errorf("the result of the expression is larger than %d KiB", MaxValue>>10)

// Value is an expression over the release alone that makes text, such as the body of a request. It may be used by many at once.
type Value struct{ program *Program }

// CompileValue reads an expression over release. An error says what its author has to change.
func CompileValue(source string) (*Value, error) {
	program, err := compile(source, releaseAlone, isValue)
	if err != nil {
		return nil, worded{err}
	}
	return &Value{program}, nil
}

func isValue(t *cel.Type) error {
	switch t.Kind() {
	case types.StringKind, types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.ListKind, types.MapKind, types.NullTypeKind,
		types.DynKind:
		return nil
	}
	return errNoValue(t)
}

// Text evaluates the expression. A text is its result as it is; everything else is written as JSON. The error is ErrCost, ErrValueSize
// or that of the context, and else about a result that JSON has no word for.
func (v *Value) Text(ctx context.Context, r Release) (string, error) {
	result, err := v.program.eval(ctx, Values{"release": r.value()})
	if err != nil {
		return "", worded{err}
	}
	if s, ok := result.(types.String); ok {
		if len(s) > MaxValue {
			return "", ErrValueSize
		}
		return string(s), nil
	}
	// Lists share their parts, so that a few steps make one whose text is astronomical: it is measured before it is written.
	left := MaxValue
	simple, err := plain(result, &left)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(simple)
	switch {
	case err != nil:
		return "", errors.New("the result of the expression is a number that JSON cannot express")
	case len(text) > MaxValue:
		return "", ErrValueSize
	}
	return string(text), nil
}

// plain makes a value of Go that JSON can express, of at most so many bytes.
func plain(v ref.Val, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, ErrValueSize
	}
	switch v := v.(type) {
	case types.String:
		*left -= len(v)
		return string(v), nil
	case types.Bool, types.Int, types.Uint, types.Double:
		return v.Value(), nil
	case types.Null:
		return nil, nil //nolint:nilnil // it is what JSON calls null
	case traits.Mapper:
		return plainMap(v, left)
	case traits.Lister:
		return plainList(v, left)
	}
	return nil, errNoValue(v.Type())
}

func plainList(list traits.Lister, left *int) (any, error) {
	items := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item, err := plain(it.Next(), left)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func plainMap(m traits.Mapper, left *int) (any, error) {
	fields := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errors.New("the result of the expression is a map whose keys are not all texts")
		}
		*left -= len(name)
		field, err := plain(m.Get(key), left)
		if err != nil {
			return nil, err
		}
		fields[string(name)] = field
	}
	return fields, nil
}

func errNoValue(t ref.Type) error {
	return fmt.Errorf("the expression has to be text, a number, true or false, a list or a map, and is %s", article(t))
}

// worded is an error about a condition, where the expression is none.
type worded struct{ error }

// Error implements error.
func (w worded) Error() string {
	return strings.ReplaceAll(w.error.Error(), "the condition", "the expression")
}

// Unwrap implements the interface of package errors.
func (w worded) Unwrap() error { return w.error }
