// Package supervise runs the programs of a local cluster, each in its own process group and with its own log file. It
// starts each program and waits until it is ready, and stops them in reverse order.
//
// No program outlives the supervisor. On Linux the kernel kills the programs when this process ends. On every system a
// state file lists them, and the next supervisor of the same folder ends those that still run. A program is only ended
// by its process ID together with its exact command line, never by name.
package supervise
