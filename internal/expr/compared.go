package expr

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
)

// maxCompared is the maximum number of values that compared names.
const maxCompared = 3

// compared returns the numbers and booleans of the body that the condition refers to, as in ": body.errors is 12";
// empty if there are none. It is for the message of a condition that does not hold. Text of the body and headers are
// left out, since they may repeat what was sent, such as a token. Numbers are rounded, so that the message seldom
// changes.
func (p *Program) compared(ctx context.Context, a Response) string {
	paths := p.bodyPaths()
	if len(paths) == 0 || a.Truncated {
		return ""
	}
	body, err := a.parseBody(ctx)
	if err != nil {
		return ""
	}
	var texts []string
	for _, e := range paths {
		text := scalar(valueAt(body, e))
		if text = path(e) + " is " + text; !strings.HasSuffix(text, " ") && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return ": " + strings.Join(texts[:min(len(texts), maxCompared)], ", ")
}

// bodyPaths returns the fields of the body that the condition refers to, in the order of the condition.
func (p *Program) bodyPaths() []ast.Expr {
	var paths []ast.Expr
	inner := map[int64]bool{} // paths that are prefixes of other paths
	visit(p.tree.Expr(), func(e ast.Expr) {
		if operand, field := step(e); operand != nil && field != "" && root(e) == "body" {
			inner[operand.ID()] = true
			paths = append(paths, e)
		}
	})
	return slices.DeleteFunc(paths, func(e ast.Expr) bool { return inner[e.ID()] })
}

// root returns the variable at the beginning of a path; empty if the path contains anything but named fields.
func root(e ast.Expr) string {
	for {
		if e.Kind() == ast.IdentKind {
			return e.AsIdent()
		}
		operand, field := step(e)
		if operand == nil || field == "" {
			return ""
		}
		e = operand
	}
}

// valueAt returns the value of the body at a path, or nil.
func valueAt(body any, e ast.Expr) any {
	operand, field := step(e)
	if operand == nil {
		return body
	}
	fields, ok := valueAt(body, operand).(map[string]any)
	if !ok {
		return nil
	}
	return fields[field]
}

// scalar returns the text of a number or a boolean; empty for any other value.
func scalar(v any) string {
	switch v := v.(type) {
	case bool:
		return fmt.Sprint(v)
	case float64:
		return fmt.Sprintf("%.3g", v)
	}
	return ""
}
