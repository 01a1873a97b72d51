package archtest

import (
	"fmt"
	"strings"
)

// loud are the imports that let the world in. An entry names a package and all below it, except where it ends in "$".
var loud = []string{
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "net$", "net/http", "net/rpc", "net/smtp", "os", "syscall",
	"math/rand", "crypto/rand",
}

// loudAllowed are exceptions from loud, by package.
var loudAllowed = map[string][]string{
	"sim": {"math/rand/v2"}, // a simulated world draws its accidents from a seed
}

var (
	fluxAPIs = []string{
		"github.com/fluxcd/kustomize-controller/api/...", "github.com/fluxcd/helm-controller/api/...",
		"github.com/fluxcd/source-controller/api/...", "github.com/fluxcd/image-reflector-controller/api/...",
	}
	// fluxRooms may name Flux's kinds: one to speak to Flux, the others to build a world that has Flux in it.
	fluxRooms = []string{
		"internal/flux", "internal/devplane", "internal/devplane/...", "internal/demo", "internal/cli", "test/...",
	}
	controllers = []string{"internal/controller", "internal/controller/..."}
	kinds       = []string{"internal/controller/..."}
	variants    = []string{"internal/health/...", "internal/environment/..."}
	lists       = []string{"internal/health/all", "internal/environment/all"}
	// shared is what the variants of one contract have in common.
	shared    = []string{"internal/environment/remote"}
	renderers = []string{"internal/cli", "internal/dashboard"}
	deciders  = []string{
		"internal/gate", "internal/health", "internal/health/...", "internal/environment", "internal/environment/...",
		"internal/controller/...",
	}
)

// edges calls visit for every import of one package of the module by another.
func (m *Module) edges(visit func(p *Package, target string)) {
	for _, p := range m.Packages {
		for _, imported := range p.imports() {
			if target, ok := m.local(imported); ok {
				visit(p, target)
			}
		}
	}
}

func known(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if _, ok := rankOf(p.Path); !ok {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: "the package has no rank: " +
				"decide whom it may import and add it to the table in internal/archtest/ranks.go"})
		}
	}
	return found
}

func downwards(m *Module) (found []Finding) {
	m.edges(func(p *Package, target string) {
		from, knownFrom := rankOf(p.Path)
		to, knownTo := rankOf(target)
		if !knownFrom || !knownTo || from == anyRank || to == anyRank || to < from {
			return
		}
		found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
			"imports %s, but it is of rank %d and that of rank %d: imports go strictly downwards; "+
				"take what is needed as a value or an interface, or move the shared part below both", target, from, to)})
	})
	return found
}

func testOnly(m *Module) (found []Finding) {
	m.edges(func(p *Package, target string) {
		from, _ := rankOf(p.Path)
		if to, ok := rankOf(target); ok && to == anyRank && from != anyRank {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s, which is there for tests: import it from _test.go files only", target)})
		}
	})
	return found
}

func quietImports(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if rank, ok := rankOf(p.Path); !ok || rank == anyRank || rank > quiet {
			continue
		}
		for _, target := range p.imports() {
			if isLoud(target) && !matchesAny(loudAllowed[p.Path], target) {
				found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
					"imports %q, but rooms up to rank %d touch no client, no network and no chance: "+
						"read it in a controller and pass it in as a value", target, quiet)})
			}
		}
	}
	return found
}

func isLoud(target string) bool {
	for _, l := range loud {
		exact, only := strings.CutSuffix(l, "$")
		if target == exact || !only && strings.HasPrefix(target, l+"/") {
			return true
		}
	}
	return false
}

func fluxKinds(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if matchesAny(fluxRooms, p.Path) {
			continue
		}
		for _, target := range p.imports() {
			if matchesAny(fluxAPIs, target) {
				found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
					"imports %s: only internal/flux knows Flux's kinds; add what is missing there", target)})
			}
		}
	}
	return found
}

func providersApart(m *Module) (found []Finding) {
	m.edges(func(p *Package, target string) {
		if !matchesAny(variants, p.Path) || matchesAny(lists, p.Path) {
			return
		}
		if target == "internal/release" || matchesAny(controllers, target) || matchesAny(variants, target) && !matchesAny(shared, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: providers and backends know their contract and the service they ask, nothing else; "+
					"what two of them share belongs to the contract", target)})
		}
	})
	return found
}

func controllersApart(m *Module) (found []Finding) {
	m.edges(func(p *Package, target string) {
		if matchesAny(kinds, p.Path) && matchesAny(controllers, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: controllers meet in conditions and owned objects, never in code", target)})
		}
	})
	return found
}

func renderOnly(m *Module) (found []Finding) {
	m.edges(func(p *Package, target string) {
		if matchesAny(renderers, p.Path) && matchesAny(deciders, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: the CLI and the dashboard decide nothing; add what they show to internal/view, "+
					"or ask internal/release", target)})
		}
	})
	return found
}

func chain(m *Module) (found []Finding) {
	imports := map[string][]string{}
	m.edges(func(p *Package, target string) { imports[p.Path] = append(imports[p.Path], target) })
	longest := map[string][]string{}
	var follow func(path string) []string
	follow = func(path string) []string {
		if done, ok := longest[path]; ok {
			return done
		}
		longest[path] = []string{path} // ends a cycle, which the compiler will report
		var best []string
		for _, next := range imports[path] {
			if c := follow(next); len(c) > len(best) {
				best = c
			}
		}
		longest[path] = append([]string{path}, best...)
		return longest[path]
	}
	for _, p := range m.Packages {
		if c := follow(p.Path); len(c) > importChain {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"the import chain %s has %d packages, at most %d are allowed: let one in the middle take values instead",
				strings.Join(c, " > "), len(c), importChain)})
		}
	}
	return found
}
