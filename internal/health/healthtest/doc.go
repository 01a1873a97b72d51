// Package healthtest is the contract of a health.Checker as a test that every provider passes.
//
// A provider's own test shows what its checker makes of its source. This one shows what the controller relies on whatever the source
// is: that a checker ends when it is told to, says the same of the same, claims nothing it was not asked about and tells no secret.
package healthtest
