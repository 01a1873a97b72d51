// Package github lets the environments of an application meet in the Deployments of a GitHub repository.
//
// Other controllers read what it writes, and the other way round; wire.go is the protocol. Anybody with write access to deployments can
// create such deployments, so only those of trusted logins are evidence, and with a key only the signed ones.
//
// All Backends of one repository and account share what they read. They read the newest deployments once in an interval, and the statuses
// of those that may have changed, so that the number of requests depends on what happens, and little on the number of Environments.
package github
