package health

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// NoData is the state of a source that answers and has nothing to say. What it means is for spec.noData of the check.
const NoData v1alpha1.HealthState = "NoData"

// Subject is what a Checker is asked about.
type Subject struct {
	// Now is the time of the question.
	Now time.Time
	// Check that asks.
	Check *v1alpha1.HealthCheck
	// Release that is deployed; zero if nothing is, or if the check is selected by no Rollout.
	Release Release
}

// Release is the deployment that a check is asked about.
type Release struct {
	// Namespace and name of the Rollout.
	Namespace, Rollout string
	// Tag, Digest and Revision (what the image was built from) of the version.
	Tag, Digest, Revision string
	// Token of the deployment: it differs for each deployment and each retry.
	Token string
	// DeployedAt is when the deployment was decided, or last retried.
	DeployedAt time.Time
	// InFlight is whether a verdict is waited for.
	InFlight bool
}

// Checker asks one kind of source whether what runs is well. Its report has a State (Healthy, Unhealthy, Pending or NoData) and a
// Message for people that is the same for the same state of affairs and holds no secret; who the report is for is added by whoever
// asked. It returns an error where it could not be asked at all, such as a Secret that is missing: the check is then Pending, with
// that message.
type Checker interface {
	Check(ctx context.Context, s Subject) (Report, error)
}
