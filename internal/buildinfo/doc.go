// Package buildinfo holds the version of the build.
package buildinfo
