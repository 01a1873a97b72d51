// Package component describes the programs of the local cluster as values:
// where the binary is, what arguments and environment it gets, and how to ask
// whether it is ready. One file per program.
//
// It starts nothing, opens no file and reads no environment; package supervise
// does. So what a component is started with can be tested as a table.
package component
