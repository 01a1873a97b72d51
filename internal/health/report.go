package health

import (
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Report is the result of one check.
type Report struct {
	// Name and Namespace are those of the HealthCheck.
	Name, Namespace string
	// State is Healthy, Unhealthy, Pending or Unknown.
	State v1alpha1.HealthState
	// Message is for a person.
	Message string
	// Revision is the revision that the report refers to; empty if unknown.
	Revision string
	// Current is true if the report refers to what is deployed now.
	Current bool
	// ByRevision is true if Current compares revisions, and false if it compares times.
	ByRevision bool
	// Since is when the state began; zero if unknown.
	Since time.Time
	// LastError is when the check last became unhealthy; zero if never.
	LastError time.Time
}

// Good reports whether the check is healthy for what is deployed now.
func (r Report) Good() bool { return r.State == v1alpha1.HealthHealthy && r.Current }

// Bad reports whether the check is unhealthy for what is deployed now.
func (r Report) Bad() bool { return r.State == v1alpha1.HealthUnhealthy && r.Current }

// FailedSince reports whether the check became unhealthy at or after a time, even if it has recovered.
func (r Report) FailedSince(t time.Time) bool {
	return !r.LastError.IsZero() && !r.LastError.Before(t)
}

// Normal returns one of the known states: Pending for an empty one, Unknown for any other text.
func Normal(s v1alpha1.HealthState) v1alpha1.HealthState {
	switch s {
	case v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy:
		return s
	case "", v1alpha1.HealthPending:
		return v1alpha1.HealthPending
	}
	return v1alpha1.HealthUnknown
}
