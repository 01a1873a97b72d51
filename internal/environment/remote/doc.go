// Package remote is the part that the backends outside the cluster share: the options, the transport with its budget and its bounds, the
// trust in logins and signatures, and the pool.
//
// Each decision about security is made here once. The backends themselves translate to and from the API of their service.
package remote
