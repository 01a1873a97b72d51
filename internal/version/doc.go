// Package version knows what a legal tag and digest is, when two releases are the same, and how they are named.
//
// Tags, digests and annotations come from registries and from people, and end in YAML: nothing that this package does not
// accept is ever handed to Flux. It reads no clock and calls nobody.
package version
