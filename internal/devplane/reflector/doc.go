// Package reflector implements Flux's ImageRepository and ImagePolicy in the local cluster: it lists the tags of a
// repository at its interval or on request, and reports the latest tag that a policy selects, with its digest if the
// policy requests it.
//
// Only the local cluster uses it, because Flux's image-reflector-controller cannot be built from its module. It
// supports no credentials, certificates or proxies.
//
// latest.go selects a tag and does no I/O; repository.go and policy.go are the controllers.
package reflector
