// Package env is the world that tests of the controllers play in: a real API server with what the installation ships, a
// namespace for each test, the manager in process with the rights of its service account and no others, and a Flux that does
// what the test says.
//
// Nothing here sleeps. What a test waits for it watches, and a deadline ends the wait with what was seen last.
package env
