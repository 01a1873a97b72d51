// Package kustomization evaluates a Flux Kustomization and everything in its inventory.
//
// The verdict is for one revision: what the Kustomization had come to when it was read. Ready from before a change
// never counts after it. What cannot be read, or is not ours to read, is no verdict.
package kustomization
