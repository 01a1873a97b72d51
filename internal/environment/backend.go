package environment

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Backend is where the environments of an application meet. It is safe for concurrent use. What it returns an error for may or may not
// have happened; callers repeat the call.
type Backend interface {
	// Publish shows the state of an environment to others. The same state again changes nothing, and no deployment is published twice,
	// whatever was interrupted in between. Deployments that the state does not contain stay as they are. One that cannot be published
	// does not hold up the others: the error joins a *DeploymentError for each. An environment without deployments may be unknown to
	// others, and a change of After, Parallel or URL may be published with the next deployment.
	Publish(ctx context.Context, s State) error
	// Read returns what is known of all environments of an application. If the service cannot be read, it returns the last snapshot,
	// with its old At, and the error.
	Read(ctx context.Context, application string) (Snapshot, error)
}

// State is what is published about an environment.
type State struct {
	// Application of the environment, and its name.
	Application, Environment string
	// After are the environments that come before it.
	After []string
	// Parallel reports whether those are peers, for people.
	Parallel bool
	// URL of the environment for people; empty if it is not known.
	URL string
	// Deployments in its history, newest first.
	Deployments []Deployment
}

// Deployment is one deployment of an environment.
type Deployment struct {
	// Key identifies the deployment forever, among those of all clusters. It contains the UID of the Rollout, so that the IDs of a
	// Rollout that was created again are not mistaken for the old ones. It is empty for deployments of controllers without keys.
	Key string
	// ID in the history of the Rollout.
	ID int64
	// Version that was deployed.
	Version v1alpha1.VersionInfo
	// Message of the deployment, for people. A backend may shorten this text and the others.
	Message string
	// State of the deployment.
	State v1alpha1.BakeStatus
	// StateMessage explains the state.
	StateMessage string
	// Attempt is when the deployment was last retried; zero if it never was. It makes the same state after a retry a change. All times
	// are in whole seconds.
	Attempt time.Time
	// At is when the deployment was decided.
	At time.Time
	// AvailableSince is when the deployment became Available; zero if it is not.
	AvailableSince time.Time
	// Quarantine is the reason why the release is quarantined; empty if it is not. StateMessage may be lost if it is set.
	Quarantine string
	// Order is the position of the release among those that its Rollout knows, oldest first, counted from 1. It is 0 if it is not known,
	// and for everything that was published to an outside backend.
	Order int
	// UntrustedReason is why the deployment is no evidence, although it may be true: an untrusted login created it, or it is not signed.
	// Empty if it is evidence. Without evidence, Key is empty. Publish ignores this field.
	UntrustedReason string
}

// Snapshot is what a backend read of an application.
type Snapshot struct {
	// At is when the backend was read. A response that nothing has changed counts as a fresh read.
	At time.Time
	// Environments in the order of their names.
	Environments []State
	// Untrusted is how many deployments of untrusted logins the backend found. It stops counting at some limit.
	Untrusted int
	// Unknown says why an environment may be missing, and what to do. Empty: it may not have published a deployment yet.
	Unknown string
}

// Find returns the state of an environment.
func (n Snapshot) Find(environment string) (State, bool) {
	for _, s := range n.Environments {
		if s.Environment == environment {
			return s, true
		}
	}
	return State{}, false
}

// DeploymentError says that one deployment cannot be published as it is, for instance because the service does not know its revision.
type DeploymentError struct {
	// ID of the deployment.
	ID int64
	// Err is the cause, for people.
	Err error
}

func (e *DeploymentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DeploymentError) Unwrap() error { return e.Err }

// RefusedError says that calls fail until somebody changes something, such as the credentials or the project.
type RefusedError struct {
	// Err is the cause, for people.
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// WaitError says that no requests are made until a time: the rate limit of the service is reached, or our budget below it.
type WaitError struct {
	// Until is the time of the next request.
	Until time.Time
	// Err is the cause, for people.
	Err error
}

func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *WaitError) Unwrap() error { return e.Err }
