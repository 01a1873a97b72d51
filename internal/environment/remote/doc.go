// Package remote is shared by the backends outside of the cluster. It has the options, the transport with its budget
// and limits, the trust in logins and signatures, and the pool.
//
// Each decision about security is made here once. The backends translate to and from the API of their service.
package remote
