// Package clitest runs verbs of the command line in tests: with fixed objects, a fixed clock, a user with chosen
// rights, and a terminal of any width. Shop holds the objects of the examples in the documentation.
package clitest
