// Package exit defines the exit codes of the command line and the errors that carry them. A verb returns an error, and
// main turns it into a code. Scripts rely on the codes, so they never change their meaning.
package exit
