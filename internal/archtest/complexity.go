package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
)

func checkComplexity(m *Module) (found []Finding) {
	m.eachFunction(func(p *Package, f *File, fn *ast.FuncDecl) {
		n, limit := complexity(fn), limitsFor(p.Path).complexity
		if n > limit {
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(fn), Message: fmt.Sprintf(
				"%s has a cyclomatic complexity of %d, at most %d is allowed: make each case a function, or the cases a table",
				fn.Name.Name, n, limit)})
		}
	})
	return found
}

func checkNesting(m *Module) (found []Finding) {
	m.eachFunction(func(p *Package, f *File, fn *ast.FuncDecl) {
		n, limit := nesting(fn), limitsFor(p.Path).nesting
		if n > limit {
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(fn), Message: fmt.Sprintf(
				"%s nests %d deep, at most %d is allowed: return early, or make the inner part a function",
				fn.Name.Name, n, limit)})
		}
	})
	return found
}

// complexity returns the cyclomatic complexity of a function, including its function literals.
func complexity(fn *ast.FuncDecl) int {
	n := 1
	ast.Inspect(fn, func(node ast.Node) bool {
		n += branches(node)
		return true
	})
	return n
}

func branches(node ast.Node) int {
	switch node := node.(type) {
	case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
		return 1
	case *ast.CaseClause:
		return min(1, len(node.List)) // a default case is not a branch
	case *ast.CommClause:
		if node.Comm != nil {
			return 1
		}
	case *ast.BinaryExpr:
		if node.Op == token.LAND || node.Op == token.LOR {
			return 1
		}
	}
	return 0
}

// nesting returns the deepest nesting of conditions and loops in a function.
func nesting(fn *ast.FuncDecl) int {
	deepest := 0
	ast.Walk(depth{deepest: &deepest}, fn.Body)
	return deepest
}

// depth is an ast.Visitor that records the deepest nesting.
type depth struct {
	current int
	deepest *int
}

// Visit implements ast.Visitor.
func (d depth) Visit(n ast.Node) ast.Visitor {
	inner := depth{current: d.current + 1, deepest: d.deepest}
	switch n := n.(type) {
	case *ast.IfStmt:
		*d.deepest = max(*d.deepest, inner.current)
		ast.Walk(inner, n.Cond)
		ast.Walk(inner, n.Body)
		d.walkElse(n.Else)
		return nil
	case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
		*d.deepest = max(*d.deepest, inner.current)
		return inner
	default:
		return d
	}
}

// walkElse visits an else. An "else if" does not nest deeper.
func (d depth) walkElse(s ast.Stmt) {
	switch s := s.(type) {
	case nil:
	case *ast.IfStmt:
		ast.Walk(d, s)
	default:
		ast.Walk(depth{current: d.current + 1, deepest: d.deepest}, s)
	}
}
