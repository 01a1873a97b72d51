// Package github is the backend that stores states in the Deployments of a GitHub repository.
//
// The format is compatible with that of the public controller; see wire.go. Everybody with write access to deployments
// can create one, so only those of trusted logins are evidence, and with a signature key only the signed ones.
//
// The Backends of a repository and account share what they read. They read the newest deployments once per interval,
// and the statuses of those that may have changed. So the number of requests depends mostly on the number of changes,
// not of Environments.
package github
