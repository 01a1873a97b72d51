// Package datadog makes a HealthCheck of every DatadogMonitor that is annotated kuberik.com/health-check: "true", and keeps its
// labels and annotations those of the monitor. It never asks Datadog and writes no status: the check is of class datadog and names
// the monitor, so it is probed like any other.
//
// DatadogMonitor belongs to the Datadog operator. Where its kind is not installed the controller looks for it now and then, and
// begins when it is there.
package datadog
