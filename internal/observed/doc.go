// Package observed measures the time during which this process could observe the cluster.
//
// A deadline by the wall clock also counts time in which the process did not run, was suspended or got no response
// from the API server. The process saw nothing of the cluster in that time, so no bake may succeed and no deployment
// may time out because of it. Clock counts only observed time, and Spans measures deadlines and bakes with it.
package observed
