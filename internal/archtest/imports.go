package archtest

import (
	"fmt"
	"strings"
)

// impureImports are packages that pure packages must not import. An entry includes the packages below it, unless it
// ends in "$".
var impureImports = []string{
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "net$", "net/http", "net/rpc", "net/smtp", "os", "syscall",
	"math/rand", "crypto/rand",
}

// allowedImpureImports are exceptions by package.
var allowedImpureImports = map[string][]string{
	"sim": {"math/rand/v2"}, // the simulation generates its events from a seed
}

var (
	fluxAPIs = []string{
		"github.com/fluxcd/kustomize-controller/api/...", "github.com/fluxcd/helm-controller/api/...",
		"github.com/fluxcd/source-controller/api/...", "github.com/fluxcd/image-reflector-controller/api/...",
	}
	// fluxImporters may import the API of Flux: internal/flux to use it, the others to simulate or install Flux, or to
	// read manifests.
	fluxImporters = []string{
		"internal/flux", "internal/devplane", "internal/devplane/...", "internal/demo", "internal/lint", "internal/cli/...",
		"test/...",
	}
	controllers = []string{"internal/controller", "internal/controller/..."}
	// perKind are the controllers of one kind each.
	perKind   = []string{"internal/controller/..."}
	providers = []string{"internal/health/...", "internal/environment/..."}
	// registries list the providers of a contract.
	registries = []string{"internal/health/all", "internal/environment/all"}
	// sharedByProviders may be imported by several providers of a contract.
	sharedByProviders = []string{"internal/environment/remote"}
	renderers         = []string{"internal/cli", "internal/cli/..."}
	deciders          = []string{
		"internal/gate", "internal/health", "internal/health/...", "internal/environment", "internal/environment/...",
		"internal/controller/...",
	}
)

// eachImport calls visit for every import of one package of the module by another.
func (m *Module) eachImport(visit func(p *Package, target string)) {
	for _, p := range m.Packages {
		for _, imported := range p.imports() {
			if target, ok := m.local(imported); ok {
				visit(p, target)
			}
		}
	}
}

func checkKnown(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if _, ok := rankOf(p.Path); !ok {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: "the package has no rank: " +
				"add it to the table in internal/archtest/ranks.go above all packages that it imports"})
		}
	}
	return found
}

func checkDownwards(m *Module) (found []Finding) {
	m.eachImport(func(p *Package, target string) {
		from, knownFrom := rankOf(p.Path)
		to, knownTo := rankOf(target)
		if !knownFrom || !knownTo || from == anyRank || to == anyRank || to < from {
			return
		}
		found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
			"imports %s, but has rank %d and the import has rank %d: a package may only import packages of lower rank; "+
				"take a value or an interface as a parameter, or move the shared part below both", target, from, to)})
	})
	return found
}

func checkTestOnly(m *Module) (found []Finding) {
	m.eachImport(func(p *Package, target string) {
		from, _ := rankOf(p.Path)
		if to, ok := rankOf(target); ok && to == anyRank && from != anyRank {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s, which is only for tests: import it in _test.go files", target)})
		}
	})
	return found
}

func checkPureImports(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if rank, ok := rankOf(p.Path); !ok || rank == anyRank || rank > maxPureRank {
			continue
		}
		for _, target := range p.imports() {
			if isImpure(target) && !matchesAny(allowedImpureImports[p.Path], target) {
				found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
					"imports %q, but packages up to rank %d use no client, no network and no randomness: "+
						"read the value in a controller and pass it as a parameter", target, maxPureRank)})
			}
		}
	}
	return found
}

func isImpure(target string) bool {
	for _, l := range impureImports {
		exact, only := strings.CutSuffix(l, "$")
		if target == exact || !only && strings.HasPrefix(target, l+"/") {
			return true
		}
	}
	return false
}

func checkFluxImports(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if matchesAny(fluxImporters, p.Path) {
			continue
		}
		for _, target := range p.imports() {
			if matchesAny(fluxAPIs, target) {
				found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
					"imports %s: only internal/flux uses the API of Flux; add a function there", target)})
			}
		}
	}
	return found
}

func checkProvidersApart(m *Module) (found []Finding) {
	m.eachImport(func(p *Package, target string) {
		if !matchesAny(providers, p.Path) || matchesAny(registries, p.Path) {
			return
		}
		if target == "internal/release" || matchesAny(controllers, target) ||
			matchesAny(providers, target) && !matchesAny(sharedByProviders, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: providers and backends import only their contract and a client; "+
					"move code that two of them share to the contract", target)})
		}
	})
	return found
}

func checkControllersApart(m *Module) (found []Finding) {
	m.eachImport(func(p *Package, target string) {
		if matchesAny(perKind, p.Path) && matchesAny(controllers, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: controllers cooperate through conditions and owned objects and do not import each other", target)})
		}
	})
	return found
}

func checkRenderOnly(m *Module) (found []Finding) {
	m.eachImport(func(p *Package, target string) {
		rank, _ := rankOf(p.Path)
		if matchesAny(renderers, p.Path) && rank != anyRank && matchesAny(deciders, target) {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"imports %s: the CLI makes no decisions; add what it shows to internal/view, "+
					"or call internal/release", target)})
		}
	})
	return found
}

func checkImportChain(m *Module) (found []Finding) {
	imports := map[string][]string{}
	m.eachImport(func(p *Package, target string) { imports[p.Path] = append(imports[p.Path], target) })
	longest := map[string][]string{}
	var follow func(path string) []string
	follow = func(path string) []string {
		if done, ok := longest[path]; ok {
			return done
		}
		longest[path] = []string{path} // stops at a cycle, which the compiler reports
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
		if c := follow(p.Path); len(c) > maxImportChain {
			found = append(found, Finding{Subject: p.Path, Where: p.Path, Message: fmt.Sprintf(
				"the import chain %s has %d packages, at most %d are allowed: pass values to a package in the middle instead",
				strings.Join(c, " > "), len(c), maxImportChain)})
		}
	}
	return found
}
