// Package observed measures time in which this process could observe the cluster.
//
// A deadline that goes by the wall clock also counts time in which the process did not run, stood still, or got no answer from the API
// server. Whatever became true of the cluster meanwhile, the process did not see it, so that no verdict may rest on that time. Clock counts
// the rest, and Spans measures deadlines and bakes by it.
package observed
