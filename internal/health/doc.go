// Package health defines the report of a health check, and whether it refers to what is deployed.
//
// A report that does not refer to the deployed revision is neither healthy nor unhealthy: it holds a release and never
// finishes a bake. The package uses no clock and no network.
package health
