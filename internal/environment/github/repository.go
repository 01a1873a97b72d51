package github

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

const (
	// sweepInterval is how often everything is read again, even if it should not change.
	sweepInterval = time.Hour
	// sweptPerWriter is how many of the newest deployments of each writer the sweep covers.
	sweptPerWriter = 2
	// maxChecks bounds the deployments whose statuses one refresh reads.
	maxChecks = 100
	// maxDeployments bounds the deployments that a walk reads, and maxNew those that a poll reads.
	maxDeployments, maxNew = 3000, 1000
	// maxBackends bounds the Backends of one repository.
	maxBackends = 64
)

// repository is what one account has cached of a repository.
type repository struct {
	api
	*remote.Project
	apps map[string]*application
	// trusted are the logins, in lower case, that at least one Backend trusts.
	trusted map[string]bool
	// polled is when the newest deployments were last read, and newestID the ID of the newest.
	polled   time.Time
	newestID int64
	// pollSize is the page size of the last poll.
	pollSize int

	mu sync.Mutex
	// backends are the Backends by their view key.
	backends map[string]*Backend
}

func newRepository(a *account, o Options, p *remote.Project) (*repository, error) {
	calls, err := newAPI(a, o)
	return &repository{
		api: calls, Project: p, apps: map[string]*application{}, trusted: map[string]bool{},
		backends: map[string]*Backend{},
	}, err
}

// backend returns the Backend with these options.
func (r *repository) backend(o Options) *Backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := o.ViewKey()
	if r.backends[key] == nil {
		if len(r.backends) >= maxBackends {
			clear(r.backends) // somebody changes the options again and again
		}
		r.backends[key] = newBackend(r, o)
	}
	return r.backends[key]
}

// unlock releases the lock of the repository.
func (r *repository) unlock() {
	size := r.responses.size()
	for login := range r.trusted {
		size += 64 + len(login)
	}
	for _, app := range r.apps {
		size += app.size()
	}
	r.mu.Lock()
	for _, b := range r.backends {
		size += b.size()
	}
	r.mu.Unlock()
	r.Unlock(size)
}

func (r *repository) application(name string) *application {
	if r.apps[name] == nil {
		r.apps[name] = newApplication(name)
	}
	return r.apps[name]
}

// trust adds trusted logins.
func (r *repository) trust(logins []string) {
	known := len(r.trusted)
	for _, login := range logins {
		r.trusted[strings.ToLower(login)] = true
	}
	if len(r.trusted) == known {
		return
	}
	for _, app := range r.apps {
		app.regroup(r.trusted)
	}
}

// refresh reads what may have changed in an application, unless it did so within the interval.
func (r *repository) refresh(ctx context.Context, app *application, interval time.Duration) error {
	now := r.Clock.Now()
	if !app.refreshed.IsZero() && now.Sub(app.refreshed) < interval {
		return nil
	}
	if err := r.Failure(); err != nil {
		return err
	}
	overdue, err := r.readChanges(ctx, app, interval)
	if err != nil {
		r.Failed(ctx, err, interval)
		return err
	}
	app.refreshed = now
	if !overdue {
		app.at = now
	}
	return nil
}

// readChanges reads the new deployments and the statuses that are due. It reports whether some are overdue.
func (r *repository) readChanges(
	ctx context.Context, app *application, interval time.Duration,
) (overdue bool, err error) {
	if err := r.poll(ctx, interval); err != nil {
		return false, err
	}
	if err := r.walk(ctx, app); err != nil {
		return false, err
	}
	return r.checkStatuses(ctx, app, interval)
}

// poll reads the newest deployments of the repository.
func (r *repository) poll(ctx context.Context, interval time.Duration) error {
	now := r.Clock.Now()
	if !r.polled.IsZero() && now.Sub(r.polled) < interval {
		return nil
	}
	newestID, at := r.newestID, position{size: r.pollSize}
	for more := true; more && at.read < maxNew; {
		var list []*gh.Deployment
		var err error
		list, more, err = r.page(ctx, gh.DeploymentsListOptions{}, &at)
		r.pollSize = at.size
		if err != nil {
			return err
		}
		for _, d := range list {
			newestID = max(newestID, d.GetID())
			r.record(d)
		}
		// On the first poll, walks read the following pages.
		if r.polled.IsZero() || !slices.ContainsFunc(list, func(d *gh.Deployment) bool { return d.GetID() > r.newestID }) {
			break
		}
	}
	r.polled, r.newestID = now, newestID
	return nil
}

// walk reads the deployments of an application: all of them the first time, and later up to the first page without a
// change. It continues a walk that a timeout interrupted. Polls read what was created in the meantime.
func (r *repository) walk(ctx context.Context, app *application) error {
	now := r.Clock.Now()
	first := app.walked.IsZero()
	if !first && now.Sub(app.walked) < sweepInterval {
		return nil
	}
	if now.Sub(app.walk.at) > 2*sweepInterval {
		app.walk = position{}
	}
	for more := true; more && app.walk.read < maxDeployments; {
		var list []*gh.Deployment
		var err error
		if list, more, err = r.page(ctx, gh.DeploymentsListOptions{Task: taskOf(app.name)}, &app.walk); err != nil {
			return err
		}
		app.walk.at = now
		changed := false
		for _, d := range list {
			changed = r.record(d) || changed
		}
		if !first && !changed {
			break
		}
	}
	app.walk, app.walked = position{}, now
	return nil
}

