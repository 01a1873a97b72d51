package archtest

import "fmt"

// Finding is one place where a rule is broken.
type Finding struct {
	Rule string
	// Subject is what a waiver names: a package, a file, or file:Function.
	Subject string
	// Where is the place to look at, Message what is wrong and what to do.
	Where, Message string
}

// String is what a failing test prints.
func (f Finding) String() string {
	return fmt.Sprintf("%s: [%s] %s", f.Where, f.Rule, f.Message)
}

// Rule is one habit of this house that a machine can check.
type Rule struct {
	Name  string
	check func(*Module) []Finding
}

// Rules is every rule there is.
var Rules = []Rule{
	{"known", known},
	{"downwards", downwards},
	{"test-only", testOnly},
	{"quiet-imports", quietImports},
	{"quiet-clock", quietClock},
	{"flux-kinds", fluxKinds},
	{"providers-apart", providersApart},
	{"controllers-apart", controllersApart},
	{"render-only", renderOnly},
	{"import-chain", chain},
	{"package-doc", packageDoc},
	{"package-files", packageFiles},
	{"file-lines", fileLines},
	{"function-lines", functionLines},
	{"complexity", complexities},
	{"nesting", nestings},
	{"parameters", parameters},
	{"interface-methods", interfaces},
	{"status-writes", statusSites},
	{"dependencies", dependencies},
	{"make-targets", targets},
}

// Check applies every rule to the module and takes out what is waived.
func Check(m *Module, waivers []Waiver) []Finding {
	var open []Finding
	used := make([]bool, len(waivers))
	for _, rule := range Rules {
		for _, f := range rule.check(m) {
			f.Rule = rule.Name
			if !waived(f, waivers, used) {
				open = append(open, f)
			}
		}
	}
	for i, w := range waivers {
		if !used[i] {
			open = append(open, Finding{
				Rule: "waivers", Subject: w.Subject, Where: "waivers.txt:" + fmt.Sprint(w.Line),
				Message: fmt.Sprintf("nothing breaks %q at %q any more: delete the line", w.Rule, w.Subject),
			})
		}
	}
	return open
}

func waived(f Finding, waivers []Waiver, used []bool) bool {
	found := false
	for i, w := range waivers {
		if w.Rule == f.Rule && w.Subject == f.Subject {
			used[i], found = true, true
		}
	}
	return found
}
