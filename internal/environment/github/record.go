package github

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// record is what is known of one deployment.
type record struct {
	id                   int64
	creator, environment string
	message              string
	created, updated     time.Time
	number               int64
	payload              *payload
	statuses             []status
	// asked is when the statuses were read; zero if they never were, or may have changed since.
	asked time.Time
	// changed is when the newest of them was made, as GitHub says.
	changed time.Time
}

// status is one that is about a bake.
type status struct {
	id      int64
	creator string
	made    time.Time
	url     string
	word    word
}

// newRecord reads a deployment. It returns nil if it is none of kuberik.
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

// at is when it was decided, as far as it says.
func (r *record) at() time.Time {
	if r.payload.Kuberik != nil && !r.payload.Kuberik.At.IsZero() {
		return r.payload.Kuberik.At
	}
	return r.created
}

func newStatus(s *gh.DeploymentStatus) (status, bool) {
	w, ok := parseWord(s.GetState(), s.GetDescription(), cmp.Or(s.GetLogURL(), s.GetTargetURL()))
	if !ok || s.GetID() == 0 {
		return status{}, false
	}
	return status{
		id: s.GetID(), creator: loginOf(s.GetCreator()), made: stamp(s.CreatedAt), url: safeURL(s.GetEnvironmentURL()), word: w,
	}, true
}

// loginOf is who did something. What is too long for a login is nobody's.
func loginOf(u *gh.User) string {
	if login := u.GetLogin(); len(login) <= maxName {
		return login
	}
	return ""
}

// hear takes in what was said of a deployment, the newest of it first.
func (r *record) hear(list []*gh.DeploymentStatus, most int, now time.Time) {
	statuses := make([]status, 0, min(len(list), most))
	slices.SortStableFunc(list, func(x, y *gh.DeploymentStatus) int { return cmp.Compare(y.GetID(), x.GetID()) })
	links := maxLinks
	for _, s := range list {
		known, ok := newStatus(s)
		if links -= len(known.url); links < 0 {
			known.url = ""
		}
		if ok && len(statuses) < most {
			statuses = append(statuses, known)
		}
		if made := stamp(s.CreatedAt); made.After(r.changed) {
			r.changed = made
		}
	}
	r.statuses, r.asked = slices.Clip(statuses), now
}

// final says whether the newest status is one that usually stays. Whoever made it: this is about what to ask, not about what to believe.
func (r *record) final() bool {
	s, ok := newest(r.statuses, func(status) bool { return true })
	if !ok {
		return false
	}
	return s.word.state != v1alpha1.BakeDeploying && s.word.state != v1alpha1.BakeInProgress
}

// newest is the last word of those that count. Among those with numbers the highest is the newest, so that an old one that somebody repeats
// is not; the controllers of others give none, and time decides.
func newest(list []status, counts func(status) bool) (best status, ok bool) {
	var numbered, plain status
	for _, s := range list {
		switch {
		case !counts(s):
		case s.word.number == 0:
			if s.id > plain.id {
				plain = s
			}
		case s.word.number > numbered.word.number || s.word.number == numbered.word.number && s.id > numbered.id:
			numbered = s
		}
	}
	if plain.id > numbered.id {
		return plain, true
	}
	return numbered, numbered.id != 0
}

func safeURL(u string) string {
	if (strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")) && version.Clean(u, 2048) == u {
		return u
	}
	return ""
}

const (
	// maxRecords and maxEnvironments bound what is kept of one application.
	maxRecords, maxEnvironments = 3000, 200
	// maxKept bounds what is kept of one creator in one environment, and maxStrangers the creators there that nobody here trusts.
	maxKept, maxStrangers = 100, 10
	// maxSaid is after how many statuses of an application only fewSaid more are kept of each deployment.
	maxSaid, fewSaid = 20000, 10
	// maxLinks bounds the links in the statuses of one deployment, in bytes.
	maxLinks = 8 << 10
)

// friends are the logins that some Backend of a repository trusts. What they made may be evidence, and is not given up for a stranger's.
type friends struct {
	mu     sync.Mutex
	logins map[string]bool
	// more says whether there were new ones.
	more bool
}

// befriend adds logins.
func (f *friends) befriend(logins ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, login := range logins {
		// As GitHub compares them.
		if login = strings.ToLower(login); !f.logins[login] {
			f.logins[login], f.more = true, true
		}
	}
}

// met says once whether there are new ones.
func (f *friends) met() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	more := f.more
	f.more = false
	return more
}

func (f *friends) all() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.logins)
}

// reconsider looks at everything again where something was given up, if somebody is trusted now who was not then.
func (r *repository) reconsider() {
	if !r.friends.met() {
		return
	}
	for _, app := range r.apps {
		if app.dropped {
			app.dropped, app.walked, app.walk = false, time.Time{}, position{}
		}
	}
}

func (a *application) add(r *record) {
	a.records[r.id] = r
	a.environments[r.environment]++
}

// forget drops a deployment.
func (a *application) forget(id int64) {
	r, ok := a.records[id]
	if !ok {
		return
	}
	delete(a.records, id)
	a.said -= len(r.statuses)
	a.version++
	if a.environments[r.environment]--; a.environments[r.environment] <= 0 {
		delete(a.environments, r.environment)
	}
}

// rank is which of a creator's deployments in an environment one is, the newest with 0. All strangers count as one creator, so that with many
// names there is no more to ask about.
type rank struct {
	number int
	friend bool
}

// origin is an environment and a creator, empty for all strangers.
type origin struct{ environment, creator string }

func (a *application) ranks(f *friends) map[int64]rank {
	known := f.all()
	counts, ranks := map[origin]int{}, make(map[int64]rank, len(a.records))
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(a.records))) {
		from := origin{a.records[id].environment, strings.ToLower(a.records[id].creator)}
		friend := known[from.creator]
		if !friend {
			from.creator = ""
		}
		ranks[id] = rank{counts[from], friend}
		counts[from]++
	}
	return ranks
}

// prune keeps the newest of each creator in each environment, those of friends first. One of them stays in any case.
func (a *application) prune(f *friends, stays int64) {
	ranks := a.ranks(f)
	ids := slices.SortedFunc(maps.Keys(a.records), func(x, y int64) int {
		if x == stays || y == stays {
			return truth(y == stays) - truth(x == stays)
		}
		return cmp.Or(truth(ranks[y].friend)-truth(ranks[x].friend), cmp.Compare(ranks[x].number, ranks[y].number), cmp.Compare(y, x))
	})
	q := quota{left: maxRecords, environments: map[string]int{}, creators: map[origin]int{}}
	if len(ids) > maxRecords {
		// So that this does not come up again at once.
		q.left -= perPage
	}
	for _, id := range ids {
		if !q.take(a.records[id], ranks[id].friend) {
			a.forget(id)
			a.dropped = true
		}
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quota is what there is room for.
type quota struct {
	left int
	// environments holds how many strangers there are in each, and creators how many deployments of each.
	environments map[string]int
	creators     map[origin]int
}

func (q *quota) take(r *record, friend bool) bool {
	from := origin{r.environment, strings.ToLower(r.creator)}
	strangers, known := q.environments[from.environment]
	newcomer := !friend && q.creators[from] == 0
	switch {
	case q.left == 0, !known && len(q.environments) == maxEnvironments, q.creators[from] == maxKept, newcomer && strangers == maxStrangers:
		return false
	}
	q.left--
	q.creators[from]++
	q.environments[from.environment] = strangers + truth(newcomer)
	return true
}
