// Package prometheus judges by the result of a query to a Prometheus, or to what speaks its API.
//
// The monitoring is not what is being checked: a Prometheus that is down, slow or cannot run the query says nothing about the
// release, and is an error. An empty result is no data. So is one of nothing but NaN, which is what dividing by no requests gives.
package prometheus
