// Package reflector fills the status of Flux's ImageRepository and ImagePolicy
// in the local cluster, as Flux documents it: it lists the tags of a
// repository on its interval or on request, and names the latest one that a
// policy selects, with its digest if the policy wants it.
//
// It is for the local cluster alone, because Flux's image-reflector-controller
// can not be built from its module. On a real cluster that controller does
// this work and nothing of this package runs. It knows no credentials,
// certificates or proxies: the local registry has none.
//
// latest.go is the choice itself and touches nothing; repository.go and
// policy.go are a controller each.
package reflector
