// Package e2e holds the few tests that need everything: the local cluster, real Flux, the controllers with the rights that ship.
package e2e
