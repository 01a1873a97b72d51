// Package gate says what a RolloutGate says of one release: open, closed or pending.
//
// It fails closed: no rule, an unknown class, a verdict for another release or for an older spec, and everything else that is
// not a clear yes holds the release. It reads no clock and calls nobody; gates that have to ask the world are asked by their
// controllers, which write the answer to the status of the gate.
package gate
