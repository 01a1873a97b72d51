// Package gate evaluates a RolloutGate for a release: open, closed or pending.
//
// A gate is open only if something says so: without a rule, for an unknown class, or with a verdict for another release
// or an older spec, it holds the release. The package uses no clock and no network. Gates that depend on something
// outside are evaluated by their controllers, which write verdicts to the status of the gate.
package gate
