// Package lint finds mistakes in manifests without a cluster. It checks objects against the schemas and CEL rules of
// the CRDs, as the API server does, and against what only Kuberik knows: a schedule that never opens, a gate whose
// class nobody evaluates, a selector that selects nothing.
//
// The package reads no files and no clock.
package lint
