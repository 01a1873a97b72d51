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
	// swept is how many of the newest deployments of each creator in each environment are; strangers are one.
	swept = 2
	// maxAsk bounds the deployments whose statuses are asked for in one look at an application.
	maxAsk = 100
	// maxAskStrangers bounds those of them that nobody here trusts, which are no evidence whatever their statuses say.
	maxAskStrangers = 20
	// maxDeployments bounds how far back deployments are read, maxNews how many new ones.
	maxDeployments, maxNews = 3000, 1000
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
	// pollSize is how many of them fit a page.
	pollSize int
	// failed is when a look failed last, and why.
	failed  time.Time
	failure error

	friends
}

// application is what is known of one.
type application struct {
	name    string
	records map[int64]*record
	// walked is when all of it was looked at, looked when the last look began that found out everything, at is the date of that.
	walked, looked, at time.Time
	// walk is how far the one got that is not finished.
	walk position
	// environments counts the records of each, and said is how many statuses there are.
	environments map[string]int
	said         int
	// dropped says whether there was more than is kept.
	dropped bool
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
		friends: friends{logins: map[string]bool{}},
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
		app = &application{name: name, records: map[int64]*record{}, rejected: map[string]rejection{}, environments: map[string]int{}}
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
	login, err := r.self(ctx)
	if err != nil {
		return false, err
	}
	r.befriend(login)
	r.reconsider()
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
	mark, at := r.mark, position{size: r.pollSize}
	for more := true; more && at.read < maxNews; {
		var list []*gh.Deployment
		var err error
		list, more, err = r.page(ctx, gh.DeploymentsListOptions{}, &at)
		r.pollSize = at.size
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
	}
	r.polled, r.mark = now, mark
	return nil
}

// walk looks at the deployments of an application: all of them the first time, and later as far as something changed. One that is
// interrupted is gone on with, since whoever asks may not have the time for all of it; what comes in between is what polls find.
func (r *repository) walk(ctx context.Context, app *application) error {
	now := r.clock.Now()
	first := app.walked.IsZero()
	if !first && now.Sub(app.walked) < sweep {
		return nil
	}
	if now.Sub(app.walk.at) > 2*sweep {
		app.walk = position{}
	}
	for more := true; more && app.walk.read < maxDeployments; {
		var list []*gh.Deployment
		var err error
		if list, more, err = r.page(ctx, gh.DeploymentsListOptions{Task: taskOf(app.name)}, &app.walk); err != nil {
			return err
		}
		app.walk.at = now
		news := false
		for _, d := range list {
			news = r.note(d) || news
		}
		if !first && !news {
			break
		}
	}
	app.walk, app.walked = position{}, now
	app.prune(&r.friends, 0)
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
		app.add(read)
		if len(app.records) > maxRecords || len(app.environments) > maxEnvironments {
			app.prune(&r.friends, read.id)
		}
	case known.updated.Equal(read.updated):
		return false
	default:
		known.updated, known.asked = read.updated, time.Time{}
	}
	app.version++
	return true
}

// question is a deployment whose statuses are due, and how urgently.
type question struct {
	rank
	record  *record
	urgency int
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
// newest of other applications may be unknown. Nobody's flood of deployments spends what the others need.
func (r *repository) ask(ctx context.Context, app *application, interval time.Duration) (late bool, err error) {
	reserve := r.budget / 4
	if app.looked.IsZero() {
		reserve = r.budget / 2
	}
	for _, q := range r.due(app, interval) {
		if left := r.guard.left(); q.waits(left <= reserve, left <= r.budget*3/4) {
			late = late || q.friend && !q.record.asked.IsZero() && r.clock.Since(q.record.asked) > 2*sweep
			continue
		}
		if err := r.hear(ctx, app, q.record); err != nil {
			return false, err
		}
	}
	return late, nil
}

// waits says whether the question has to, when the budget is short or no longer plenty.
func (q question) waits(short, scarce bool) bool {
	if !q.friend {
		return scarce
	}
	return short && q.urgency > changed && (q.urgency == routine || q.number > 0)
}

func (r *repository) due(app *application, interval time.Duration) []question {
	ranks := app.ranks(&r.friends)
	app.sweepable = 0
	for _, at := range ranks {
		if at.number < swept {
			app.sweepable++
		}
	}
	period := r.period(interval)
	var friends, strangers []question
	for _, rec := range app.records {
		q := question{record: rec, rank: ranks[rec.id]}
		pause, ok := r.pause(&q, interval, period)
		switch {
		case !ok || r.clock.Since(rec.asked) < pause:
		case q.friend:
			friends = append(friends, q)
		default:
			strangers = append(strangers, q)
		}
	}
	share := 1 + int(2*time.Duration(app.sweepable)*interval/period)
	return append(portion(friends, share, maxAsk), portion(strangers, share, maxAskStrangers)...)
}

// pause finds out how urgent a question is, and how long after it was asked it is asked again; no if that is never.
func (r *repository) pause(q *question, interval, period time.Duration) (time.Duration, bool) {
	rec := q.record
	switch {
	case rec.asked.IsZero() && len(rec.statuses) > 0:
		q.urgency = changed
		return 0, true
	case rec.asked.IsZero():
		q.urgency = unheard
		return 0, true
	case !rec.final():
		// What has not moved for a day will not move this minute.
		q.urgency = unfinished
		return min(max(interval, r.clock.Since(rec.changed)/10), sweep), true
	}
	q.urgency = routine
	return period, q.number < swept
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
func portion(all []question, share, most int) []question {
	slices.SortFunc(all, func(a, b question) int {
		return cmp.Or(cmp.Compare(a.urgency, b.urgency), cmp.Compare(a.number, b.number), a.record.asked.Compare(b.record.asked), cmp.Compare(b.record.id, a.record.id))
	})
	first := slices.IndexFunc(all, func(q question) bool { return q.urgency == routine })
	if first >= 0 && len(all) > first+share {
		all = all[:first+share]
	}
	return all[:min(len(all), most)]
}

// hear asks for the statuses of a deployment.
func (r *repository) hear(ctx context.Context, app *application, rec *record) error {
	list, err := r.statuses(ctx, rec.id)
	if errors.Is(err, errGone) {
		app.forget(rec.id)
		return nil
	}
	if err != nil {
		return err
	}
	before, most := len(rec.statuses), perPage
	if app.said > maxSaid {
		most = fewSaid
	}
	rec.hear(list, most, r.clock.Now())
	app.said += len(rec.statuses) - before
	app.version++
	return nil
}
