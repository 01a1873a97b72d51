// Package kube holds what all controllers share: status patches, the result of a reconcile, index keys, fair work
// queues, field owners, and the trimming of cached objects. It has no knowledge of releases.
package kube
