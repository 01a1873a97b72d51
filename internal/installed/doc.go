// Package installed checks whether a cluster has what the controller needs: CustomResourceDefinitions that are new
// enough, and Flux.
package installed
