package archtest_test

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kuberik/kuberik/internal/archtest"
)

//go:embed waivers.txt
var waivers string

func TestRepository(t *testing.T) {
	m, err := archtest.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := archtest.ParseWaivers(waivers)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archtest.Check(m, allowed) {
		t.Error(f)
	}
}

const gomod = "module github.com/kuberik/kuberik\n"

// tree makes a module of source files; a package without a doc.go gets one.
func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{"go.mod": {Data: []byte(gomod)}}
	for name, src := range files {
		root[name] = &fstest.MapFile{Data: []byte(src)}
		slash := strings.LastIndex(name, "/")
		if !strings.HasSuffix(name, ".go") || slash < 0 {
			continue
		}
		if doc := name[:slash] + "/doc.go"; root[doc] == nil {
			root[doc] = &fstest.MapFile{Data: []byte("// Package p is documented.\npackage p\n")}
		}
	}
	return root
}

// source is a file that imports some paths and holds some declarations.
func source(body string, imports ...string) string {
	var b strings.Builder
	b.WriteString("package p\n")
	for _, i := range imports {
		if !strings.Contains(i, `"`) {
			i = `_ "` + i + `"`
		}
		fmt.Fprintf(&b, "import %s\n", i)
	}
	return b.String() + body
}

func local(path string) string { return "github.com/kuberik/kuberik/" + path }

func lines(n int, line string) string { return strings.Repeat(line+"\n", n) }

func function(name, body string) string { return "func " + name + "() {\n" + body + "}\n" }

