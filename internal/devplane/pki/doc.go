// Package pki writes the certificates and keys of a local cluster: its own certificate authority, the serving
// certificate for loopback that this signs, and the key that signs service account tokens.
package pki
