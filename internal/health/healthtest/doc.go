// Package healthtest tests the contract of a health.Checker. Every provider runs it.
//
// The tests of a provider show how its checker evaluates its source. These show what the controller relies on for every
// source: a checker stops when its context ends, is stable, reports on no other deployment and leaks no secret.
package healthtest
