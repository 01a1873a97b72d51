package gitlab

import (
	"cmp"
	"context"
	"crypto/hmac"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// Backend is the view that one Environment has of a project. It is safe for use by several at once.
type Backend struct {
	place *place
	o     Options
}

var _ environment.Backend = (*Backend)(nil)

// view is the same while the place is locked, with the username of the token.
type view struct {
	*Backend
	self string
}

func (b *Backend) view(ctx context.Context) (*view, error) {
	self, err := b.place.self(ctx)
	return &view{Backend: b, self: self}, err
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.News, error) {
	unlock, err := b.place.lock(ctx)
	if err != nil {
		return environment.News{}, err
	}
	defer unlock()
	err = b.place.look(ctx, b.o.Interval)
	if b.place.at.IsZero() {
		return environment.News{}, err
	}
	v, unknown := b.view(ctx)
	if unknown != nil {
		return environment.News{}, unknown
	}
	return environment.News{At: b.place.at, Environments: v.tell(application)}, err
}

// tell makes news of what is known.
func (v *view) tell(application string) []environment.State {
	byName := map[string][]*record{}
	for _, r := range v.place.records {
		if r.Application == application {
			byName[r.Environment] = append(byName[r.Environment], r)
		}
	}
	var states []environment.State
	for name, records := range byName {
		states = append(states, v.tellOne(environment.State{Application: application, Environment: name}, records))
	}
	slices.SortFunc(states, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) })
	return states
}

// tellOne tells of one environment. How it stands to others is what was said last, by somebody who is trusted if there is one.
func (v *view) tellOne(s environment.State, records []*record) environment.State {
	words := v.words(records)
	for _, w := range words {
		d := w.deployment()
		if d.Doubt = w.doubt; d.Doubt != "" {
			d.Key = ""
		}
		s.Deployments = append(s.Deployments, d)
	}
	slices.SortFunc(s.Deployments, func(x, y environment.Deployment) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(y.ID, x.ID)) })
	r := v.foremost(records)
	s.After, s.Parallel, s.URL = slices.Clone(r.After), r.Parallel, r.URL
	return s
}

// foremost is the record that says how an environment stands to others.
func (v *view) foremost(records []*record) *record {
	return slices.MaxFunc(records, func(x, y *record) int {
		trusted := func(r *record) int { return min(len(v.doubt(r)), 1) }
		return cmp.Or(cmp.Compare(trusted(y), trusted(x)), x.updated.Compare(y.updated), cmp.Compare(y.snippet, x.snippet))
	})
}

// word is what somebody says of a deployment.
type word struct {
	*entry
	*record
	doubt string
}

// words are the words that count, one for each key: the last one of those who are trusted, if there is any.
func (v *view) words(records []*record) map[string]word {
	words := map[string]word{}
	for _, r := range records {
		doubt := v.doubt(r)
		for i := range r.Deployments {
			w := word{entry: &r.Deployments[i], record: r, doubt: doubt}
			if old, ok := words[w.Key]; !ok || w.beats(old) {
				words[w.Key] = w
			}
		}
	}
	return words
}

func (w word) beats(old word) bool {
	if vouched := w.doubt == ""; vouched != (old.doubt == "") {
		return vouched
	}
	return cmp.Or(cmp.Compare(w.Number, old.Number), w.updated.Compare(old.updated), cmp.Compare(old.snippet, w.snippet)) > 0
}

// doubt says why a record is no evidence; empty if it is.
func (v *view) doubt(r *record) string {
	unsigned := names(v.o.UnsignedActors, r.author)
	switch {
	case r.author == "" || !strings.EqualFold(r.author, v.self) && !names(v.o.TrustedActors, r.author) && !unsigned:
		return "said by " + cmp.Or(version.Clean(r.author, maxName), "nobody") + ", who is not trusted"
	case v.o.SignatureKey != nil && !unsigned && !hmac.Equal([]byte(r.signature), []byte(sign(v.o.SignatureKey, v.place.path, r.raw))):
		return "said by " + version.Clean(r.author, maxName) + " without the right signature"
	}
	return ""
}

// names compares usernames as GitLab does.
func names(list []string, username string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, username) })
}
