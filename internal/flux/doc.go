// Package flux reads and writes Flux objects. No other package imports Flux's kinds.
//
// It reads what an ImagePolicy selected, hands versions to Kustomizations and OCIRepositories, and reports what those
// objects carry and how far Flux has reconciled them.
//
// Progress is derived from several status fields together: the observed generation, the handled reconcile request, the
// attempted and the applied revision, and the reason of the Ready condition. No single field is enough, because Flux
// writes some of them without reconciling. docs/decisions/0005 lists which.
package flux
