// Package apicheck asks an HTTP API whether a release may pass a gate of class http.
//
// The gate is open only if the API answers with a success. Everything else closes it, each cause with its own reason. A
// request without an answer, or with a status of 429 or 5xx, is retried a few times. The package keeps no state; the
// controller decides when to ask.
package apicheck
