// Package environment reconciles Environments: it publishes the state of each, reads those of the others, and maintains
// the gate that opens for a release once it became Available upstream. The backends are in internal/environment.
package environment
