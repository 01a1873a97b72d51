// Package memory is a backend that keeps its data in memory, for simulations and tests. It fulfils the same contract as
// the backends of real services, and faults can be injected.
package memory
