package environment

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Backend shares the states of an application's environments. It is safe for concurrent use. A call that returns an
// error may or may not have had its effect; callers repeat it.
type Backend interface {
	// Publish publishes the state of an environment. Publishing the same state again changes nothing, and no deployment
	// is published twice, even after an interruption. Deployments that the state does not contain are not changed. If
	// some deployments cannot be published, the others are, and the error joins a *DeploymentError for each. An
	// environment may be unknown to others until its first deployment, and a change of After, Parallel or URL may be
	// published with the next deployment.
	Publish(ctx context.Context, s State) error
	// Read returns a snapshot of all environments of an application. If the service cannot be read, it returns the last
	// snapshot, whose At is unchanged, and the error.
	Read(ctx context.Context, application string) (Snapshot, error)
}

// State is the published state of an environment.
type State struct {
	// Application of the environment, and its name.
	Application, Environment string
	// After are the names of its upstream environments.
	After []string
	// Parallel reports whether those are displayed as peers.
	Parallel bool
	// URL at which people open the environment; empty if it is not known.
	URL string
	// Deployments in its history, newest first.
	Deployments []Deployment
}

// Deployment is one deployment of an environment.
type Deployment struct {
	// Key identifies the deployment, unique over all clusters and times: <UID of the Rollout>/<ID>. It is empty for
	// deployments of controllers that do not publish keys.
	Key string
	// ID in the history of the Rollout.
	ID int64
	// Version that was deployed.
	Version v1alpha1.VersionInfo
	// Message of the deployment. A backend may shorten this text and the others.
	Message string
	// State of the deployment.
	State v1alpha1.BakeStatus
	// StateMessage explains the state.
	StateMessage string
	// Attempt is when the deployment was last retried; zero if it never was. After a retry, the same State is published
	// again. All times are in whole seconds.
	Attempt time.Time
	// At is when the deployment was decided.
	At time.Time
	// AvailableSince is when the deployment became Available; zero if it is not.
	AvailableSince time.Time
	// Quarantine is why the release is quarantined; empty if it is not. If it is set, StateMessage may be lost.
	Quarantine string
	// Order is the position of the release in the available releases of its Rollout, oldest first, from 1. It is 0 if
	// unknown, and in outside backends, which do not publish it.
	Order int
	// UntrustedReason is why the deployment is no evidence, for instance because an untrusted login created it, or it
	// is not signed. Empty if it is evidence. An untrusted deployment has no Key. Publish ignores this field.
	UntrustedReason string
}

// Snapshot is the state of an application's environments at a time.
type Snapshot struct {
	// At is when the backend was read. A 304 counts as a fresh read.
	At time.Time
	// Environments in the order of their names.
	Environments []State
	// Untrusted is the number of deployments of untrusted logins, up to a limit of the backend.
	Untrusted int
	// Unknown says why an environment may be missing, and what to do. If it is empty, the environment may not have
	// deployed yet.
	Unknown string
}

// Find returns the state of an environment, and whether there is one.
func (s Snapshot) Find(environment string) (State, bool) {
	for _, env := range s.Environments {
		if env.Environment == environment {
			return env, true
		}
	}
	return State{}, false
}

// DeploymentError is returned for a deployment that cannot be published, for instance because the service does not know
// its revision.
type DeploymentError struct {
	// ID of the deployment.
	ID int64
	// Err is the cause.
	Err error
}

func (e *DeploymentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DeploymentError) Unwrap() error { return e.Err }

// RefusedError is returned for calls that fail until somebody changes something, such as the credentials or the
// project.
type RefusedError struct {
	// Err is the cause.
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// WaitError is returned while no requests are made, because the rate limit of the service or the budget of Kuberik is
// reached.
type WaitError struct {
	// Until is the time of the next request.
	Until time.Time
	// Err is the cause.
	Err error
}

func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *WaitError) Unwrap() error { return e.Err }
