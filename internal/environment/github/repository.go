package github

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	gh "github.com/google/go-github/v92/github"
	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

const (
	// sweep is how often everything is looked at again that should not have changed.
	sweep = time.Hour
	// swept is how many of the newest deployments of each environment are.
	swept = 2
	// maxAsk bounds the deployments whose statuses are asked for in one look at an application.
	maxAsk = 100
	// maxPages bounds how far back deployments are read, maxNews how many pages of new ones.
	maxPages, maxNews = 30, 10
	// maxKept bounds what is kept of one environment.
	maxKept = 100
	// breather is how long a failure is not tried again, so that a hundred Environments do not each wait for the same time-out.
	breather = 2 * time.Second
)

// repository is what is known of one, as its credentials see it.
type repository struct {
	api
	project string
	clock   clock.PassiveClock
	used    time.Time

	// turn is taken by whoever reads or writes: GitHub wants requests one after the other.
	turn chan struct{}
	apps map[string]*application
	// polled is when the newest deployments were looked at last, mark the newest of them.
	polled time.Time
	mark   int64
	// failed is when a look failed last, and why.
	failed  time.Time
	failure error
}

// application is what is known of one.
type application struct {
	name    string
	records map[int64]*record
	// walked is when all of it was looked at, looked when the last look began that found out everything, at is the date of that.
	walked, looked, at time.Time
	// rejected holds what GitHub did not take, by key.
	rejected map[string]rejection
	// version counts the changes.
	version int64
	// sweepable is how many deployments are swept.
	sweepable int
}

func newRepository(a *account, project string, o PoolOptions) *repository {
	return &repository{
		api: newAPI(a, project), project: project, clock: o.Clock, turn: make(chan struct{}, 1), apps: map[string]*application{},
	}
}

// lock waits for its turn. The function that it returns ends it.
func (r *repository) lock(ctx context.Context) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *repository) application(name string) *application {
	app := r.apps[name]
	if app == nil {
		app = &application{name: name, records: map[int64]*record{}, rejected: map[string]rejection{}}
		r.apps[name] = app
	}
	return app
}

// look brings what is known of an application up to date, if that is older than the interval.
func (r *repository) look(ctx context.Context, app *application, interval time.Duration) error {
	now := r.clock.Now()
	if !app.looked.IsZero() && now.Sub(app.looked) < interval {
		return nil
	}
	if err := r.recently(interval); err != nil {
		return err
	}
	late, err := r.lookNow(ctx, app, interval)
	if err != nil {
		r.fail(ctx, err)
		return err
	}
	app.looked, r.failure = now, nil
	if !late {
		app.at = now
	}
	return nil
}

// fail remembers a failure. What one deployment came to is none, and the guard remembers by itself when GitHub wants to be left alone.
func (r *repository) fail(ctx context.Context, err error) {
	var wait *environment.WaitError
	if ctx.Err() == nil && !errors.As(err, &wait) && !errors.Is(err, errGone) {
		r.failed, r.failure = r.clock.Now(), err
	}
}

// recently returns the failure of a moment ago. What was refused will not be different so soon.
func (r *repository) recently(interval time.Duration) error {
	now, pause := r.clock.Now(), min(breather, interval)
	var refused *environment.RefusedError
	if errors.As(r.failure, &refused) {
		pause = interval
	}
	if r.failure != nil && now.Sub(r.failed) < pause {
		return r.failure
	}
	return nil
}

// lookNow says whether some of what it should have looked at had to wait for too long.
func (r *repository) lookNow(ctx context.Context, app *application, interval time.Duration) (late bool, err error) {
	if _, err := r.self(ctx); err != nil {
		return false, err
	}
	if err := r.poll(ctx, interval); err != nil {
		return false, err
	}
	if err := r.walk(ctx, app); err != nil {
		return false, err
	}
	return r.ask(ctx, app, interval)
}

// poll looks at the newest deployments of the whole repository.
func (r *repository) poll(ctx context.Context, interval time.Duration) error {
	now := r.clock.Now()
	if !r.polled.IsZero() && now.Sub(r.polled) < interval {
		return nil
	}
	mark := r.mark
	for page := 1; page > 0 && page <= maxNews; {
		list, next, err := r.list(ctx, gh.DeploymentsListOptions{}, page)
		if err != nil {
			return err
		}
		for _, d := range list {
			mark = max(mark, d.GetID())
			r.note(d)
		}
		// The first time, what is on the next pages is what walks find.
		if r.polled.IsZero() || !slices.ContainsFunc(list, func(d *gh.Deployment) bool { return d.GetID() > r.mark }) {
			break
		}
		page = next
	}
	r.polled, r.mark = now, mark
	return nil
}

