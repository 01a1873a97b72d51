// Package view makes the pictures that people look at: what runs, what waits, why, and what happened. The command line and the
// dashboard show the same ones.
//
// It reads API objects and decides nothing. A picture is a value, a Node; Render turns it into lines of text. Whatever comes from
// outside, such as tags and messages, is stripped of control characters before it becomes part of a picture.
package view
