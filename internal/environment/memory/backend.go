package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// maxText bounds a text, in bytes.
const maxText = 1024

// Backend is the backend of one cluster. It writes as one actor.
type Backend struct {
	service *Service
	// trusted are the trusted actors, first the one that the backend writes as.
	trusted []string

	mu   sync.Mutex
	last map[string]environment.Snapshot
}

// Backend returns a Backend that writes as an actor, and trusts it and the others.
func (s *Service) Backend(actor string, trusted ...string) *Backend {
	return &Backend{service: s, trusted: append([]string{actor}, trusted...), last: map[string]environment.Snapshot{}}
}

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	var errs []error
	// The oldest are published first, so that an interruption leaves no gap in the history.
	for i, d := range slices.Backward(s.Deployments) {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		url := ""
		if i == 0 {
			url = s.URL
		}
		if err := b.publish(s, truncate(d), url); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (b *Backend) publish(s environment.State, d environment.Deployment, url string) error {
	if d.Key == "" {
		return &environment.DeploymentError{ID: d.ID, Err: errors.New("the deployment has no key")}
	}
	r := b.service.find(s, d.Key, b.trusted)
	if r == nil {
		if revision := d.Version.Revision; revision != nil && b.service.rejected[*revision] {
			return &environment.DeploymentError{ID: d.ID, Err: fmt.Errorf("the revision %s is unknown", *revision)}
		}
		r = &record{
			application: s.Application, environment: s.Environment, creator: b.trusted[0], deployment: d,
			after: slices.Clone(s.After), parallel: s.Parallel,
		}
		if err := b.service.effect(Create, func() { b.service.records = append(b.service.records, r) }); err != nil {
			return err
		}
	}
	report := statusReport{actor: b.trusted[0], url: url, deployment: d}
	if last, ok := r.last(b.trusted); ok && last.equal(report) {
		return nil
	}
	return b.service.effect(Report, func() { r.reports = append(r.reports, report) })
}

// equal reports whether two reports have the same status. The other fields of a deployment never change.
func (r statusReport) equal(other statusReport) bool {
	a, b := r.deployment, other.deployment
	return (r.url == other.url || other.url == "") && a.State == b.State && a.StateMessage == b.StateMessage &&
		a.Quarantine == b.Quarantine && a.Attempt.Equal(b.Attempt) &&
		a.AvailableSince.Equal(b.AvailableSince)
}

// last returns the last report by one of the actors.
func (r *record) last(actors []string) (statusReport, bool) {
	for _, report := range slices.Backward(r.reports) {
		if slices.Contains(actors, report.actor) {
			return report, true
		}
	}
	return statusReport{}, false
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	var snapshot environment.Snapshot
	err := ctx.Err()
	if err == nil {
		err = b.service.effect(Read, func() { snapshot = b.snapshot(application) })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return b.last[application], err
	}
	b.last[application] = snapshot
	return snapshot, nil
}

func (b *Backend) snapshot(application string) environment.Snapshot {
	snapshot := environment.Snapshot{At: b.service.clock.Now()}
	states := map[string]*environment.State{}
	for _, r := range b.service.records {
		if r.application != application {
			continue
		}
		s := states[r.environment]
		if s == nil {
			s = &environment.State{Application: application, Environment: r.environment}
			states[r.environment] = s
		}
		b.add(s, r)
		if !slices.Contains(b.trusted, r.creator) {
			snapshot.Untrusted++
		}
	}
	for _, s := range states {
		slices.Reverse(s.Deployments) // of two deployments in the same second, the later one is newer
		slices.SortStableFunc(s.Deployments, func(x, y environment.Deployment) int { return y.At.Compare(x.At) })
		snapshot.Environments = append(snapshot.Environments, *s)
	}
	slices.SortFunc(
		snapshot.Environments, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) },
	)
	return snapshot
}

// add adds a deployment to a state. Records are in the order of their creation, so the last trusted one determines the
// relations.
func (b *Backend) add(s *environment.State, r *record) {
	d := r.deployment
	report, trusted := r.last(b.trusted)
	switch {
	case !slices.Contains(b.trusted, r.creator):
		d.UntrustedReason, d.Key = fmt.Sprintf("made by %s, who is not trusted", r.creator), ""
		if n := len(r.reports); n > 0 {
			report = r.reports[n-1]
		}
	case !trusted:
		d.UntrustedReason = "no trusted actor has reported its status"
	default:
		s.After, s.Parallel = slices.Clone(r.after), r.parallel
		if report.url != "" {
			s.URL = report.url
		}
	}
	last := report.deployment
	d.State, d.StateMessage, d.Quarantine = last.State, last.StateMessage, last.Quarantine
	d.Attempt, d.AvailableSince = last.Attempt, last.AvailableSince
	s.Deployments = append(s.Deployments, d)
}

// truncate cuts the texts of a deployment, and removes what is not published.
func truncate(d environment.Deployment) environment.Deployment {
	d.Message, d.StateMessage = version.Clean(d.Message, maxText), version.Clean(d.StateMessage, maxText)
	d.Quarantine = version.Clean(d.Quarantine, maxText)
	d.UntrustedReason, d.Order = "", 0
	return d
}
