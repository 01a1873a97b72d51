// Package memory lets environments meet in the memory of one process, for simulations and tests.
//
// It keeps the same contract as the backends of real services. Its faults can be injected.
package memory
