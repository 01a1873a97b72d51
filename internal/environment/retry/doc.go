// Package retry asks a backend again when it fails in a way that may pass: a lost connection, a server error. What a backend refuses,
// wants to be left alone with, or cannot publish at all is not asked again.
package retry
