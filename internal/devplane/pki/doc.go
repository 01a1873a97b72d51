// Package pki makes the certificates and keys of one local cluster: its own
// authority, the serving certificate for loopback that it signs, and the key
// of the service account tokens. They live as long as the state folder.
package pki
