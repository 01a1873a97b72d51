// Package details reads the metadata of the image of each Release, once per digest, and writes it to the status of the
// Release. It has its own queue and workers, so that a slow, broken or hostile registry delays only the details.
package details
