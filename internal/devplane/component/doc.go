// Package component describes the programs of the local cluster as values: the path of the binary, its arguments and
// environment, and its readiness URL. It has one file per program.
//
// The package starts nothing, opens no file and reads no environment; package supervise runs the programs.
package component
