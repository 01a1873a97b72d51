// Package preflight checks whether a cluster has what Kuberik needs: versions, CRDs, the parts of Flux, admission
// policies, and a controller. It reads and changes nothing.
package preflight
