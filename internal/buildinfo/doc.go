// Package buildinfo says which build this is.
package buildinfo
