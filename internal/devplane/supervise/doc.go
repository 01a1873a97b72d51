// Package supervise runs the programs of a local cluster: each in its own
// process group with its own log file, started and waited for until it says
// that it is ready, stopped in reverse order.
//
// Nothing it started outlives it. On Linux the kernel kills the programs when
// this process dies, however it dies; everywhere a state file lists them, and
// the next supervisor on the same folder ends what it finds there. A program is
// only ever ended by its process id together with its exact command line, never
// by name.
package supervise
