// Package cli holds the verbs of the kuberik command, one file for each. A verb reads its flags and calls the room that does the
// work; it decides nothing itself.
package cli
