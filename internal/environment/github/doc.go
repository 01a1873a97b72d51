// Package github is the repository's Deployments as the place where the environments of an application meet.
//
// What is written there can be read by the controllers that others run, and the other way round: wire.go is the protocol. Anybody who may
// write deployments can write some of these, so only what trusted actors made counts, and with a key only what is signed with it.
//
// All Backends of one repository and one set of credentials share what was read. They look at the newest deployments once in an interval
// and ask for the statuses of those that may have changed, so that the number of requests depends on what happens, and hardly on how
// many Environments there are.
package github
