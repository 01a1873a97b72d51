package github

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

// Backend is the backend of the Environments with the same options. It is safe for concurrent use.
type Backend struct {
	repository *repository
	o          Options

	// The lock of the repository guards the rest. self is the login of the credentials; empty until it is known.
	self  string
	views map[string]view
}

// view is the cached snapshot of one version of an application.
type view struct {
	version      int64
	environments []environment.State
	untrusted    int
}

var _ environment.Backend = (*Backend)(nil)

func newBackend(r *repository, o Options) *Backend {
	return &Backend{repository: r, o: o, views: map[string]view{}}
}

// identify requests the login of the credentials, once, and adds the trusted logins to those of the repository.
func (b *Backend) identify(ctx context.Context) error {
	if b.self != "" {
		return nil
	}
	if err := b.repository.Failure(); err != nil {
		return err
	}
	login, err := b.repository.self(ctx)
	if err != nil {
		b.repository.Failed(ctx, err, b.o.Interval)
		return err
	}
	b.self = login
	b.repository.trust(slices.Concat([]string{login}, b.o.TrustedActors, b.o.UnsignedActors))
	return nil
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	if err := b.repository.Lock(ctx); err != nil {
		return environment.Snapshot{}, err
	}
	defer b.repository.unlock()
	if err := b.identify(ctx); err != nil {
		return environment.Snapshot{}, err
	}
	app := b.repository.application(deploymentName(application))
	err := b.repository.refresh(ctx, app, b.o.Interval)
	if app.at.IsZero() {
		// A partial listing is discarded.
		return environment.Snapshot{}, err
	}
	v := b.view(application, app)
	return environment.Snapshot{At: app.at, Environments: clone(v.environments), Untrusted: v.untrusted}, err
}

// view returns the snapshot of an application.
func (b *Backend) view(application string, app *application) view {
	if v, ok := b.views[application]; ok && v.version == app.version {
		return v
	}
	v := view{version: app.version}
	byName := map[string][]*record{}
	for _, r := range app.records {
		byName[r.environment] = append(byName[r.environment], r)
		if b.untrustedReason(app.name, r) != "" {
			v.untrusted++
		}
	}
	for name, records := range byName {
		s := environment.State{Application: application, Environment: name}
		v.environments = append(v.environments, b.state(app.name, s, records))
	}
	slices.SortFunc(
		v.environments, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) },
	)
	b.views[application] = v
	return v
}

// size returns about how much memory the snapshots take, in bytes. The lock of the repository is held.
func (b *Backend) size() int {
	size := 1024
	for _, v := range b.views {
		for _, s := range v.environments {
			size += 512 + 512*len(s.Deployments)
		}
	}
	return size
}

// clone copies states, so that the caller may change them.
func clone(states []environment.State) []environment.State {
	out := slices.Clone(states)
	for i := range out {
		out[i].After, out[i].Deployments = slices.Clone(out[i].After), slices.Clone(out[i].Deployments)
	}
	return out
}

// state returns the state of one environment. The newest trusted deployment, or else the newest one, determines its
// relations.
func (b *Backend) state(name string, s environment.State, records []*record) environment.State {
	slices.SortFunc(records, func(x, y *record) int { return cmp.Or(y.at().Compare(x.at()), cmp.Compare(y.id, x.id)) })
	oldest := b.oldest(name, records)
	related := false
	for _, r := range records {
		d, link := b.deployment(name, r)
		if d.Key != "" && oldest[d.Key] != r.id {
			continue
		}
		if !related && (d.UntrustedReason == "" || len(s.Deployments) == 0) {
			s.After, s.Parallel = r.payload.after()
			s.URL, related = link, d.UntrustedReason == ""
		}
		s.Deployments = append(s.Deployments, d)
	}
	return s
}

// oldest returns the ID of the deployment that counts for each key: two controllers may have created it at the same
// time.
func (b *Backend) oldest(name string, records []*record) map[string]int64 {
	ids := map[string]int64{}
	for _, r := range records {
		key := r.payload.key()
		if b.untrustedReason(name, r) == "" && (ids[key] == 0 || r.id < ids[key]) {
			ids[key] = r.id
		}
	}
	return ids
}

// deployment returns the deployment of a record, and the URL of its environment.
func (b *Backend) deployment(name string, r *record) (environment.Deployment, string) {
	d := environment.Deployment{
		Key: r.payload.key(), ID: r.number, Version: *r.payload.Version.DeepCopy(), Message: r.message, At: r.at(),
		UntrustedReason: b.untrustedReason(name, r),
	}
	if d.UntrustedReason != "" {
		d.Key = ""
	}
	last, trusted := newest(r.statuses, func(s status) bool { return b.untrustedStatusReason(name, r, s) == "" })
	if !trusted {
		last, _ = newest(r.statuses, func(status) bool { return true })
		if d.UntrustedReason == "" {
			d.UntrustedReason = b.missingStatusReason(name, r, last)
		}
	}
	if d.UntrustedReason == "" && r.readAt.IsZero() {
		d.UntrustedReason = "it has changed since its statuses were read"
	}
	s := last.report
	d.State, d.StateMessage, d.Quarantine = s.state, s.message, s.quarantine
	d.Attempt, d.AvailableSince = s.attempt, s.since
	if d.AvailableSince.IsZero() && s.number == 0 && s.state == v1alpha1.BakeSucceeded {
		d.AvailableSince = last.made
	}
	return d, last.url
}
