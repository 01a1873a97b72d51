// Package flux is the only room that knows Flux kinds. It reads what an ImagePolicy found, says what a Flux object carries and
// how far Flux has got with it, and hands versions over.
//
// Evidence is taken from what Flux says of its own work: the generation it observed, the reconcile request it handled, the
// revision it attempted and the one it applied. kustomize-controller writes the first two at the end of a reconcile, from the
// object it began with, so that together they never speak of a version it has not seen.
package flux
