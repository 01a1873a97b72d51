// Package httpcheck checks the health of an HTTP endpoint by its answer.
//
// An endpoint that does not answer in time is Unhealthy. If the request cannot be made, for example because a Secret is
// missing or the condition is invalid, Check returns an error, which says nothing about the endpoint.
package httpcheck
