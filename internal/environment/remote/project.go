package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// retryAfter is the delay before the retry of a failure, so that many Environments do not each wait for the same
	// timeout. The delay after a RefusedError is the interval.
	retryAfter = 2 * time.Second
	// rejectedTTL is the delay before a rejected write is sent again. Somebody may push the missing commit.
	rejectedTTL = 10 * time.Minute
	// maxTag bounds a tag in a message.
	maxTag = 140
)

// Project is the state that the Backends of a project share. Its lock serializes their requests, as the services ask
// for.
type Project struct {
	// Path of the project.
	Path string
	// Clock tells the time.
	Clock clock.PassiveClock

	charge   func(bytes int)
	lock     chan struct{}
	failure  error
	retry    time.Time
	rejected map[string]rejection
}

// rejection is a write that the service rejected.
type rejection struct {
	until time.Time
	err   error
}

// NewProject returns the state of a project. Charge is that of Pool.Project.
func NewProject(path string, c clock.PassiveClock, charge func(bytes int)) *Project {
	return &Project{
		Path: path, Clock: c, charge: charge, lock: make(chan struct{}, 1), rejected: map[string]rejection{},
	}
}

// Lock waits for the lock. It returns an error if the context ends first.
func (p *Project) Lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unlock releases the lock. Bytes is about how much memory the project takes now.
func (p *Project) Unlock(bytes int) {
	p.charge(minMemory + bytes)
	<-p.lock
}

// Failure returns the last failure, or nil once a retry is due.
func (p *Project) Failure() error {
	if p.Clock.Now().Before(p.retry) {
		return p.failure
	}
	return nil
}

// Failed records a failure. It ignores that of a cancelled context, and pauses, which the Transport tracks.
func (p *Project) Failed(ctx context.Context, err error, interval time.Duration) {
	var wait *environment.WaitError
	if err == nil || ctx.Err() != nil || errors.As(err, &wait) || errors.Is(err, ErrGone) {
		return
	}
	pause := min(retryAfter, interval)
	var refused *environment.RefusedError
	if errors.As(err, &refused) {
		pause = interval
	}
	p.failure, p.retry = err, p.Clock.Now().Add(pause)
}

// Rejected returns the error of a write that the service rejected in the last ten minutes, or nil.
func (p *Project) Rejected(write string) error {
	if r := p.rejected[write]; p.Clock.Now().Before(r.until) {
		return r.err
	}
	return nil
}

// Reject converts a RejectedError to a DeploymentError, and records it for the write. Other errors are returned
// unchanged.
func (p *Project) Reject(d environment.Deployment, write string, err error) error {
	var rejected *RejectedError
	if !errors.As(err, &rejected) {
		return err
	}
	now := p.Clock.Now()
	maps.DeleteFunc(p.rejected, func(_ string, r rejection) bool { return !now.Before(r.until) })
	err = &environment.DeploymentError{
		ID: d.ID, Err: fmt.Errorf("publishing %s: %w", version.Clean(d.Version.Tag, maxTag), rejected),
	}
	p.rejected[write] = rejection{until: now.Add(rejectedTTL), err: err}
	return err
}
