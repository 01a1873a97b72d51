// Package archtest checks the structure of this repository: which packages may import which, which packages are pure,
// and how large files and functions may be. It parses the source with go/parser, so that `go test` is enough to run
// it.
//
// The ranks of the packages are in ranks.go, the limits in limits.go and the rules in rules.go. A finding names the
// rule and says how to fix it. If a rule does more harm than good, a line in waivers.txt disables it for one subject,
// with a date and a reason. A waiver that is no longer needed is a finding too.
//
// The rules do not see types. They do not find a clock that is passed as an interface, or a status that is written
// through a variable. The linter and reviewers have to find those.
package archtest
