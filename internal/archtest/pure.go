package archtest

import (
	"fmt"
	"go/ast"
)

// clockFunctions are the functions that read the clock or wait, by package.
var clockFunctions = map[string]map[string]bool{
	"time": {
		"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true,
		"NewTimer": true, "NewTicker": true,
	},
	"k8s.io/apimachinery/pkg/apis/meta/v1": {"Now": true, "NowMicro": true},
}

func checkPureClock(m *Module) (found []Finding) {
	for _, p := range m.Packages {
		if rank, ok := rankOf(p.Path); !ok || rank == anyRank || rank > maxPureRank {
			continue
		}
		for _, f := range p.Files {
			found = append(found, clockUses(f)...)
		}
	}
	return found
}

func clockUses(f *File) (found []Finding) {
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if ok && clockFunctions[f.Imports[pkg.Name]][sel.Sel.Name] {
			found = append(found, Finding{Subject: f.Path, Where: f.at(n), Message: fmt.Sprintf(
				"calls %s.%s, but packages up to rank %d read no clock: take the time as a parameter, "+
					"so that a simulation can set it", pkg.Name, sel.Sel.Name, maxPureRank)})
		}
		return true
	})
	return found
}
