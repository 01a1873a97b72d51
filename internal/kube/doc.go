// Package kube is the plumbing that every controller shares: the one place where a status is written, the classes of errors and
// what they do to a reconcile, and the keys of the indexes. It knows nothing of releases.
package kube
