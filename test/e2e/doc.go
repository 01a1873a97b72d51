// Package e2e contains the few tests that need everything: the local cluster, Flux, and the controllers with their
// permissions as installed.
package e2e
