// Package port reserves loopback ports for as long as a local cluster runs, also while the program behind one restarts.
//
// The ports are below the range that the system uses for outgoing connections. A lock file guards each port, so that
// several local clusters on one machine do not choose the same one. The lock ends with its process.
package port
