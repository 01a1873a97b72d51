package archtest_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateReasons = flag.Bool("update-reasons", false, "write docs/reference/reasons.md")

// reasonSections lists the folders and files that define reasons, in the order of the page.
var reasonSections = []struct{ path, anchor, title string }{
	{"api/v1alpha1/conditions.go", "rollout", "Rollout and Release: conditions, status.blockedBy and status.skipped"},
	{"api/v1alpha1/release_types.go", "release", "Release: condition DetailsRead"},
	{"internal/controller/healthcheck", "healthcheck", "HealthCheck: condition Ready"},
	{"api/v1alpha1/schedule_types.go", "schedule", "RolloutSchedule and ClusterRolloutSchedule: conditions"},
	{"internal/release", "rollout-health", "Rollout: condition DeploymentBlocked"},
	{"internal/gate", "gate", "RolloutGate: verdicts. Approval: condition Counted"},
	{"internal/gate/apicheck", "api-check", "RolloutGate of class http: verdicts"},
	{"internal/environment", "promotion", "RolloutGate of class environment: verdicts"},
	{"internal/controller/gate", "gate-ready", "RolloutGate: condition Ready"},
	{"internal/controller/approval", "approval", "Approval and Override: condition Counted"},
	{"api/environments/v1alpha1", "environment", "Environment: conditions"},
	{"internal/controller/environment", "environment-gate", "Environment: its gate"},
	{"api/v1alpha1/events.go", "event", "Rollout: events"},
	{"internal/controller/schedule", "schedule-event", "RolloutSchedule and ClusterRolloutSchedule: events"},
	{"internal/controller/datadog", "datadog-event", "DatadogMonitor: events"},
}

type reason struct{ name, value, meaning, todo string }

var (
	reasonName  = regexp.MustCompile(`^([rR]eason|[eE]vent)[A-Z]`)
	reasonValue = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)
	reasonStart = regexp.MustCompile(`^([rR]eason|[eE]vent)\w+(:| means that) `)
	// fieldName matches the name or the path of a field, which starts in lower case.
	fieldName = regexp.MustCompile(`^[a-z]+([.][a-z]|[A-Z])`)
	// reasonFuncs are the functions that take a reason, and the index of that argument.
	reasonFuncs = map[string]int{"condition": 2, "setProblem": 0, "notCounted": 0, "notice": 0, "Eventf": 3}
	// reasonTypes are the types with a reason that may be set by position, and the index of that field.
	reasonTypes = map[string]int{"Event": 1, "Notice": 0, "statusEvent": 1}
)

func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	found := map[string][]reason{}
	for _, dir := range []string{"api", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			for _, value := range literalReasons(file) {
				t.Errorf("%s: reason %q is a literal: give it a constant with a doc comment", rel, value)
			}
			rel = filepath.ToSlash(rel)
			for _, r := range reasonConstants(file) {
				if r.meaning == "" {
					t.Errorf("%s: %s has no doc comment", rel, r.name)
				}
				section := sectionOf(rel)
				if section == "" {
					t.Errorf("%s: %s belongs to no section: add one to reasonSections", rel, r.name)
				}
				found[section] = append(found[section], r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	page := filepath.Join(root, "docs", "reference", "reasons.md")
	want := reasonsPage(t, found)
	if *updateReasons {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("docs/reference/reasons.md is not current (%v): run go test ./internal/archtest -run Reasons -update-reasons", err)
	}
}

// sectionOf returns the section of a file: its own, or that of its folder.
func sectionOf(path string) string {
	for _, p := range []string{path, filepath.ToSlash(filepath.Dir(path))} {
		for _, s := range reasonSections {
			if p == s.path {
				return p
			}
		}
	}
	return ""
}

// reasonConstants returns the reasons that a file defines.
func reasonConstants(file *ast.File) (list []reason) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			c, ok := spec.(*ast.ValueSpec)
			if !ok || len(c.Values) != 1 || !reasonName.MatchString(c.Names[0].Name) {
				continue
			}
			value, ok := reasonText(c.Values[0])
			if !ok {
				continue
			}
			doc := c.Doc.Text()
			if doc == "" && !group.Lparen.IsValid() {
				doc = group.Doc.Text()
			}
			meaning, todo, _ := strings.Cut(reasonStart.ReplaceAllString(strings.Join(strings.Fields(doc), " "), ""), "To do: ")
			list = append(list, reason{c.Names[0].Name, value, sentence(meaning), sentence(todo)})
		}
	}
	return list
}

// literalReasons returns the reasons that a file writes as literals.
func literalReasons(file *ast.File) (list []string) {
	add := func(e ast.Expr) {
		if value, ok := reasonText(e); ok {
			list = append(list, value)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
				add(n.Value)
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "Reason" && len(n.Rhs) == len(n.Lhs) {
					add(n.Rhs[i])
				}
			}
		case *ast.CompositeLit:
			for _, e := range positionalReasons(n) {
				add(e)
			}
		case *ast.CallExpr:
			if i, ok := reasonFuncs[funcName(n.Fun)]; ok && i < len(n.Args) {
				add(n.Args[i])
			}
		}
		return true
	})
	return list
}

// positionalReasons returns the reasons that a literal of reasonTypes sets by position, also as an element of a slice or a map.
func positionalReasons(lit *ast.CompositeLit) (list []ast.Expr) {
	element, literals := lit.Type, []ast.Expr{lit}
	switch t := lit.Type.(type) {
	case *ast.ArrayType:
		element, literals = t.Elt, lit.Elts
	case *ast.MapType:
		element, literals = t.Value, lit.Elts
	}
	name, ok := element.(*ast.Ident)
	if !ok {
		return nil
	}
	i, ok := reasonTypes[name.Name]
	if !ok {
		return nil
	}
	for _, e := range literals {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			e = kv.Value
		}
		if c, ok := e.(*ast.CompositeLit); ok && i < len(c.Elts) {
			list = append(list, c.Elts[i])
		}
	}
	return list
}

func funcName(e ast.Expr) string {
	switch f := e.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func reasonText(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(lit.Value)
	return value, err == nil && reasonValue.MatchString(value)
}

func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	text = strings.ReplaceAll(text, "|", `\|`)
	if word, _, _ := strings.Cut(text, " "); fieldName.MatchString(word) {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func reasonsPage(t *testing.T, found map[string][]reason) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Reasons\n\nEvery reason of a condition, of an entry in `status.blockedBy` and of the verdict of a gate. The message beside a " +
		"reason has the details. If the last column is empty, there is nothing to do, or the message says it. " +
		"The reason of the condition Healthy of a HealthCheck is its status.\n\n" +
		"This page is generated from the doc comments of the constants.\n")
	anchors := map[string]bool{}
	for _, s := range reasonSections {
		if len(found[s.path]) == 0 {
			t.Errorf("%s defines no reasons: remove it from reasonSections", s.path)
		}
		fmt.Fprintf(&b, "\n## %s\n\n| reason | meaning | what to do |\n| --- | --- | --- |\n", s.title)
		slices.SortFunc(found[s.path], func(x, y reason) int { return strings.Compare(x.value, y.value) })
		for _, r := range found[s.path] {
			anchor := s.anchor + "-" + strings.ToLower(r.value)
			if anchors[anchor] {
				t.Errorf("%s is defined twice in %s", r.value, s.path)
			}
			anchors[anchor] = true
			fmt.Fprintf(&b, "| <a id=%q></a>`%s` | %s | %s |\n", anchor, r.value, r.meaning, r.todo)
		}
	}
	return b.String()
}
