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

// newModule returns a module with source files. It adds a doc.go to each package without one.
func newModule(files map[string]string) fstest.MapFS {
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

// source returns a file with imports and declarations.
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
			"the intended structure breaks no rule",
			map[string]string{
				"api/v1alpha1/x.go":                  source("", "k8s.io/apimachinery/pkg/apis/meta/v1"),
				"internal/release/x.go":              source("", local("api/v1alpha1"), local("internal/gate"), "net/url", "time"),
				"internal/gate/x.go":                 source("", local("api/v1alpha1")),
				"internal/health/x.go":               source(""),
				"internal/health/httpcheck/x.go":     source("", local("internal/health"), "net/http"),
				"internal/health/kustomization/x.go": source("", local("internal/flux")),
				"internal/health/all/x.go":           source("", local("internal/health/httpcheck")),
				"internal/flux/x.go":                 source("", "github.com/fluxcd/kustomize-controller/api/v1"),
				"internal/controller/rollout/x.go":   source("", local("internal/release"), local("internal/health/all")),
				"internal/controller/x.go":           source("", local("internal/controller/rollout")),
				"internal/devplane/reflector/x.go": source(
					function("f", "c.Status().Patch(ctx, o, p)\n"), "github.com/fluxcd/image-reflector-controller/api/v1",
				),
				"internal/devplane/x.go": source("", local("internal/devplane/reflector"), "os"),
				"internal/cli/x.go": source(
					"", local("internal/demo"), local("internal/view"), local("internal/devplane"),
				),
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
		"Known": {
			"a new package needs a rank", map[string]string{"internal/util/x.go": source("")}, []string{"known internal/util"},
		},
		"Upwards": {
			"a package cannot import one of higher rank",
			map[string]string{"internal/gate/x.go": source("", local("internal/release")), "internal/release/x.go": source("")},
			[]string{"downwards internal/gate"},
		},
		"Sideways": {
			"packages of one rank cannot import each other",
			map[string]string{"internal/gate/x.go": source("", local("internal/health")), "internal/health/x.go": source("")},
			[]string{"downwards internal/gate"},
		},
		"TestOnly": {
			"packages for tests are only imported by tests",
			map[string]string{"internal/health/httpcheck/x.go": source("", local("test/env"))},
			[]string{"test-only internal/health/httpcheck"},
		},
		"Network": {
			"pure packages use no network", map[string]string{"internal/release/x.go": source("", "net/http/httptest")},
			[]string{"pure-imports internal/release"},
		},
		"Client": {
			"pure packages use no client",
			map[string]string{"api/v1alpha1/x.go": source("", "sigs.k8s.io/controller-runtime/pkg/scheme")},
			[]string{"pure-imports api/v1alpha1"},
		},
		"Chance": {
			"pure packages use no randomness, and the simulation only with a seed",
			map[string]string{"sim/x.go": source("", "math/rand"), "internal/view/x.go": source("", "math/rand/v2")},
			[]string{"pure-imports internal/view", "pure-imports sim"},
		},
		"Clock": {
			"pure packages read no clock", map[string]string{"internal/release/x.go": source("var _ = time.Now()", `"time"`)},
			[]string{"pure-clock internal/release/x.go"},
		},
		"ClockRenamed": {
			"an import with another name is found",
			map[string]string{"internal/gate/x.go": source("var _ = clock.Since", `clock "time"`)},
			[]string{"pure-clock internal/gate/x.go"},
		},
		"ClockOfKinds": {
			"metav1.Now reads the clock too",
			map[string]string{"sim/x.go": source("var _ = metav1.Now()", `metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"`)},
			[]string{"pure-clock sim/x.go"},
		},
		"FluxAPI": {
			"only internal/flux imports the API of Flux",
			map[string]string{"internal/controller/rollout/x.go": source("", "github.com/fluxcd/source-controller/api/v1")},
			[]string{"flux-imports internal/controller/rollout"},
		},
		"Providers": {
			"providers do not import internal/release",
			map[string]string{"internal/health/httpcheck/x.go": source("", local("internal/release"))},
			[]string{"providers-apart internal/health/httpcheck"},
		},
		"ProvidersPair": {
			"providers do not import each other",
			map[string]string{"internal/health/httpcheck/x.go": source("", local("internal/health/job"))},
			[]string{"downwards internal/health/httpcheck", "providers-apart internal/health/httpcheck"},
		},
		"ProviderAcross": {
			"health providers do not import a backend",
			map[string]string{"internal/health/httpcheck/x.go": source("", local("internal/environment/github"))},
			[]string{"providers-apart internal/health/httpcheck"},
		},
		"Controllers": {
			"controllers do not import each other",
			map[string]string{"internal/controller/rollout/x.go": source("", local("internal/controller/gate"))},
			[]string{"controllers-apart internal/controller/rollout", "downwards internal/controller/rollout"},
		},
		"Render": {
			"the CLI does not import packages that decide",
			map[string]string{"internal/cli/x.go": source("", local("internal/gate"))}, []string{"render-only internal/cli"},
		},
		"Doc": {
			"a package has a package comment", map[string]string{"internal/kube/doc.go": "package p\n"},
			[]string{"package-doc internal/kube"},
		},
		"DocInMain": {
			"only a command may have its package comment in main.go",
			map[string]string{
				"internal/kube/doc.go": "package kube\n", "internal/kube/main.go": "// Package kube.\npackage kube\n",
			},
			[]string{"package-doc internal/kube"},
		},
		"Files": {
			"the number of files is limited", manyFiles("internal/kube/x%d.go", 11, source("")),
			[]string{"package-files internal/kube"},
		},
		"FilesOfAPI": {"the API may have any number of files", manyFiles("api/v1alpha1/x%d.go", 11, source("")), nil},
		"Lines": {
			"the length of a file is limited", map[string]string{"internal/kube/x.go": source(lines(500, "// line"))},
			[]string{"file-lines internal/kube/x.go"},
		},
		"LinesGenerated": {
			"generated files have no limit",
			map[string]string{"internal/kube/x.go": "// Code generated by x. DO NOT EDIT.\n" + source(lines(500, "// line"))},
			nil,
		},
		"Function": {
			"the length of a function is limited",
			map[string]string{"internal/kube/x.go": source(function("f", lines(59, "x()")))},
			[]string{"function-lines internal/kube/x.go:f"},
		},
		"FunctionCore": {
			"the limit is lower in internal/release",
			map[string]string{"internal/release/x.go": source(function("(r R) f", lines(29, "x()")))},
			[]string{"function-lines internal/release/x.go:R.f"},
		},
		"FunctionFits": {
			"the limit itself is allowed", map[string]string{"internal/release/x.go": source(function("f", lines(28, "x()")))},
			nil,
		},
		"Table": {
			"tables in internal/release have the usual limit",
			map[string]string{"internal/release/x.go": source("func f() T {\nreturn T{\n" + lines(50, "x,") + "}\n}\n")}, nil,
		},
		"TableTooLong": {
			"the usual limit applies to tables",
			map[string]string{"internal/release/x.go": source("func f() T {\nreturn T{\n" + lines(60, "x,") + "}\n}\n")},
			[]string{"function-lines internal/release/x.go:f"},
		},
		"Reconcile": {
			"Reconcile has a lower limit",
			map[string]string{"internal/kube/x.go": source(function("(c *C[T]) Reconcile", lines(39, "x()")))},
			[]string{"function-lines internal/kube/x.go:C.Reconcile"},
		},
		"Complexity": {
			"the complexity is limited", map[string]string{"internal/kube/x.go": source(function("f", lines(12, "if x {}")))},
			[]string{"complexity internal/kube/x.go:f"},
		},
		"ComplexityKinds": {
			"every kind of branch counts",
			map[string]string{"internal/release/x.go": source(function(
				"f",
				"_ = a && b || c\nfor {}\nfor range x {}\nswitch { case a: case b: case c: default: }\nselect { case <-c: default: }\n",
			))},
			[]string{"complexity internal/release/x.go:f"},
		},
		"ComplexityFits": {
			"the limit itself is allowed",
			map[string]string{"internal/release/x.go": source(function("f", lines(7, "if x {}")))}, nil,
		},
		"Nesting": {
			"the nesting is limited", map[string]string{"internal/kube/x.go": source(nested(4))},
			[]string{"nesting internal/kube/x.go:f"},
		},
		"NestingFits": {"three levels are allowed", map[string]string{"internal/kube/x.go": source(nested(3))}, nil},
		"NestingElseIf": {
			"else if does not nest",
			map[string]string{
				"internal/kube/x.go": source(function("f", "if a {} else if b {} else if c {} else if d {} else if e {}\n")),
			},
			nil,
		},
		"NestingElse": {
			"else nests",
			map[string]string{
				"internal/kube/x.go": source(
					function("f", "if a {} else { for { switch { case b: go func() { if c {} }() } } }\n"),
				),
			},
			[]string{"nesting internal/kube/x.go:f"},
		},
		"Parameters": {
			"the number of parameters is limited",
			map[string]string{"internal/kube/x.go": source("func f(a, b, c, d, e, f int) {}\n")},
			[]string{"parameters internal/kube/x.go:f"},
		},
		"ParametersFit": {
			"the context does not count",
			map[string]string{"internal/kube/x.go": source("func f(ctx context.Context, a, b, c, d, e int) {}\n", `"context"`)},
			nil,
		},
		"Interface": {
			"the number of methods of an interface is limited",
			map[string]string{"internal/kube/x.go": source("type I interface { A(); B(); C(); D(); E(); F() }\n")},
			[]string{"interface-methods internal/kube/x.go"},
		},
		"Status": {
			"only internal/kube writes statuses",
			map[string]string{"internal/controller/gate/x.go": source(function("f", "c.client.Status().Patch(ctx, o, p)\n"))},
			[]string{"status-writes internal/controller/gate/x.go:f"},
		},
		"StatusByName": {
			"all ways to write a status are found",
			map[string]string{
				"internal/cli/x.go": source(function("f", "c.SubResource(\"status\").Update(ctx, o)\nc.UpdateStatus(ctx, o)\n")),
			},
			[]string{"status-writes internal/cli/x.go:f", "status-writes internal/cli/x.go:f"},
		},
		"StatusTwice": {
			"only one function writes statuses",
			map[string]string{
				"internal/kube/x.go": source(function("f", "c.Status().Patch(ctx, o, p)\nc.Status().Update(ctx, o)\n")),
			},
			[]string{"status-writes internal/kube"},
		},
		"StatusOnce": {
			"one function is allowed",
			map[string]string{"internal/kube/x.go": source(function("f", "c.Status().Patch(ctx, o, p)\n"))}, nil,
		},
		"Dependencies": {
			"the number of direct dependencies is limited",
			map[string]string{"go.mod": gomod + "require x v1\nrequire (\n" + lines(50, "y v1") + "z v1 // indirect\n)\n"},
			[]string{"dependencies go.mod"},
		},
		"DependenciesFit": {
			"indirect dependencies do not count",
			map[string]string{"go.mod": gomod + "require (\n" + lines(50, "y v1") + lines(9, "z v1 // indirect") + ")\n"}, nil,
		},
		"Targets": {
			"the number of targets is limited", map[string]string{"Makefile": lines(26, "t: ## T.")},
			[]string{"make-targets Makefile"},
		},
		"TargetHelp": {
			"a target needs a help text", map[string]string{"Makefile": "t:\n"}, []string{"make-targets Makefile"},
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			if got := subjects(check(t, newModule(tc.files), nil)); !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestTheLengthOfImportChainsIsLimited(t *testing.T) {
	packages := []string{
		"cmd/kuberik", "internal/cli", "internal/demo", "internal/controller/rollout", "internal/health/all",
		"internal/health/httpcheck", "internal/flux", "internal/kube", "internal/view", "internal/release", "internal/gate",
	}
	files := map[string]string{}
	for i, pkg := range packages[:len(packages)-1] {
		files[pkg+"/x.go"] = source("", local(packages[i+1]))
	}
	files["internal/gate/x.go"] = source("")
	if got := subjects(check(t, newModule(files), nil)); !slices.Contains(got, "import-chain cmd/kuberik") || len(got) != 1 {
		t.Errorf("a chain of %d packages gave %q", len(packages), got)
	}
	files["cmd/kuberik/x.go"] = source("")
	if got := subjects(check(t, newModule(files), nil)); len(got) != 0 {
		t.Errorf("a chain of %d packages gave %q", len(packages)-1, got)
	}
}

func TestEveryRuleHasACase(t *testing.T) {
	src, err := os.ReadFile("archtest_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range archtest.Rules {
		if !strings.Contains(string(src), `"`+rule.Name+` `) {
			t.Errorf("TestRules has no case with a finding of %q", rule.Name)
		}
	}
}

func TestAFindingSaysHowToFixIt(t *testing.T) {
	found := check(t, newModule(map[string]string{"internal/util/x.go": source("", local("internal/cli"))}), nil)
	if len(found) == 0 || !strings.Contains(found[0].String(), "internal/util: [known] ") || !strings.Contains(found[0].String(), "add it to the table") {
		t.Errorf("got %v", found)
	}
}

func TestWaivers(t *testing.T) {
	root := newModule(map[string]string{"internal/util/x.go": source("")})
	parse := func(line string) []archtest.Waiver {
		w, err := archtest.ParseWaivers("# comment\n\n" + line)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	if got := check(t, root, parse("known | internal/util | 2026-01-31 | it is moved soon")); len(got) != 0 {
		t.Errorf("a waiver does not disable its rule: %v", got)
	}
	got := subjects(check(t, root, parse("known | internal/other | 2026-01-31 | it is moved soon")))
	if !slices.Equal(got, []string{"known internal/util", "waivers internal/other"}) {
		t.Errorf("a waiver that is not needed: got %q", got)
	}
	for _, bad := range []string{
		"known | internal/util", "known | internal/util | 31.01.2026 | it is moved soon", "known | internal/util | 2026-01-31 | legacy",
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

// manyFiles returns n files with the same source.
func manyFiles(pattern string, n int, src string) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf(pattern, i)] = src
	}
	return files
}
