// Package environmenttest is the contract of an environment.Backend as a test that every backend passes.
//
// The tests of a backend show how it uses the API of its service. This one checks what the controller relies on: nothing is published
// twice, whatever was interrupted; what untrusted actors write is no evidence; and one bad deployment does not hold up the others.
package environmenttest
