// Package healthcheck keeps the status of HealthChecks. Those of a class that Kuberik answers for are probed; those of
// other classes are set back to Pending when something they are selected for is deployed, so that their controllers
// report anew.
//
// A status is written when it changes, and not for each probe.
package healthcheck
