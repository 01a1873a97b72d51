package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

const statusRoom = "internal/kube"

// actors play parts of the world that are not ours, so the statuses they write are not ours either.
var actors = []string{"internal/devplane/...", "test/..."}

func statusSites(m *Module) (found []Finding) {
	inside := 0
	m.functions(func(p *Package, f *File, fn *ast.FuncDecl) {
		if matchesAny(actors, p.Path) {
			return
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !writesStatus(call) {
				return true
			}
			if p.Path == statusRoom {
				inside++
				return true
			}
			found = append(found, Finding{Subject: f.subject(fn), Where: f.at(n), Message: "writes a status: " +
				"leave that to " + statusRoom + ", so that each pass writes once and every conflict is handled alike"})
			return true
		})
	})
	if inside > statusWrites {
		found = append(found, Finding{Subject: statusRoom, Where: statusRoom, Message: fmt.Sprintf(
			"writes statuses in %d places, at most %d is allowed: make one function of them", inside, statusWrites)})
	}
	return found
}

// writesStatus recognises x.Status().Patch(…) and its like, x.SubResource("status"), and client-go's x.UpdateStatus(…).
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

func dependencies(m *Module) []Finding {
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
	if n <= directDependencies {
		return nil
	}
	return []Finding{{Subject: "go.mod", Where: "go.mod", Message: fmt.Sprintf(
		"has %d direct dependencies, at most %d are allowed: each is code that somebody here answers for",
		n, directDependencies)}}
}

var target = regexp.MustCompile(`(?m)^([A-Za-z][\w-]*):(?:[^=].*)?$`)

func targets(m *Module) (found []Finding) {
	all := target.FindAllStringSubmatch(m.Makefile, -1)
	if len(all) > makeTargets {
		found = append(found, Finding{Subject: "Makefile", Where: "Makefile", Message: fmt.Sprintf(
			"has %d targets, at most %d are allowed: people only use those they can remember", len(all), makeTargets)})
	}
	for _, t := range all {
		if !strings.Contains(t[0], "## ") {
			found = append(found, Finding{Subject: "Makefile", Where: "Makefile", Message: fmt.Sprintf(
				"the target %s has no help: write ## and a sentence behind it", t[1])})
		}
	}
	return found
}
