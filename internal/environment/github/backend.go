package github

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

// Backend is the view that one Environment has of a repository. It is safe for use by several at once.
type Backend struct {
	repository *repository
	o          Options
	// used is the Pool's.
	used time.Time

	// What follows belongs to whoever has locked the repository. self is the login of the credentials, once it is known.
	self string
	told map[string]told
}

// told is what was made of a version of an application.
type told struct {
	version      int64
	environments []environment.State
}

var _ environment.Backend = (*Backend)(nil)

func newBackend(r *repository, o Options) *Backend {
	return &Backend{repository: r, o: o, told: map[string]told{}}
}

// learn finds out who we are.
func (b *Backend) learn(ctx context.Context) error {
	login, err := b.repository.self(ctx)
	if err != nil {
		return err
	}
	b.self = login
	b.repository.befriend(login)
	return nil
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.News, error) {
	unlock, err := b.repository.lock(ctx)
	if err != nil {
		return environment.News{}, err
	}
	defer unlock()
	app := b.repository.application(deploymentName(application))
	err = b.repository.look(ctx, app, b.o.Interval)
	if app.at.IsZero() {
		// Half of an answer is none.
		return environment.News{}, err
	}
	if err := b.learn(ctx); err != nil {
		return environment.News{}, err
	}
	return environment.News{At: app.at, Environments: b.tell(application, app)}, err
}

// tell makes news of what is known. The repository is locked.
func (b *Backend) tell(application string, app *application) []environment.State {
	if t, ok := b.told[application]; ok && t.version == app.version {
		return clone(t.environments)
	}
	byName := map[string][]*record{}
	for _, r := range app.records {
		byName[r.environment] = append(byName[r.environment], r)
	}
	var states []environment.State
	for name, records := range byName {
		states = append(states, b.tellOne(app.name, environment.State{Application: application, Environment: name}, records))
	}
	slices.SortFunc(states, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) })
	b.told[application] = told{version: app.version, environments: states}
	return clone(states)
}

// clone lets whoever gets the news do with them what they like.
func clone(states []environment.State) []environment.State {
	out := slices.Clone(states)
	for i := range out {
		out[i].After, out[i].Deployments = slices.Clone(out[i].After), slices.Clone(out[i].Deployments)
	}
	return out
}

// tellOne tells of one environment. Its relations are those of the newest deployment, of those vouched for if there are any.
func (b *Backend) tellOne(name string, s environment.State, records []*record) environment.State {
	slices.SortFunc(records, func(x, y *record) int { return cmp.Or(y.at().Compare(x.at()), cmp.Compare(y.id, x.id)) })
	oldest := b.oldest(name, records)
	related := false
	for _, r := range records {
		d, link := b.deployment(name, r)
		if d.Key != "" && oldest[d.Key] != r.id {
			continue
		}
		if !related && (d.Doubt == "" || len(s.Deployments) == 0) {
			s.After, s.Parallel = r.payload.after()
			s.URL, related = link, d.Doubt == ""
		}
		s.Deployments = append(s.Deployments, d)
	}
	return s
}

// oldest finds the deployment that counts for each key: two controllers may have made one at the same time.
func (b *Backend) oldest(name string, records []*record) map[string]int64 {
	ids := map[string]int64{}
	for _, r := range records {
		key := r.payload.key()
		if b.doubt(name, r) == "" && (ids[key] == 0 || r.id < ids[key]) {
			ids[key] = r.id
		}
	}
	return ids
}

// deployment tells of one, and where a person finds it.
func (b *Backend) deployment(name string, r *record) (environment.Deployment, string) {
	d := environment.Deployment{
		Key: r.payload.key(), ID: r.number, Version: *r.payload.Version.DeepCopy(), Message: r.message, At: r.at(), Doubt: b.doubt(name, r),
	}
	if d.Doubt != "" {
		d.Key = ""
	}
	said, vouched := newest(r.statuses, func(s status) bool { return b.doubtStatus(name, r, s) == "" })
	if !vouched {
		said, _ = newest(r.statuses, func(status) bool { return true })
		if d.Doubt == "" {
			d.Doubt = b.silence(name, r, said)
		}
	}
	if d.Doubt == "" && r.asked.IsZero() {
		d.Doubt = "it has changed since its statuses were read"
	}
	w := said.word
	d.State, d.StateMessage, d.Quarantine, d.Attempt, d.AvailableSince = w.state, w.message, w.quarantine, w.attempt, w.since
	if d.AvailableSince.IsZero() && w.number == 0 && w.state == v1alpha1.BakeSucceeded {
		d.AvailableSince = said.made
	}
	return d, said.url
}
