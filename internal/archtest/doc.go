// Package archtest keeps the shape of this repository: who may import whom, which rooms stay free of clocks and
// networks, how large a file or a function may grow. It reads the source with go/parser, so `go test` is all it needs.
//
// The order of the rooms stands in ranks.go, the limits in limits.go, the list of rules in rules.go. A finding says
// which rule it broke and what to do about it. Where a rule does more harm than good, a line in waivers.txt lifts it
// for one subject, with a date and a reason; a waiver that lifts nothing any more fails in turn.
//
// What a rule cannot see: types. A clock passed through an interface, or a status written through a variable, goes
// unnoticed; the linter and reviewers have to do the rest.
package archtest
