// Package endpoint serves HTTP for an application with simulated pods: it responds as the version of the ready pods
// would, which it reads from the API server for each request. It also serves a change calendar.
package endpoint
