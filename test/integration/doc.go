// Package integration tests the controllers on a real API server, with their permissions as installed and a simulated
// Flux.
package integration
