// Package expr evaluates the conditions that users write, in CEL: success of a health check, success of a gate that asks an API.
// It also evaluates the expressions that make what such a gate asks, over the release alone.
//
// A condition is written by one person and evaluated by everybody's controller, over data that a third party sends. So it is bounded
// before it runs, in length, in nesting and in what it may call, and while it runs, in steps, in the size of what it makes and in
// time. What it says in an error is about the condition: nothing of the data is quoted.
package expr
