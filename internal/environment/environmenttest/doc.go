// Package environmenttest is the contract of an environment.Backend as a test that every backend passes.
//
// A backend's own test shows how it speaks to its service. This one shows what the controller relies on wherever environments meet: that
// what was published once is not published again, whatever was interrupted, that what strangers say is no evidence, and that one bad
// deployment does not hold up the others.
package environmenttest