// walk looks at the deployments of an application: all of them the first time, and later as far as something changed.
func (r *repository) walk(ctx context.Context, app *application) error {
	now := r.clock.Now()
	first := app.walked.IsZero()
	if !first && now.Sub(app.walked) < sweep {
		return nil
	}
	for page := 1; page > 0 && page <= maxPages; {
		list, next, err := r.list(ctx, gh.DeploymentsListOptions{Task: taskOf(app.name)}, page)
		if err != nil {
			return err
		}
		news := false
		for _, d := range list {
			news = r.note(d) || news
		}
		if !first && !news {
			break
		}
		page = next
	}
	app.walked = now
	app.prune()
	return nil
}

// note takes in a deployment, and says whether there is anything new about it.
func (r *repository) note(d *gh.Deployment) bool {
	name, read := newRecord(d)
	app := r.apps[name]
	if read == nil || app == nil {
		return false
	}
	known := app.records[read.id]
	switch {
	case known == nil:
		app.records[read.id] = read
	case known.updated.Equal(read.updated):
		return false
	default:
		known.updated, known.asked = read.updated, time.Time{}
	}
	app.version++
	return true
}

// prune keeps the newest of each environment.
func (a *application) prune() {
	for id, rank := range a.ranks() {
		if rank >= maxKept {
			delete(a.records, id)
		}
	}
}

// ranks numbers the deployments of each environment, the newest with 0.
func (a *application) ranks() map[int64]int {
	ids := make([]int64, 0, len(a.records))
	for id := range a.records {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	counts, ranks := map[string]int{}, make(map[int64]int, len(ids))
	for _, id := range slices.Backward(ids) {
		name := a.records[id].environment
		ranks[id] = counts[name]
		counts[name]++
	}
	return ranks
}

// question is a deployment whose statuses are due, and how urgently.
type question struct {
	record        *record
	urgency, rank int
}

const (
	// changed since it was asked about: what was heard is no longer so.
	changed = iota
	// unheard was never asked about.
	unheard
	// unfinished will change.
	unfinished
	// routine should not have changed.
	routine
)

// ask asks for the statuses that are due. All but the newest of each environment wait while the budget is short, and all the more while the
// newest of other applications may be unknown.
func (r *repository) ask(ctx context.Context, app *application, interval time.Duration) (late bool, err error) {
	reserve := r.budget / 4
	if app.looked.IsZero() {
		reserve = r.budget / 2
	}
	for _, q := range r.due(app, interval) {
		if q.urgency > changed && (q.urgency == routine || q.rank > 0) && r.guard.left() <= reserve {
			late = late || !q.record.asked.IsZero() && r.clock.Since(q.record.asked) > 2*sweep
			continue
		}
		if err := r.hear(ctx, app, q.record); err != nil {
			return false, err
		}
	}
	return late, nil
}

func (r *repository) due(app *application, interval time.Duration) []question {
	now, ranks := r.clock.Now(), app.ranks()
	app.sweepable = 0
	for _, rank := range ranks {
		if rank < swept {
			app.sweepable++
		}
	}
	period := r.period(interval)
	var all []question
	for _, rec := range app.records {
		q := question{record: rec, rank: ranks[rec.id]}
		pause := time.Duration(0)
		switch {
		case rec.asked.IsZero() && len(rec.statuses) > 0:
			q.urgency = changed
		case rec.asked.IsZero():
			q.urgency = unheard
		case !rec.final():
			// What has not moved for a day will not move this minute.
			q.urgency, pause = unfinished, min(max(interval, now.Sub(rec.changed)/10), sweep)
		case q.rank < swept:
			q.urgency, pause = routine, period
		default:
			continue
		}
		if now.Sub(rec.asked) >= pause {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b question) int {
		return cmp.Or(cmp.Compare(a.urgency, b.urgency), cmp.Compare(a.rank, b.rank), a.record.asked.Compare(b.record.asked), cmp.Compare(b.record.id, a.record.id))
	})
	return portion(all, 1+int(2*time.Duration(app.sweepable)*interval/period))
}

// period of the sweep: with a quarter of the budget, but not more often than the interval, and so that everything has had its turn within an
// hour.
func (r *repository) period(interval time.Duration) time.Duration {
	n := 0
	for _, app := range r.apps {
		n += app.sweepable
	}
	return min(max(interval, time.Duration(n)*time.Hour/time.Duration(max(r.budget/4, 1))), sweep*3/4)
}

// portion takes the most urgent, and of the routine no more than its share, so that it is spread over its time.
func portion(all []question, share int) []question {
	first := slices.IndexFunc(all, func(q question) bool { return q.urgency == routine })
	if first >= 0 && len(all) > first+share {
		all = all[:first+share]
	}
	return all[:min(len(all), maxAsk)]
}

// hear asks for the statuses of a deployment.
func (r *repository) hear(ctx context.Context, app *application, rec *record) error {
	list, err := r.statuses(ctx, rec.id)
	if errors.Is(err, errGone) {
		delete(app.records, rec.id)
		app.version++
		return nil
	}
	if err != nil {
		return err
	}
	rec.hear(list, r.clock.Now())
	app.version++
	return nil
}
