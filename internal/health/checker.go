package health

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// NoData is the state of a source that returns no data. spec.noData of the check says what it means.
const NoData v1alpha1.HealthState = "NoData"

// CheckInput is the input of a Checker.
type CheckInput struct {
	// Now is the time of the check.
	Now time.Time
	// Check is the check to run.
	Check *v1alpha1.HealthCheck
	// Release is what is deployed; zero if nothing is, or if no Rollout selects the check.
	Release Release
}

// Release is the deployment that a check evaluates.
type Release struct {
	// Namespace and Rollout are the namespace and the name of the Rollout.
	Namespace, Rollout string
	// Tag, Digest and Revision are those of the version. Revision is the source that the image was built from.
	Tag, Digest, Revision string
	// Token is unique for each deployment and each retry.
	Token string
	// DeployedAt is when the deployment was decided or last retried.
	DeployedAt time.Time
	// InFlight is true if the deployment waits for the result.
	InFlight bool
}

// Checker checks the health of a deployment with one kind of source. Its report has a State (Healthy, Unhealthy,
// Pending or NoData) and a stable Message without secrets; the caller fills in the other fields. An error means that
// the check could not run, for example because a Secret is missing: the check is then Pending, with the error as its
// message.
type Checker interface {
	Check(ctx context.Context, s CheckInput) (Report, error)
}
