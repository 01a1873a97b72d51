package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// statusPackage is the only package that writes statuses.
const statusPackage = "internal/kube"

// simulators write statuses of other controllers.
var simulators = []string{"internal/devplane/...", "test/..."}

func checkStatusWrites(m *Module) (found []Finding) {
	writes := 0
	m.eachFunction(func(p *Package, f *File, fn *ast.FuncDecl) {
		if matchesAny(simulators, p.Path) {
			return
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !writesStatus(call) {
				return true
			}
			if p.Path == statusPackage {
				writes++
				return true
			}
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(n), Message: "writes a status: " +
				"call " + statusPackage + ", so that each reconcile writes once and every conflict is handled the same way"})
			return true
		})
	})
	if writes > maxStatusWrites {
		found = append(found, Finding{Subject: statusPackage, Where: statusPackage, Message: fmt.Sprintf(
			"writes statuses in %d places, at most %d is allowed: merge them into one function", writes, maxStatusWrites)})
	}
	return found
}

// writesStatus reports whether a call is like x.Status().Patch(…), x.SubResource("status") or x.UpdateStatus(…).
func writesStatus(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch sel.Sel.Name {
	case "UpdateStatus", "ApplyStatus":
		return len(call.Args) > 1
	case "SubResource":
		lit, ok := firstArg(call).(*ast.BasicLit)
		return ok && lit.Kind == token.STRING && strings.Trim(lit.Value, "\"`") == "status"
	case "Update", "Patch", "Apply":
		inner, ok := sel.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		status, ok := inner.Fun.(*ast.SelectorExpr)
		return ok && status.Sel.Name == "Status"
	default:
		return false
	}
}

func firstArg(call *ast.CallExpr) ast.Expr {
	if len(call.Args) == 0 {
		return nil
	}
	return call.Args[0]
}

func checkDependencies(m *Module) []Finding {
	n, block := 0, false
	for line := range strings.Lines(m.GoMod) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			block = true
		case line == ")":
			block = false
		case line == "" || strings.HasPrefix(line, "//") || strings.HasSuffix(line, "// indirect"):
		case block || strings.HasPrefix(line, "require "):
			n++
		}
	}
	if n <= maxDirectDependencies {
		return nil
	}
	return []Finding{{Subject: "go.mod", Where: "go.mod", Message: fmt.Sprintf(
		"has %d direct dependencies, at most %d are allowed: remove one, because each must be maintained",
		n, maxDirectDependencies)}}
}

var targetPattern = regexp.MustCompile(`(?m)^([A-Za-z][\w-]*):(?:[^=].*)?$`)

func checkMakeTargets(m *Module) (found []Finding) {
	all := targetPattern.FindAllStringSubmatch(m.Makefile, -1)
	if len(all) > maxMakeTargets {
		found = append(found, Finding{Subject: "Makefile", Where: "Makefile", Message: fmt.Sprintf(
			"has %d targets, at most %d are allowed: remove one or merge two", len(all), maxMakeTargets)})
	}
	for _, t := range all {
		if !strings.Contains(t[0], "## ") {
			found = append(found, Finding{Subject: "Makefile", Where: "Makefile", Message: fmt.Sprintf(
				"the target %s has no help: append ## and a sentence", t[1])})
		}
	}
	return found
}
