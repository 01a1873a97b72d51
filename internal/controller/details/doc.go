// Package details reads what the image of a Release says of itself, once for each digest, and writes it to the status of the
// Release. It has a queue and workers of its own: a registry that is slow, broken or hostile delays these details and nothing
// else.
package details
