package archtest

import "fmt"

// Finding is a violation of a rule.
type Finding struct {
	Rule string
	// Subject is the package, the file, or file:Function, as in waivers.txt.
	Subject string
	// Where is the position. Message says what is wrong and how to fix it.
	Where, Message string
}

// String returns the finding as a line of a test log.
func (f Finding) String() string {
	return fmt.Sprintf("%s: [%s] %s", f.Where, f.Rule, f.Message)
}

// Rule is a named check of a module.
type Rule struct {
	Name  string
	check func(*Module) []Finding
}

// Rules are all rules.
var Rules = []Rule{
	{"known", checkKnown},
	{"downwards", checkDownwards},
	{"test-only", checkTestOnly},
	{"pure-imports", checkPureImports},
	{"pure-clock", checkPureClock},
	{"flux-imports", checkFluxImports},
	{"providers-apart", checkProvidersApart},
	{"controllers-apart", checkControllersApart},
	{"render-only", checkRenderOnly},
	{"import-chain", checkImportChain},
	{"package-doc", checkPackageDoc},
	{"package-files", checkPackageFiles},
	{"file-lines", checkFileLines},
	{"function-lines", checkFunctionLines},
	{"complexity", checkComplexity},
	{"nesting", checkNesting},
	{"parameters", checkParameters},
	{"interface-methods", checkInterfaces},
	{"status-writes", checkStatusWrites},
	{"dependencies", checkDependencies},
	{"make-targets", checkMakeTargets},
}

// Check returns the findings of every rule that are not waived, and one for each waiver that is not needed.
func Check(m *Module, waivers []Waiver) []Finding {
	var findings []Finding
	used := make([]bool, len(waivers))
	for _, rule := range Rules {
		for _, f := range rule.check(m) {
			f.Rule = rule.Name
			if !isWaived(f, waivers, used) {
				findings = append(findings, f)
			}
		}
	}
	for i, w := range waivers {
		if !used[i] {
			findings = append(findings, Finding{
				Rule: "waivers", Subject: w.Subject, Where: "waivers.txt:" + fmt.Sprint(w.Line),
				Message: fmt.Sprintf("the waiver of %q for %q is not needed: delete the line", w.Rule, w.Subject),
			})
		}
	}
	return findings
}

// isWaived reports whether a waiver applies to a finding, and marks the waiver as used.
func isWaived(f Finding, waivers []Waiver, used []bool) bool {
	found := false
	for i, w := range waivers {
		if w.Rule == f.Rule && w.Subject == f.Subject {
			used[i], found = true, true
		}
	}
	return found
}
