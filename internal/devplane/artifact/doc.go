// Package artifact pushes to the registry of the local cluster: images that consist of annotations only, because
// nothing runs them, and OCI artifacts with manifests for Flux.
package artifact
