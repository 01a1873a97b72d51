// Package session is what every verb of the command line starts from: the common flags, the client of the cluster, the
// object that a verb is about, and the output in each format. A verb binds a Session to its cobra command and reads and
// prints through it. The package shows what the cluster says and decides nothing.
package session
