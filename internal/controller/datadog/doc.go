// Package datadog implements the controller that creates a HealthCheck for each DatadogMonitor with the annotation
// kuberik.com/health-check: "true", and keeps its labels and annotations in sync with the monitor. The controller
// sends no requests to Datadog and writes no status. The HealthCheck has the class datadog and refers to the monitor,
// so it is probed like any other.
//
// The Datadog operator installs the kind DatadogMonitor. Until it is installed, the controller polls for it.
package datadog
