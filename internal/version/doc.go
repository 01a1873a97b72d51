// Package version validates tags and digests, compares releases and names the objects of a release.
//
// Tags, digests and annotations come from registries and from users and end in YAML. Only values that this package
// accepts are written to Flux objects. The package reads no clock and does no I/O.
//
// Two releases can be compared in four ways:
//
//	comparison         tag                digest                   use it for
//	== of identities   must be equal      must be equal; none      records that name one release: approvals,
//	                                      differs from any         verdicts, overrides, Release objects
//	Matches            must be equal      must be equal; none      the status of one Rollout: history,
//	                                      matches any              quarantine, available releases
//	SameContent        is ignored         must be equal; without   evidence from another environment, which
//	                                      one the revision counts  lets a release be promoted
//	sameContentOrTag   counts if neither  as SameContent           objections from another environment,
//	                   digests nor                                 which deployed an older release again
//	                   revisions can be
//	                   compared
//
// The last two belong to the package environment, because only promotion compares releases of different registries.
package version
