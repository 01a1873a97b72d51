// Package view makes what people see: what runs, what waits, why, and what happened. The command line and the dashboard
// show the same.
//
// It reads API objects and decides nothing. Tree returns a value, a Node, and Render turns it into lines of text. Text
// that comes from outside, such as a tag or a message, loses its control characters before it becomes part of a Node.
package view
