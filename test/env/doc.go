// Package env is the environment for tests of the controllers: an API server with the installed manifests, a
// namespace for each test, the manager in the process of the test with only the permissions of its service account,
// and a simulation of Flux that the test controls.
//
// Tests watch the object that they wait for. A timeout ends the wait and reports the last state. Only Report waits
// for a time to pass: for a new second, which is the precision of stored times.
package env
