// Package integration tests the controllers on a real API server, with the rights that ship and a Flux that is played.
package integration
