package archtest

import (
	"fmt"
	"go/ast"
	"path"
)

func checkPackageDoc(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if len(p.Files) > 0 && !hasDoc(p) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: "has no package comment in doc.go, " +
				"or in main.go of a command: describe what the package does and what it never does"})
		}
	}
	return found
}

func hasDoc(p *Package) bool {
	for _, f := range p.Files {
		base := path.Base(f.Path)
		if f.Syntax.Doc != nil && (base == "doc.go" || base == "main.go" && f.Syntax.Name.Name == "main") {
			return true
		}
	}
	return false
}

func checkPackageFiles(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		n := 0
		for _, f := range p.Files {
			if !f.Generated && path.Base(f.Path) != "doc.go" {
				n++
			}
		}
		if limit := limitsFor(p.Path).filesPerPackage; n > limit {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"has %d files besides doc.go and tests, at most %d are allowed: move a part that stands "+
					"on its own to another package", n, limit)})
		}
	}
	return found
}

func checkFileLines(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if limit := limitsFor(p.Path).fileLines; !f.Generated && f.Lines > limit {
				found = append(found, Finding{Subject: f.Path, Where: f.Path, Message: fmt.Sprintf(
					"has %d lines, at most %d are allowed: split it by meaning", f.Lines, limit)})
			}
		}
	}
	return found
}

func checkFunctionLines(m *Module) (found []Finding) {
	m.eachFunction(func(p *Package, f *File, fn *ast.FuncDecl) {
		limit := limitsFor(p.Path).functionLines
		switch {
		case fn.Name.Name == "Reconcile":
			limit = maxReconcileLines
		case isTable(fn):
			limit = defaultLimits.functionLines // a table has no control flow
		}
		lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
		if lines > limit {
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(fn), Message: fmt.Sprintf(
				"%s has %d lines, at most %d are allowed: split it by meaning, not by length", fn.Name.Name, lines, limit)})
		}
	})
	return found
}

// isTable reports whether a function only returns a composite literal.
func isTable(fn *ast.FuncDecl) bool {
	if len(fn.Body.List) != 1 {
		return false
	}
	ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	_, ok = ret.Results[0].(*ast.CompositeLit)
	return ok
}

func checkParameters(m *Module) (found []Finding) {
	m.eachFunction(func(p *Package, f *File, fn *ast.FuncDecl) {
		n := 0
		for _, field := range fn.Type.Params.List {
			if !f.isContext(field.Type) {
				n += max(1, len(field.Names))
			}
		}
		if limit := limitsFor(p.Path).parameters; n > limit {
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(fn), Message: fmt.Sprintf(
				"%s takes %d parameters besides the context, at most %d are allowed: make them a struct",
				fn.Name.Name, n, limit)})
		}
	})
	return found
}

func (f *File) isContext(t ast.Expr) bool {
	sel, ok := t.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && f.Imports[pkg.Name] == "context" && sel.Sel.Name == "Context"
}

func checkInterfaces(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if !f.Generated {
				found = append(found, wideInterfaces(f, limitsFor(p.Path).interfaceMethods)...)
			}
		}
	}
	return found
}

func wideInterfaces(f *File, limit int) (found []Finding) {
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		it, ok := n.(*ast.InterfaceType)
		if !ok {
			return true
		}
		methods := 0
		for _, field := range it.Methods.List {
			methods += len(field.Names)
		}
		if methods > limit {
			found = append(found, Finding{Subject: f.Path, Where: f.at(n), Message: fmt.Sprintf(
				"the interface has %d methods, at most %d are allowed: "+
					"declare smaller interfaces with the methods that each caller needs", methods, limit)})
		}
		return true
	})
	return found
}
