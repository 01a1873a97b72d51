package environment

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Backend is where the environments of an application meet. It is safe for use by several at once. Whatever it returns an error for
// may or may not have happened; it is asked again with the same.
type Backend interface {
	// Publish makes what others see of an environment say what the state says. The same state again changes nothing, and a deployment
	// that was published once is never published a second time, whatever was interrupted in between. Deployments that the state does
	// not name are left as they are. What one deployment cannot be published for keeps none of the others back: the
	// error joins a *DeploymentError for each. An environment without deployments may be unknown to others, and a change of After,
	// Parallel or URL may wait for the next deployment.
	Publish(ctx context.Context, s State) error
	// Read tells what is known of every environment of an application, in the order of their names. Where the backend cannot be
	// asked, it returns the last that it knew, with its old At, together with the error: whoever has use for old news can show them.
	Read(ctx context.Context, application string) (News, error)
}

// State is what an environment says of itself.
type State struct {
	// Application that the environment belongs to, and the Environment's name.
	Application, Environment string
	// After are the environments that come before it.
	After []string
	// Parallel says that those are peers, for people.
	Parallel bool
	// URL is where a person finds it; empty if nobody knows.
	URL string
	// Deployments of its history, newest first.
	Deployments []Deployment
}

// Deployment is one deployment of an environment.
type Deployment struct {
	// Key names the deployment for ever, among all that any cluster makes: it holds the uid of the Rollout, so that a Rollout that
	// was made anew and counts from one again does not take up what another left. Deployments that a controller without such keys
	// published have none.
	Key string
	// ID within the history of the Rollout.
	ID int64
	// Version that was deployed.
	Version v1alpha1.VersionInfo
	// Message of the deployment, for people. This and the other texts may be cut to what fits the backend.
	Message string
	// State of the deployment.
	State v1alpha1.BakeStatus
	// StateMessage explains the state.
	StateMessage string
	// Attempt is when it was last run again; zero if it never was. With it, the same state after a retry is news. All times are in
	// whole seconds.
	Attempt time.Time
	// At is when it was decided.
	At time.Time
	// AvailableSince is when it became Available; zero if it is not.
	AvailableSince time.Time
	// Quarantine says why the release was quarantined; empty if it is not. StateMessage may be lost where it is set.
	Quarantine string
	// Order is the position of the release among those that its Rollout knows, oldest first, counted from 1. It is 0 if it is not known,
	// and for everything that was published to an outside backend.
	Order int
	// Doubt says why what is told of the deployment is not evidence, although it may be true: somebody made it whom nobody trusts, or
	// it is not signed. Empty: the backend vouches for it. A Key that is in doubt is not told. Publish ignores it.
	Doubt string
}

// News is what was read of an application.
type News struct {
	// At is when the backend was read. A response that nothing has changed counts as a fresh read.
	At time.Time
	// Environments in the order of their names.
	Environments []State
	// Untrusted is how many deployments of untrusted logins the backend found. It stops counting at some limit.
	Untrusted int
}

// Find returns the state of an environment.
func (n News) Find(environment string) (State, bool) {
	for _, s := range n.Environments {
		if s.Environment == environment {
			return s, true
		}
	}
	return State{}, false
}

// DeploymentError says that one deployment cannot be published, and never will be as it is: its revision is unknown to the backend, say.
type DeploymentError struct {
	// ID of the deployment.
	ID int64
	// Err is the cause, for a person.
	Err error
}

func (e *DeploymentError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *DeploymentError) Unwrap() error { return e.Err }

// RefusedError says that the backend will go on refusing until somebody changes something: the credentials, the project.
type RefusedError struct {
	// Err is the cause, for a person.
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// WaitError says that the backend wants to be left alone until a time: its rate limit is reached, or the budget that we keep below it.
type WaitError struct {
	// Until when.
	Until time.Time
	// Err is the cause, for a person.
	Err error
}

func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *WaitError) Unwrap() error { return e.Err }
