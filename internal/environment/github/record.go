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
	// maxRecords bounds the deployments of an application that are cached.
	maxRecords = 3000
	// maxPerWriter bounds those of one login in one environment. All untrusted logins count as one.
	maxPerWriter = 100
	// Above maxStatuses statuses of an application, only fewStatuses of each deployment are cached.
	maxStatuses, fewStatuses = 20000, 10
	// maxLinks bounds the links in the statuses of one deployment, in bytes.
	maxLinks = 8 << 10
)

// record is a cached deployment.
type record struct {
	id                   int64
	creator, environment string
	message              string
	created, updated     time.Time
	number               int64
	payload              *payload
	writer               writer
	statuses             []status
	// readAt is when the statuses were read; zero if they were not, or may have changed since.
	readAt time.Time
	// changed is when the newest status was created, by the clock of GitHub.
	changed time.Time
}

// writer is a trusted login in an environment. All logins that no Backend trusts are the zero value.
type writer struct{ environment, login string }

var untrusted writer

// status is a status about a bake.
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
		id: d.GetID(), creator: loginOf(d.GetCreator()), environment: short,
		message: version.Clean(d.GetDescription(), maxText),
		created: timeOf(d.CreatedAt), updated: timeOf(d.UpdatedAt), changed: timeOf(d.CreatedAt), number: number, payload: p,
	}
}

// at returns when the deployment was decided, or else created.
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
		id: s.GetID(), creator: loginOf(s.GetCreator()), made: timeOf(s.CreatedAt),
		url: environment.SafeURL(s.GetEnvironmentURL()), report: report,
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
		if made := timeOf(s.CreatedAt); made.After(r.changed) {
			r.changed = made
		}
	}
	r.statuses, r.readAt = slices.Clip(statuses), now
}

// isFinal reports whether the newest status usually stays. It determines how often the statuses are read, not what is
// evidence.
func (r *record) isFinal() bool {
	s, ok := newest(r.statuses, func(status) bool { return true })
	return ok && s.report.state != v1alpha1.BakeDeploying && s.report.state != v1alpha1.BakeInProgress
}

// newest returns the newest of the statuses that count. Among statuses with numbers it is the one with the highest
// number, so that a repeated old status does not count. Other controllers write no numbers, and the ID decides.
func newest(list []status, counts func(status) bool) (best status, ok bool) {
	var numbered, unnumbered status
	for _, s := range list {
		switch {
		case !counts(s):
		case s.report.number == 0:
			if s.id > unnumbered.id {
				unnumbered = s
			}
		case s.report.number > numbered.report.number || s.report.number == numbered.report.number && s.id > numbered.id:
			numbered = s
		}
	}
	if unnumbered.id > numbered.id {
		return unnumbered, true
	}
	return numbered, numbered.id != 0
}

// application is what is cached of one application.
type application struct {
	name    string
	records map[int64]*record
	// counts are the records of each writer.
	counts map[writer]int
	// forgotten reports whether deployments of untrusted logins were dropped.
	forgotten bool
	// version counts the changes.
	version int64
	// bytes is the size of the version sized.
	bytes int
	sized int64

	// walked is when all deployments were last read, and walk the position of an unfinished walk.
	walked time.Time
	walk   position
	// refreshed is when the last refresh succeeded, and at is when the last complete one did.
	refreshed, at time.Time
	// swept is the number of deployments with final statuses that are checked regularly.
	swept int
}

func newApplication(name string) *application {
	return &application{name: name, records: map[int64]*record{}, counts: map[writer]int{}}
}

// add caches a deployment. Above a limit it drops the oldest one of the same writer, or of the writer with the most.
func (a *application) add(r *record) {
	a.records[r.id] = r
	a.counts[r.writer]++
	a.version++
	largest := r.writer
	if a.counts[largest] <= maxPerWriter {
		if len(a.records) <= maxRecords {
			return
		}
		for w, n := range a.counts {
			if n > a.counts[largest] {
				largest = w
			}
		}
	}
	var oldest int64
	for id, other := range a.records {
		if other.writer == largest && other != r && (oldest == 0 || id < oldest) {
			oldest = id
		}
	}
	a.forget(oldest)
	a.forgotten = a.forgotten || largest == untrusted
}

// forget drops a deployment.
func (a *application) forget(id int64) {
	if r, ok := a.records[id]; ok {
		delete(a.records, id)
		a.counts[r.writer]--
		a.version++
	}
}

// regroup assigns the records to writers again after the trusted logins have changed. The next refresh reads their
// statuses, and all deployments if some were dropped.
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

// size returns about how much memory the application takes, in bytes.
func (a *application) size() int {
	if a.sized != a.version || a.bytes == 0 {
		a.bytes, a.sized = 1024, a.version
		for _, r := range a.records {
			a.bytes += 2048
			for _, s := range r.statuses {
				a.bytes += 512 + len(s.url)
			}
		}
	}
	return a.bytes
}

// statusCount returns the number of cached statuses.
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
