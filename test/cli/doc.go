// Package cli tests the verbs of the command line against a real API server, with the permissions of ordinary users.
package cli
