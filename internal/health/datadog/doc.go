// Package datadog checks health with Datadog: a monitor by its ID, the worst of the monitors with some tags, a metrics
// query, or a DatadogMonitor that the Datadog operator keeps up to date.
//
// Only OK is Healthy and only an alert is Unhealthy. A monitor that is muted, deleted, outdated, without data or in an
// unknown state neither passes nor fails a release. Data from before a deployment is ignored.
//
// A request is made once per probe and not retried. While Datadog limits requests, none is made. Checks with the same
// keys and the same query share a response for a few seconds. Responses are not stored for longer.
package datadog
