// Package endpoint answers for an application whose pods are simulated: over HTTP, as the version would that its ready
// pods are of. Which that is, is asked of the API server for each request. Beside it, it answers for a change calendar.
package endpoint