// record adds a deployment to its application, and reports whether it is new or has changed.
func (r *repository) record(d *gh.Deployment) bool {
	name, read := newRecord(d)
	app := r.apps[name]
	if read == nil || app == nil {
		return false
	}
	known := app.records[read.id]
	switch {
	case known == nil:
		read.writer = writerOf(read, r.trusted)
		app.add(read)
	case known.updated.Equal(read.updated):
		return false
	default:
		known.updated, known.readAt = read.updated, time.Time{}
		app.version++
	}
	return true
}

// check is a deployment whose statuses are to be read.
type check struct {
	record *record
	// age is the number of newer deployments of the same writer.
	age     int
	urgency urgency
}

type urgency int

const (
	// changed deployments have a new status.
	changed urgency = iota
	// unread deployments are new.
	unread
	// unfinished deployments will get another status.
	unfinished
	// routine is for those that should not change.
	routine
)

// checkStatuses reads the statuses that are due. While the budget is short, it reads only those that have changed and
// the newest of each environment. An application that is read for the first time leaves more of the budget to others.
// It reports whether a check is overdue.
func (r *repository) checkStatuses(
	ctx context.Context, app *application, interval time.Duration,
) (overdue bool, err error) {
	reserve := r.budget / 4
	if app.refreshed.IsZero() {
		reserve = r.budget / 2
	}
	for _, c := range r.due(app, interval) {
		if r.Left() <= reserve && c.deferrable() {
			overdue = overdue || !c.record.readAt.IsZero() && r.Clock.Since(c.record.readAt) > 2*sweepInterval
			continue
		}
		if err := r.readStatuses(ctx, app, c.record); err != nil {
			return false, err
		}
	}
	return overdue, nil
}

// deferrable reports whether the check may wait while the budget is short.
func (c check) deferrable() bool { return c.urgency == routine || c.urgency > changed && c.age > 0 }

// due returns the checks that are due, the most urgent first. Deployments of untrusted logins are never checked, since
// they are no evidence whatever their statuses are.
func (r *repository) due(app *application, interval time.Duration) []check {
	var checks []check
	ages := map[writer]int{}
	app.swept = 0
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(app.records))) {
		c := check{record: app.records[id], age: ages[app.records[id].writer]}
		if c.record.writer == untrusted {
			continue
		}
		ages[c.record.writer]++
		if c.age < sweptPerWriter {
			app.swept++
		}
		checks = append(checks, c)
	}
	sweep := r.sweepPeriod(interval)
	var due []check
	for _, c := range checks {
		if pause, ok := r.pause(&c, interval, sweep); ok && r.Clock.Since(c.record.readAt) >= pause {
			due = append(due, c)
		}
	}
	slices.SortFunc(due, func(a, b check) int {
		return cmp.Or(
			cmp.Compare(a.urgency, b.urgency), cmp.Compare(a.age, b.age), a.record.readAt.Compare(b.record.readAt),
			cmp.Compare(b.record.id, a.record.id),
		)
	})
	return due[:min(len(due), maxChecks)]
}

// pause sets the urgency of a check and returns how long after the last one it is due, or false if it never is.
func (r *repository) pause(c *check, interval, sweep time.Duration) (time.Duration, bool) {
	rec := c.record
	switch {
	case rec.readAt.IsZero() && len(rec.statuses) > 0:
		c.urgency = changed
		return 0, true
	case rec.readAt.IsZero():
		c.urgency = unread
		return 0, true
	case !rec.isFinal():
		// The longer a deployment has not changed, the less often it is checked.
		c.urgency = unfinished
		return min(max(interval, r.Clock.Since(rec.changed)/10), sweepInterval), true
	}
	c.urgency = routine
	return sweep, c.age < sweptPerWriter
}

// sweepPeriod returns the period of the sweep, which takes a quarter of the budget: at least the interval, and less
// than an hour.
func (r *repository) sweepPeriod(interval time.Duration) time.Duration {
	n := 0
	for _, app := range r.apps {
		n += app.swept
	}
	return min(max(interval, time.Duration(n)*time.Hour/time.Duration(max(r.budget/4, 1))), sweepInterval*3/4)
}

// readStatuses reads the statuses of a deployment.
func (r *repository) readStatuses(ctx context.Context, app *application, rec *record) error {
	list, err := r.listStatuses(ctx, rec.id)
	if errors.Is(err, remote.ErrGone) {
		app.forget(rec.id)
		return nil
	}
	if err != nil {
		return err
	}
	limit := perPage
	if app.statusCount() > maxStatuses {
		limit = fewStatuses
	}
	rec.setStatuses(list, limit, r.Clock.Now())
	app.version++
	return nil
}
