// Package environmenttest is the contract test of environment.Backend, which every backend passes.
//
// The tests of a backend check how it uses the API of its service. This package checks what the controller relies on:
// no deployment is published twice, even after an interruption; what untrusted actors write is no evidence; and one
// invalid deployment does not prevent the others from being published.
package environmenttest
