package health

import (
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Report is what one check says.
type Report struct {
	// Name of the HealthCheck, and its Namespace.
	Name, Namespace string
	// State is Healthy, Unhealthy, Pending or Unknown.
	State v1alpha1.HealthState
	// Message for a person.
	Message string
	// Revision that the report speaks for, if it says.
	Revision string
	// Current is whether the report speaks for what is deployed now.
	Current bool
	// ByRevision is whether Current was found by comparing revisions. If not, it was found by comparing times.
	ByRevision bool
	// Since when the state holds; zero if nobody knows.
	Since time.Time
	// LastError is when the check last became unhealthy; zero if it never did.
	LastError time.Time
}

// Good says whether the check is healthy, for what is deployed now.
func (r Report) Good() bool { return r.State == v1alpha1.HealthHealthy && r.Current }

// Bad says whether the check is unhealthy, for what is deployed now.
func (r Report) Bad() bool { return r.State == v1alpha1.HealthUnhealthy && r.Current }

// FailedSince says whether the check has been unhealthy at or after a time, even if it is not any more.
func (r Report) FailedSince(t time.Time) bool {
	return !r.LastError.IsZero() && !r.LastError.Before(t)
}

// Normal maps whatever was written to one of the states. A check that nobody has reported on is Pending.
func Normal(s v1alpha1.HealthState) v1alpha1.HealthState {
	switch s {
	case v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy:
		return s
	case "", v1alpha1.HealthPending:
		return v1alpha1.HealthPending
	}
	return v1alpha1.HealthUnknown
}
