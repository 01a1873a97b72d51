// Package httpcheck judges an endpoint by its answer.
//
// No answer is a verdict: the endpoint is what is being checked, so one that refuses, resets or takes too long is Unhealthy. What
// keeps the question from being asked, such as a Secret that is missing or a condition that cannot be read, is an error and says
// nothing about the endpoint.
package httpcheck
