// Package expr evaluates CEL expressions of users: the success conditions of health checks and of gates that call an
// API, and the expressions that build the request of such a gate.
//
// Untrusted users write the expressions, the controller evaluates them for everybody, and third parties send the data.
// So compilation limits length, nesting and functions, and evaluation limits steps, sizes and time. Errors never quote
// the data.
package expr
