package github

import (
	"cmp"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// maxRecords bounds the deployments of an application that are kept.
	maxRecords = 3000
	// maxPerWriter bounds those of one login in one environment. The logins that no Backend trusts count as one.
	maxPerWriter = 100
	// maxStatuses is the number of statuses of an application above which only fewStatuses more are kept of each deployment.
	maxStatuses, fewStatuses = 20000, 10
	// maxLinks bounds the links in the statuses of one deployment, in bytes.
	maxLinks = 8 << 10
)

// record is what is known of one deployment.
type record struct {
	id                   int64
	creator, environment string
	message              string
	created, updated     time.Time
	number               int64
	payload              *payload
	writer               writer
	statuses             []status
	// readAt is when the statuses were read; zero if they never were, or may have changed since.
	readAt time.Time
	// changed is when the newest status was made, by the clock of GitHub.
	changed time.Time
}

// writer is a trusted login in an environment. All logins that no Backend trusts are the zero value.
type writer struct{ environment, login string }

var untrusted writer

// status is one that is about a bake.
type status struct {
	id      int64
	creator string
	made    time.Time
	url     string
	report  statusReport
}

// newRecord returns the record of a deployment and the name of its application, or nil if it is not one of Kuberik.
func newRecord(d *gh.Deployment) (name string, r *record) {
	name, short, ok := parseNames(d.GetTask(), d.GetEnvironment())
	if !ok || d.GetID() == 0 {
		return "", nil
	}
	p, number, err := parsePayload(d.Payload)
	if err != nil {
		return "", nil
	}
	return name, &record{
		id: d.GetID(), creator: loginOf(d.GetCreator()), environment: short, message: version.Clean(d.GetDescription(), maxText),
		created: stamp(d.CreatedAt), updated: stamp(d.UpdatedAt), changed: stamp(d.CreatedAt), number: number, payload: p,
	}
}

// at returns when it was decided, or else made.
func (r *record) at() time.Time {
	if r.payload.Kuberik != nil && !r.payload.Kuberik.At.IsZero() {
		return r.payload.Kuberik.At
	}
	return r.created
}

func newStatus(s *gh.DeploymentStatus) (status, bool) {
	report, ok := parseReport(s.GetState(), s.GetDescription(), cmp.Or(s.GetLogURL(), s.GetTargetURL()))
	if !ok || s.GetID() == 0 {
		return status{}, false
	}
	return status{
		id: s.GetID(), creator: loginOf(s.GetCreator()), made: stamp(s.CreatedAt), url: environment.SafeURL(s.GetEnvironmentURL()), report: report,
	}, true
}

// loginOf returns the login of a user, or "" if it is too long to be one.
func loginOf(u *gh.User) string {
	if login := u.GetLogin(); len(login) <= maxName {
		return login
	}
	return ""
}

// setStatuses keeps the newest of the statuses, at most limit of them.
func (r *record) setStatuses(list []*gh.DeploymentStatus, limit int, now time.Time) {
	statuses := make([]status, 0, min(len(list), limit))
	slices.SortStableFunc(list, func(x, y *gh.DeploymentStatus) int { return cmp.Compare(y.GetID(), x.GetID()) })
	links := maxLinks
	for _, s := range list {
		known, ok := newStatus(s)
		if links -= len(known.url); links < 0 {
			known.url = ""
		}
		if ok && len(statuses) < limit {
			statuses = append(statuses, known)
		}
		if made := stamp(s.CreatedAt); made.After(r.changed) {
			r.changed = made
		}
	}
	r.statuses, r.readAt = slices.Clip(statuses), now
}

// final reports whether the newest status usually stays. It decides what is read again, not what is evidence.
func (r *record) final() bool {
	s, ok := newest(r.statuses, func(status) bool { return true })
	return ok && s.report.state != v1alpha1.BakeDeploying && s.report.state != v1alpha1.BakeInProgress
}

// newest returns the last of the statuses that count. Among those with numbers it is the one with the highest, so that an old status that
// somebody repeats is not; other controllers write no numbers, and there the ID decides.
func newest(list []status, counts func(status) bool) (best status, ok bool) {
	var numbered, plain status
	for _, s := range list {
		switch {
		case !counts(s):
		case s.report.number == 0:
			if s.id > plain.id {
				plain = s
			}
		case s.report.number > numbered.report.number || s.report.number == numbered.report.number && s.id > numbered.id:
			numbered = s
		}
	}
	if plain.id > numbered.id {
		return plain, true
	}
	return numbered, numbered.id != 0
}

// application is what is known of one application.
type application struct {
	name    string
	records map[int64]*record
	// counts are the records of each writer.
	counts map[writer]int
	// forgotten reports whether deployments of untrusted logins were read and not kept.
	forgotten bool
	// version counts the changes.
	version int64

	// walked is when all deployments were last read, and walk the position of an unfinished walk.
	walked time.Time
	walk   position
	// refreshed is when the last refresh succeeded, and at is when the last one did that read everything that was due.
	refreshed, at time.Time
	// swept is the number of deployments whose statuses are read again although they should not change.
	swept int
}

func newApplication(name string) *application {
	return &application{name: name, records: map[int64]*record{}, counts: map[writer]int{}}
}

// add keeps a deployment. Above a limit it forgets another one: the oldest of the same writer, or of the one that has most.
func (a *application) add(r *record) {
	a.records[r.id] = r
	a.counts[r.writer]++
	a.version++
	full := r.writer
	if a.counts[full] <= maxPerWriter {
		if len(a.records) <= maxRecords {
			return
		}
		for w, n := range a.counts {
			if n > a.counts[full] {
				full = w
			}
		}
	}
	var oldest int64
	for id, other := range a.records {
		if other.writer == full && other != r && (oldest == 0 || id < oldest) {
			oldest = id
		}
	}
	a.forget(oldest)
	a.forgotten = a.forgotten || full == untrusted
}

// forget drops a deployment.
func (a *application) forget(id int64) {
	if r, ok := a.records[id]; ok {
		delete(a.records, id)
		a.counts[r.writer]--
		a.version++
	}
}

// regroup assigns the records to writers again, and makes the next refresh read what is missing of those that are trusted now. If some
// were forgotten, it reads all deployments again.
func (a *application) regroup(trusted map[string]bool) {
	a.refreshed = time.Time{}
	clear(a.counts)
	for _, r := range a.records {
		r.writer = writerOf(r, trusted)
		a.counts[r.writer]++
	}
	if a.forgotten {
		a.forgotten, a.walked, a.walk = false, time.Time{}, position{}
	}
}

// statusCount returns the number of statuses that are kept.
func (a *application) statusCount() (n int) {
	for _, r := range a.records {
		n += len(r.statuses)
	}
	return n
}

func writerOf(r *record, trusted map[string]bool) writer {
	if login := strings.ToLower(r.creator); login != "" && trusted[login] {
		return writer{r.environment, login}
	}
	return untrusted
}
