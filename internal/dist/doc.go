// Package dist builds what is published of a version: images, manifests, archives and checksums. The same source gives
// the same bytes.
package dist
