package gitlab

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kuberik/kuberik/internal/environment"
)

const (
	// maxPages bounds how many snippets of a project are read.
	maxPages = 40
	// breather is how long a failure is not tried again, so that a hundred Environments do not each wait for the same time-out; refused
	// credentials are left alone for longer.
	breather, refusedFor = 2 * time.Second, 30 * time.Second
	// rejectedFor is how long what GitLab did not take is not sent again: somebody may push the commit that is missing.
	rejectedFor = 10 * time.Minute
)

// place is what is known of one project, as one token sees it.
type place struct {
	*account
	path string
	used time.Time

	// turn is taken by whoever reads or writes.
	turn    chan struct{}
	records []*record
	// at is when the records were read last, and looks how often.
	at    time.Time
	looks int
	// until when a failure is not tried again.
	until   time.Time
	failure error
	// rejected holds what GitLab did not take, by key.
	rejected map[string]rejection
}

// rejection is what GitLab did not take.
type rejection struct {
	until time.Time
	err   error
}

func newPlace(a *account, path string) *place {
	return &place{account: a, path: path, turn: make(chan struct{}, 1), rejected: map[string]rejection{}}
}

func (in *place) lock(ctx context.Context) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case in.turn <- struct{}{}:
		return func() { <-in.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// look reads the records, unless they were read within the interval.
func (in *place) look(ctx context.Context, interval time.Duration) error {
	now := in.clock.Now()
	if !in.at.IsZero() && now.Before(in.at.Add(interval)) {
		return nil
	}
	if err := in.recently(); err != nil {
		return err
	}
	records, err := in.read(ctx)
	if err != nil {
		in.fail(ctx, err)
		return err
	}
	in.records, in.at, in.looks = records, now, in.looks+1
	return nil
}

// recently is the failure that is not tried again yet.
func (in *place) recently() error {
	if in.clock.Now().Before(in.until) {
		return in.failure
	}
	return nil
}

// fail remembers a failure, unless it is that of somebody who does not wait any more.
func (in *place) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	now := in.clock.Now()
	in.failure, in.until = err, now.Add(breather)
	var refused *environment.RefusedError
	if errors.As(err, &refused) {
		in.until = now.Add(refusedFor)
	}
}

// read reads every snippet. Half of an answer is none.
func (in *place) read(ctx context.Context) ([]*record, error) {
	var records []*record
	for page := int64(1); page > 0 && page <= maxPages; {
		list, next, err := in.snippets(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			// What is made in the meantime moves others to the next page.
			r := parse(s)
			if r != nil && !slices.ContainsFunc(records, func(known *record) bool { return known.snippet == r.snippet }) {
				records = append(records, r)
			}
		}
		records = fit(records, maxKept)
		page = next
	}
	return records, nil
}

// keep takes in a record that was just written.
func (in *place) keep(r *record) {
	in.records = slices.DeleteFunc(slices.Clone(in.records), func(old *record) bool { return old.snippet == r.snippet })
	in.records = append(in.records, r)
}
