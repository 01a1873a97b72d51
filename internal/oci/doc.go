// Package oci reads the metadata of an image: its version, revision, source, author, and the oldest release it may be
// rolled back to.
//
// The metadata is informational. A release is identified by its tag and digest alone, so a failed read delays only the
// details and never a deployment. Reads are bounded in time and size.
//
// The registry is not trusted. Texts are cut to a length that fits a status, and characters that change how the
// surrounding text is displayed or parsed are removed. Links other than http and https are dropped. Errors never repeat
// the response of the registry, since it may quote the credentials that it received. The caller provides the
// credentials: without matching ones the read is anonymous, and the Docker configuration of the process is never used.
//
// A value is taken from the first of these that has it:
//
//	manifest or index   the annotations, then those of the config descriptor
//	index only          the entry of the chosen image, then the manifest of that image, in the same way
//	image config        the labels that a Dockerfile sets; fetched only if a value is still missing
package oci
