// Package demo runs releases of an application through a local cluster of real components. They reach staging
// automatically, and production once somebody has approved them and a change calendar accepts them. One of them is bad:
// staging stops it, so that it never reaches production, and the next one fixes it.
//
// Everything that is shown or checked is read from the API server, as any client reads it. The controller is the
// program that runs on every cluster, under its own service account. It may be killed at any moment without changing
// the result. This package decides nothing and writes no status.
package demo
