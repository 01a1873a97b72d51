// Package environment keeps Environments: it publishes what runs in each, reads what runs in the others, and keeps the gate that lets a
// release come only after it became Available upstream. Where environments meet is for internal/environment to know.
package environment
