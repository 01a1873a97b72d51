// Package port hands out loopback ports that stay ours for as long as a local
// cluster runs, also while the program behind one is down and starts again.
//
// Ports come from below the range that the system gives to outgoing
// connections, and each is guarded by a lock file, so that several local
// clusters on one machine do not pick the same one between looking and
// listening. The lock ends with the process that holds it, however it ends.
package port
