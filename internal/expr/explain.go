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

// firstIssue returns the first error of a condition, with its position.
func firstIssue(issues *cel.Issues) error {
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

// describeType returns the name of a type for a message.
func describeType(t ref.Type) string {
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

// safeError returns the cause of a failed evaluation. Errors of the interpreter may quote the data, so they are
// replaced.
func (p *Program) safeError(err error) error {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return ErrCost
	}
	var e *types.Err
	if !errors.As(err, &e) {
		return errors.New("the condition cannot be evaluated for this data")
	}
	text := e.Error()
	for prefix, message := range messages {
		if strings.HasPrefix(text, prefix) {
			return errors.New(message)
		}
	}
	if message := p.missingField(e.NodeID(), text); message != "" {
		return errors.New(message)
	}
	if strings.HasPrefix(text, "no such overload") {
		return errors.New("the condition uses a value of another type than it has")
	}
	return errors.New("the condition cannot be evaluated for this data")
}

// messages maps prefixes of the interpreter's errors, which have no types, to messages.
var messages = map[string]string{
	"index out of bounds": "a list has fewer entries than the condition asks for",
	"divide by zero":      "the condition divides by zero",
	"division by zero":    "the condition divides by zero",
	"modulus by zero":     "the condition divides by zero",
}

// missingField returns a message that names the missing field, if the condition names it. The field is part of the path
// of the node that failed. Errors from loops have no such node; then any path with the field is named.
func (p *Program) missingField(id int64, text string) string {
	key, named := strings.CutPrefix(text, "no such key: ")
	var here, anywhere string
	visit(p.tree.Expr(), func(e ast.Expr) {
		if operand, field := step(e); named && field == key {
			anywhere = path(operand) + " has no field " + field
		}
		if e.ID() == id {
			here = missingInPath(e, key, named)
		}
	})
	return cmp.Or(here, anywhere)
}

// missingInPath returns the message for a field of a path.
func missingInPath(e ast.Expr, key string, named bool) string {
	for operand, field := step(e); operand != nil; operand, field = step(operand) {
		if field != "" && (field == key || !named) {
			return path(operand) + " has no field " + field
		}
	}
	return ""
}

// step splits a path into its operand and its last field.
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

// literal returns the value of a string literal; empty for any other expression.
func literal(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	s, _ := e.AsLiteral().(types.String)
	return string(s)
}

// path returns the text of a path.
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