func TestRules(t *testing.T) {
	nested := func(n int) string {
		return function("f", strings.Repeat("if x {\n", n)+strings.Repeat("}\n", n))
	}
	cases := map[string]struct {
		reason string
		files  map[string]string
		want   []string
	}{
		"Empty": {"a module without packages breaks nothing", nil, nil},
		"Clean": {
			"what the rooms are there for is allowed",
			map[string]string{
				"api/v1alpha1/x.go":                   source("", "k8s.io/apimachinery/pkg/apis/meta/v1"),
				"internal/release/x.go":               source("", local("api/v1alpha1"), local("internal/gate"), "net/url", "time"),
				"internal/gate/x.go":                  source("", local("api/v1alpha1")),
				"internal/health/x.go":                source(""),
				"internal/health/http/x.go":           source("", local("internal/health"), "net/http"),
				"internal/health/kustomization/x.go":  source("", local("internal/flux")),
				"internal/health/all/x.go":            source("", local("internal/health/http")),
				"internal/flux/x.go":                  source("", "github.com/fluxcd/kustomize-controller/api/v1"),
				"internal/controller/rollout/x.go":    source("", local("internal/release"), local("internal/health/all")),
				"internal/controller/x.go":            source("", local("internal/controller/rollout")),
				"internal/devplane/reflector/x.go":    source(function("f", "c.Status().Patch(ctx, o, p)\n"), "github.com/fluxcd/image-reflector-controller/api/v1"),
				"internal/devplane/x.go":              source("", local("internal/devplane/reflector"), "os"),
				"internal/cli/x.go":                   source("", local("internal/demo"), local("internal/view"), local("internal/devplane")),
				"internal/demo/x.go":                  source(""),
				"internal/view/x.go":                  source("", local("internal/release")),
				"cmd/kuberik/main.go":                 "// Command kuberik is documented.\npackage main\nimport _ \"" + local("internal/cli") + "\"\n",
				"sim/x.go":                            source("", "math/rand/v2", local("internal/release")),
				"test/e2e/x.go":                       source("", local("internal/cli"), local("cmd/kuberik")),
				"hack/tools/go.mod":                   "module other\n",
				"hack/tools/x.go":                     source("", local("internal/cli")),
				"internal/release/testdata/broken.go": "not Go",
				"internal/release/x_test.go":          source("var _ = time.Now()", `"time"`, "os"),
				"Makefile":                            "VERSION := 1\nbuild: ## Build.\n\tgo build\nbin/x: build\n",
			}, nil,
		},
		"Known":          {"a new package is placed first", map[string]string{"internal/util/x.go": source("")}, []string{"known internal/util"}},
		"Upwards":        {"imports go down", map[string]string{"internal/gate/x.go": source("", local("internal/release")), "internal/release/x.go": source("")}, []string{"downwards internal/gate"}},
		"Sideways":       {"rooms of one rank never meet", map[string]string{"internal/gate/x.go": source("", local("internal/health")), "internal/health/x.go": source("")}, []string{"downwards internal/gate"}},
		"TestOnly":       {"test support stays in tests", map[string]string{"internal/health/http/x.go": source("", local("test/env"))}, []string{"test-only internal/health/http"}},
		"Network":        {"quiet rooms do not call out", map[string]string{"internal/release/x.go": source("", "net/http/httptest")}, []string{"quiet-imports internal/release"}},
		"Client":         {"nor know clients", map[string]string{"api/v1alpha1/x.go": source("", "sigs.k8s.io/controller-runtime/pkg/scheme")}, []string{"quiet-imports api/v1alpha1"}},
		"Chance":         {"nor throw dice, but for the simulation, and that from a seed", map[string]string{"sim/x.go": source("", "math/rand"), "internal/view/x.go": source("", "math/rand/v2")}, []string{"quiet-imports internal/view", "quiet-imports sim"}},
		"Clock":          {"nor look at the clock", map[string]string{"internal/release/x.go": source("var _ = time.Now()", `"time"`)}, []string{"quiet-clock internal/release/x.go"}},
		"ClockRenamed":   {"under any name", map[string]string{"internal/gate/x.go": source("var _ = clock.Since", `clock "time"`)}, []string{"quiet-clock internal/gate/x.go"}},
		"ClockOfKinds":   {"from any package", map[string]string{"sim/x.go": source("var _ = metav1.Now()", `metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"`)}, []string{"quiet-clock sim/x.go"}},
		"FluxKinds":      {"Flux is known in one room", map[string]string{"internal/controller/rollout/x.go": source("", "github.com/fluxcd/source-controller/api/v1")}, []string{"flux-kinds internal/controller/rollout"}},
		"Providers":      {"providers know their contract", map[string]string{"internal/health/http/x.go": source("", local("internal/release"))}, []string{"providers-apart internal/health/http"}},
		"ProvidersPair":  {"and not each other", map[string]string{"internal/health/http/x.go": source("", local("internal/health/job"))}, []string{"downwards internal/health/http", "providers-apart internal/health/http"}},
		"ProviderAcross": {"nor a backend", map[string]string{"internal/health/http/x.go": source("", local("internal/environment/github"))}, []string{"providers-apart internal/health/http"}},
		"Controllers":    {"controllers meet in objects", map[string]string{"internal/controller/rollout/x.go": source("", local("internal/controller/gate"))}, []string{"controllers-apart internal/controller/rollout", "downwards internal/controller/rollout"}},
		"Render":         {"the CLI shows what view says", map[string]string{"internal/cli/x.go": source("", local("internal/gate"))}, []string{"render-only internal/cli"}},
		"Doc":            {"a room says what it is for", map[string]string{"internal/kube/doc.go": "package p\n"}, []string{"package-doc internal/kube"}},
		"DocInMain":      {"a program may say it in main.go, a library may not", map[string]string{"internal/kube/doc.go": "package kube\n", "internal/kube/main.go": "// Package kube.\npackage kube\n"}, []string{"package-doc internal/kube"}},
		"Files":          {"a room has few files", many("internal/kube/x%d.go", 11, source("")), []string{"package-files internal/kube"}},
		"FilesOfAPI":     {"but for the API", many("api/v1alpha1/x%d.go", 11, source("")), nil},
		"Lines":          {"a file ends", map[string]string{"internal/kube/x.go": source(lines(500, "// line"))}, []string{"file-lines internal/kube/x.go"}},
		"LinesGenerated": {"unless a machine wrote it", map[string]string{"internal/kube/x.go": "// Code generated by x. DO NOT EDIT.\n" + source(lines(500, "// line"))}, nil},
		"Function":       {"a function ends", map[string]string{"internal/kube/x.go": source(function("f", lines(59, "x()")))}, []string{"function-lines internal/kube/x.go:f"}},
		"FunctionCore":   {"sooner in the core", map[string]string{"internal/release/x.go": source(function("(r R) f", lines(29, "x()")))}, []string{"function-lines internal/release/x.go:R.f"}},
		"FunctionFits":   {"at the limit is within it", map[string]string{"internal/release/x.go": source(function("f", lines(28, "x()")))}, nil},
		"Table":          {"a table may be as long there as elsewhere", map[string]string{"internal/release/x.go": source("func f() T {\nreturn T{\n" + lines(50, "x,") + "}\n}\n")}, nil},
		"TableTooLong":   {"and no longer", map[string]string{"internal/release/x.go": source("func f() T {\nreturn T{\n" + lines(60, "x,") + "}\n}\n")}, []string{"function-lines internal/release/x.go:f"}},
		"Reconcile":      {"a Reconcile fits a screen", map[string]string{"internal/kube/x.go": source(function("(c *C[T]) Reconcile", lines(39, "x()")))}, []string{"function-lines internal/kube/x.go:C.Reconcile"}},
		"Complexity":     {"few ways through a function", map[string]string{"internal/kube/x.go": source(function("f", lines(12, "if x {}")))}, []string{"complexity internal/kube/x.go:f"}},
		"ComplexityKinds": {
			"every kind of branch counts",
			map[string]string{"internal/release/x.go": source(function("f", "_ = a && b || c\nfor {}\nfor range x {}\nswitch { case a: case b: case c: default: }\nselect { case <-c: default: }\n"))},
			[]string{"complexity internal/release/x.go:f"},
		},
		"ComplexityFits":  {"at the limit is within it", map[string]string{"internal/release/x.go": source(function("f", lines(7, "if x {}")))}, nil},
		"Nesting":         {"a reader keeps three things in mind", map[string]string{"internal/kube/x.go": source(nested(4))}, []string{"nesting internal/kube/x.go:f"}},
		"NestingFits":     {"three of them", map[string]string{"internal/kube/x.go": source(nested(3))}, nil},
		"NestingLadder":   {"a ladder is not deep", map[string]string{"internal/kube/x.go": source(function("f", "if a {} else if b {} else if c {} else if d {} else if e {}\n"))}, nil},
		"NestingElse":     {"an else is", map[string]string{"internal/kube/x.go": source(function("f", "if a {} else { for { switch { case b: go func() { if c {} }() } } }\n"))}, []string{"nesting internal/kube/x.go:f"}},
		"Parameters":      {"many parameters are a struct", map[string]string{"internal/kube/x.go": source("func f(a, b, c, d, e, f int) {}\n")}, []string{"parameters internal/kube/x.go:f"}},
		"ParametersFit":   {"the context is none of them", map[string]string{"internal/kube/x.go": source("func f(ctx context.Context, a, b, c, d, e int) {}\n", `"context"`)}, nil},
		"Interface":       {"an interface can be faked", map[string]string{"internal/kube/x.go": source("type I interface { A(); B(); C(); D(); E(); F() }\n")}, []string{"interface-methods internal/kube/x.go"}},
		"Status":          {"one room writes statuses", map[string]string{"internal/controller/gate/x.go": source(function("f", "c.client.Status().Patch(ctx, o, p)\n"))}, []string{"status-writes internal/controller/gate/x.go:f"}},
		"StatusByName":    {"by any way there is", map[string]string{"internal/cli/x.go": source(function("f", "c.SubResource(\"status\").Update(ctx, o)\nc.UpdateStatus(ctx, o)\n"))}, []string{"status-writes internal/cli/x.go:f", "status-writes internal/cli/x.go:f"}},
		"StatusTwice":     {"and that once", map[string]string{"internal/kube/x.go": source(function("f", "c.Status().Patch(ctx, o, p)\nc.Status().Update(ctx, o)\n"))}, []string{"status-writes internal/kube"}},
		"StatusOnce":      {"which is allowed", map[string]string{"internal/kube/x.go": source(function("f", "c.Status().Patch(ctx, o, p)\n"))}, nil},
		"Dependencies":    {"a dependency is a decision", map[string]string{"go.mod": gomod + "require x v1\nrequire (\n" + lines(50, "y v1") + "z v1 // indirect\n)\n"}, []string{"dependencies go.mod"}},
		"DependenciesFit": {"what they bring along is not", map[string]string{"go.mod": gomod + "require (\n" + lines(50, "y v1") + lines(9, "z v1 // indirect") + ")\n"}, nil},
		"Targets":         {"people remember few targets", map[string]string{"Makefile": lines(26, "t: ## T.")}, []string{"make-targets Makefile"}},
		"TargetHelp":      {"and need to be told of them", map[string]string{"Makefile": "t:\n"}, []string{"make-targets Makefile"}},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			if got := subjects(check(t, tree(tc.files), nil)); !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestLongImportChain(t *testing.T) {
	rooms := []string{
		"cmd/kuberik", "internal/cli", "internal/demo", "internal/controller/rollout", "internal/health/all",
		"internal/health/http", "internal/flux", "internal/kube", "internal/view", "internal/release", "internal/gate",
	}
	files := map[string]string{}
	for i, room := range rooms[:len(rooms)-1] {
		files[room+"/x.go"] = source("", local(rooms[i+1]))
	}
	files["internal/gate/x.go"] = source("")
	if got := subjects(check(t, tree(files), nil)); !slices.Contains(got, "import-chain cmd/kuberik") || len(got) != 1 {
		t.Errorf("a chain of %d packages gave %q", len(rooms), got)
	}
	files["cmd/kuberik/x.go"] = source("")
	if got := subjects(check(t, tree(files), nil)); len(got) != 0 {
		t.Errorf("a chain of %d packages gave %q", len(rooms)-1, got)
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	src, err := os.ReadFile("archtest_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range archtest.Rules {
		if !strings.Contains(string(src), `"`+rule.Name+` `) {
			t.Errorf("no case shows that %q fails on bad source", rule.Name)
		}
	}
}

func TestEveryFindingSaysWhatToDo(t *testing.T) {
	found := check(t, tree(map[string]string{"internal/util/x.go": source("", local("internal/cli"))}), nil)
	if len(found) == 0 || !strings.Contains(found[0].String(), "internal/util: [known] ") || !strings.Contains(found[0].String(), "add it to the table") {
		t.Errorf("got %v", found)
	}
}

func TestWaivers(t *testing.T) {
	root := tree(map[string]string{"internal/util/x.go": source("")})
	lift := func(line string) []archtest.Waiver {
		w, err := archtest.ParseWaivers("# comment\n\n" + line)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	if got := check(t, root, lift("known | internal/util | 2026-01-31 | it moves out soon")); len(got) != 0 {
		t.Errorf("a waiver lifts its rule: %v", got)
	}
	got := subjects(check(t, root, lift("known | internal/other | 2026-01-31 | it moves out soon")))
	if !slices.Equal(got, []string{"known internal/util", "waivers internal/other"}) {
		t.Errorf("a waiver for nothing fails and lifts nothing: %q", got)
	}
	for _, bad := range []string{
		"known | internal/util", "known | internal/util | 31.01.2026 | it moves out soon", "known | internal/util | 2026-01-31 | legacy",
	} {
		if _, err := archtest.ParseWaivers(bad); err == nil || !strings.HasPrefix(err.Error(), "waivers.txt:1: ") {
			t.Errorf("%q: got %v, want an error that names the line", bad, err)
		}
	}
}

func check(t *testing.T, root fstest.MapFS, waivers []archtest.Waiver) []archtest.Finding {
	t.Helper()
	m, err := archtest.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return archtest.Check(m, waivers)
}

func subjects(found []archtest.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.Rule+" "+f.Subject)
	}
	slices.Sort(all)
	return all
}

func many(pattern string, n int, src string) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf(pattern, i)] = src
	}
	return files
}
