package github

import (
	"cmp"
	"strings"
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
		id: d.GetID(), creator: d.GetCreator().GetLogin(), environment: short, message: version.Clean(d.GetDescription(), maxText),
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
		id: s.GetID(), creator: s.GetCreator().GetLogin(), made: stamp(s.CreatedAt), url: safeURL(s.GetEnvironmentURL()), word: w,
	}, true
}

// hear takes in what was said of a deployment.
func (r *record) hear(list []*gh.DeploymentStatus, now time.Time) {
	statuses := make([]status, 0, len(list))
	for _, s := range list {
		if known, ok := newStatus(s); ok {
			statuses = append(statuses, known)
		}
		if made := stamp(s.CreatedAt); made.After(r.changed) {
			r.changed = made
		}
	}
	r.statuses, r.asked = statuses, now
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
