// Package memory is where environments meet in the memory of one process: for simulations, and as the plainest backend there is.
//
// It keeps to the contract as the backends of real services do. It can be broken on purpose.
package memory
