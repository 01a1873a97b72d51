// Package artifact puts things into a registry: images that consist of a name,
// a tag and annotations only, and OCI artifacts of manifests that Flux reads.
// It is for the registry of the local cluster, where nothing runs an image.
package artifact
