// Package flux is the only room that knows Flux kinds. It reads what an ImagePolicy found, says what a Flux object carries and
// how far Flux has got with it, and hands versions over.
//
// Evidence is taken from what Flux says of its own work: the generation it observed, the reconcile request it handled, the
// revision it attempted and the one it applied, and what its Ready condition is about. No single field is enough: Flux writes some of
// them without reconciling. docs/decisions/0005 lists which.
package flux
