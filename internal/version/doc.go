// Package version validates tags and digests, compares releases and names the objects of a release.
//
// Tags, digests and annotations come from registries and from users and end in YAML. Only values that this package
// accepts are written to Flux objects. The package reads no clock and does no I/O.
//
// Two releases can be compared in four ways:
//
//	comparison                    tag                  digest                        use it for
//	== on ReleaseIdentity         must be equal        must be equal; a missing one  what names one release exactly: approvals,
//	                                                   differs from any other        verdicts, overrides, Release objects
//	Matches                       must be equal        must be equal; a missing one  the status of one Rollout: its history, its
//	                                                   matches any                   quarantine and its available releases
//	environment.SameContent       ignored              must be equal; if one is      evidence from another environment: a release
//	                                                   missing, the revision counts  may be promoted
//	environment.sameContentOrTag  counts if neither    as SameContent                objections from another environment: a
//	                              digest nor revision                                release went back
//	                              can be compared
package version
