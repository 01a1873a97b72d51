package gitlab

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

const (
	// maxPages bounds the snippets of a project that are read.
	maxPages = 40
	// maxRecords bounds the cached records of a project, in bytes.
	maxRecords = 16 << 20
)

// project is what one account has cached of a project.
type project struct {
	*account
	*remote.Project

	records []*record
	// at is when the records were last read, and reads how often they were.
	at    time.Time
	reads int
}

func newProject(a *account, p *remote.Project) *project { return &project{account: a, Project: p} }

// unlock releases the lock of the project.
func (in *project) unlock() {
	size := 0
	for _, r := range in.records {
		size += r.size()
	}
	in.Unlock(size)
}

// refresh reads the records if they are older than maxAge. A failure is retried after the interval.
func (in *project) refresh(ctx context.Context, maxAge, interval time.Duration) error {
	now := in.Clock.Now()
	if !in.at.IsZero() && now.Before(in.at.Add(maxAge)) {
		return nil
	}
	if err := in.Failure(); err != nil {
		return err
	}
	records, err := in.list(ctx)
	if err != nil {
		in.Failed(ctx, err, interval)
		return err
	}
	in.records, in.at, in.reads = records, now, in.reads+1
	return nil
}

// list reads all snippets. A partial listing is discarded.
func (in *project) list(ctx context.Context) ([]*record, error) {
	var records []*record
	for page := int64(1); page > 0 && page <= maxPages; {
		list, next, err := in.snippets(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			// A snippet that is created between two requests moves another one to the next page.
			r := parse(s)
			if r != nil && !slices.ContainsFunc(records, func(known *record) bool { return known.snippet == r.snippet }) {
				records = append(records, r)
			}
		}
		records = trim(records, maxRecords)
		page = next
	}
	return records, nil
}

// replace replaces the record of a snippet.
func (in *project) replace(r *record) {
	in.records = slices.DeleteFunc(slices.Clone(in.records), func(old *record) bool { return old.snippet == r.snippet })
	in.records = append(in.records, r)
}

// size returns about how much memory a record takes, in bytes.
func (r *record) size() int { return 2*len(r.raw) + 1024 }

// trim drops records until the rest takes at most limit bytes. Each time, it drops the largest record of the login with
// the most bytes, so that a login cannot displace the records of others.
func trim(records []*record, limit int) []*record {
	total, sizes := 0, map[string]int{}
	for _, r := range records {
		total += r.size()
		sizes[strings.ToLower(r.author)] += r.size()
	}
	for total > limit {
		most := slices.MaxFunc(slices.Sorted(maps.Keys(sizes)), func(x, y string) int { return sizes[x] - sizes[y] })
		largest := -1
		for i, r := range records {
			if strings.EqualFold(r.author, most) && (largest < 0 || r.size() > records[largest].size()) {
				largest = i
			}
		}
		if largest < 0 {
			return nil
		}
		sizes[most] -= records[largest].size()
		total -= records[largest].size()
		records = slices.Delete(records, largest, largest+1)
	}
	return records
}
