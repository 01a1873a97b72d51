// Package prometheus checks health with a query to Prometheus, or to a server with the same API.
//
// A Prometheus that is down, slow or cannot run the query says nothing about the release, so the check returns an
// error. An empty result is NoData. So is a result of only NaN, which is the value of a division by zero requests.
package prometheus
