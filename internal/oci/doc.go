// Package oci reads what an image says about itself: its version, revision, source, author and the oldest release it
// may be rolled back to.
//
// Everything read here is decoration. A release is known by its tag and digest alone, so nothing in this package may
// stand between a release and its deployment: a read is bounded in time and in bytes, and its failure delays the
// details only.
//
// The registry is not trusted. Text is cut to a length a status can carry and stripped of everything that changes how
// the text around it is displayed or parsed; links are http or https or they are dropped; an error never repeats what
// the registry sent, since that may include the credentials it was given. Credentials come from the caller alone:
// where none match, the read is anonymous, and the configuration of the process's own user is never consulted.
//
// Where a value is found, nearest first:
//
//	manifest or index   its annotations, then those of the config descriptor
//	index only          the chosen image's entry, then that image's own manifest, in the same way
//	image config        labels, as a Dockerfile sets them; fetched only for what is still missing
package oci
