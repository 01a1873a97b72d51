// Package datadog asks Datadog whether what runs is well: a monitor by its ID, the worst of the monitors with some tags, a query over
// metrics, or a DatadogMonitor that the Datadog operator keeps up to date.
//
// Only OK is health and only an alert is failure. What is muted, deleted, stale, without data or not understood is no verdict, so it
// neither passes a release nor fails one. Data from before a deployment does not count for it.
//
// A request is made once, and not repeated until the next probe. Where Datadog limits requests none is made until it allows them
// again, and many checks with the same keys and the same question share one answer for a few seconds. Nothing is remembered beyond
// that.
package datadog
