package expr

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// complaint is the first thing that is wrong with a condition, and where.
func complaint(issues *cel.Issues) error {
	all := issues.Errors()
	if len(all) == 0 {
		return errors.New("the condition cannot be read")
	}
	first := all[0]
	message, _, _ := strings.Cut(strings.ReplaceAll(first.Message, " (in container '')", ""), "\n")
	if line, column := first.Location.Line(), first.Location.Column()+1; line > 1 {
		return fmt.Errorf("%s, at line %d, character %d", message, line, column)
	} else if line == 1 {
		return fmt.Errorf("%s, at character %d", message, column)
	}
	return errors.New(message)
}

// article names a type as people do.
func article(t ref.Type) string {
	switch name := t.TypeName(); name {
	case "int", "uint", "double":
		return "a number"
	case "string":
		return "a text"
	case "null_type":
		return "null"
	case "bytes", "list", "map", "type":
		return "a " + name
	default:
		return "none of them"
	}
}

// explain says what went wrong in an evaluation. The interpreter's own words may quote the data, so only what they are about is kept.
func (p *Program) explain(err error) error {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return ErrCost
	}
	var e *types.Err
	if !errors.As(err, &e) {
		return errors.New("the condition cannot be evaluated for this data")
	}
	text := e.Error()
	for prefix, meaning := range meanings {
		if strings.HasPrefix(text, prefix) {
			return errors.New(meaning)
		}
	}
	if missing := p.missing(e.NodeID(), text); missing != "" {
		return errors.New(missing)
	}
	if strings.HasPrefix(text, "no such overload") {
		return errors.New("the condition uses a value of another type than it has")
	}
	return errors.New("the condition cannot be evaluated for this data")
}

// meanings are what the beginnings of the interpreter's errors, which have no types, mean to a person.
var meanings = map[string]string{
	"index out of bounds": "a list has fewer entries than the condition asks for",
	"divide by zero":      "the condition divides by zero",
	"division by zero":    "the condition divides by zero",
	"modulus by zero":     "the condition divides by zero",
}

// missing names the field that is not there, if the condition names it. The node that an error comes from has the field at its end or
// in the middle; what comes out of a loop has lost it, and then any field of the name will do.
func (p *Program) missing(id int64, text string) string {
	key, named := strings.CutPrefix(text, "no such key: ")
	var here, anywhere string
	visit(p.tree.Expr(), func(e ast.Expr) {
		if operand, field := step(e); named && field == key {
			anywhere = path(operand) + " has no field " + field
		}
		if e.ID() == id {
			here = within(e, key, named)
		}
	})
	return cmp.Or(here, anywhere)
}

// within looks for the field along a path.
func within(e ast.Expr, key string, named bool) string {
	for operand, field := step(e); operand != nil; operand, field = step(operand) {
		if field != "" && (field == key || !named) {
			return path(operand) + " has no field " + field
		}
	}
	return ""
}

// step takes the last field off a path.
func step(e ast.Expr) (operand ast.Expr, field string) {
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().Operand(), e.AsSelect().FieldName()
	case ast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Index && len(c.Args()) == 2 {
			return c.Args()[0], literal(c.Args()[1])
		}
	}
	return nil, ""
}

// literal is the text that a condition has in quotes, if it has one there.
func literal(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	s, _ := e.AsLiteral().(types.String)
	return string(s)
}

// path is a value as the condition writes it.
func path(e ast.Expr) string {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent()
	}
	operand, field := step(e)
	switch {
	case operand == nil:
		return "the value"
	case field == "":
		return "an entry of " + path(operand)
	}
	return path(operand) + "." + field
}
