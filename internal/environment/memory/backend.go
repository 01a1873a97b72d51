package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// MaxText is how many bytes of a text are kept.
const MaxText = 1024

// Backend is the view that one cluster has of a Place.
type Backend struct {
	place *Place
	// trusted begins with the one whom it writes as.
	trusted []string

	mu   sync.Mutex
	last map[string]environment.News
}

// Backend makes a backend that writes as the actor, and trusts that one and the others.
func (p *Place) Backend(actor string, trusted ...string) *Backend {
	return &Backend{place: p, trusted: append([]string{actor}, trusted...), last: map[string]environment.News{}}
}

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	b.place.mu.Lock()
	defer b.place.mu.Unlock()
	var errs []error
	// Oldest first, so that what is interrupted leaves a history without gaps.
	for i, d := range slices.Backward(s.Deployments) {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		url := ""
		if i == 0 {
			url = s.URL
		}
		if err := b.publish(s, cut(d), url); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (b *Backend) publish(s environment.State, d environment.Deployment, url string) error {
	if d.Key == "" {
		return &environment.DeploymentError{ID: d.ID, Err: errors.New("the deployment has no key")}
	}
	r := b.place.find(s, d.Key, b.trusted)
	if r == nil {
		if revision := d.Version.Revision; revision != nil && b.place.rejected[*revision] {
			return &environment.DeploymentError{ID: d.ID, Err: fmt.Errorf("nobody knows the revision %s", *revision)}
		}
		r = &record{
			application: s.Application, environment: s.Environment, maker: b.trusted[0], deployment: d,
			after: slices.Clone(s.After), parallel: s.Parallel,
		}
		if err := b.place.effect(Create, func() { b.place.records = append(b.place.records, r) }); err != nil {
			return err
		}
	}
	now := word{speaker: b.trusted[0], url: url, deployment: d}
	if last, ok := r.last(b.trusted); ok && last.says(now) {
		return nil
	}
	return b.place.effect(Say, func() { r.said = append(r.said, now) })
}

// says whether two words are the same. What a deployment is does not change after it was made.
func (w word) says(other word) bool {
	a, b := w.deployment, other.deployment
	return (w.url == other.url || other.url == "") && a.State == b.State && a.StateMessage == b.StateMessage && a.Quarantine == b.Quarantine &&
		a.Attempt.Equal(b.Attempt) && a.AvailableSince.Equal(b.AvailableSince)
}

// last is the last word of those.
func (r *record) last(speakers []string) (word, bool) {
	for _, w := range slices.Backward(r.said) {
		if slices.Contains(speakers, w.speaker) {
			return w, true
		}
	}
	return word{}, false
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.News, error) {
	b.place.mu.Lock()
	defer b.place.mu.Unlock()
	var news environment.News
	err := ctx.Err()
	if err == nil {
		err = b.place.effect(Read, func() { news = b.tell(application) })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return b.last[application], err
	}
	b.last[application] = news
	return news, nil
}

func (b *Backend) tell(application string) environment.News {
	news := environment.News{At: b.place.clock.Now()}
	states := map[string]*environment.State{}
	for _, r := range b.place.records {
		if r.application != application {
			continue
		}
		s := states[r.environment]
		if s == nil {
			s = &environment.State{Application: application, Environment: r.environment}
			states[r.environment] = s
		}
		b.add(s, r)
		if !slices.Contains(b.trusted, r.maker) {
			news.Untrusted++
		}
	}
	for _, s := range states {
		slices.Reverse(s.Deployments) // of two of one second the later is the newer
		slices.SortStableFunc(s.Deployments, func(x, y environment.Deployment) int { return y.At.Compare(x.At) })
		news.Environments = append(news.Environments, *s)
	}
	slices.SortFunc(news.Environments, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) })
	return news
}

// add adds a deployment to what is told. Records come in the order in which they were made, so the last that is vouched for says how the
// environment stands to others.
func (b *Backend) add(s *environment.State, r *record) {
	d := r.deployment
	w, vouched := r.last(b.trusted)
	switch {
	case !slices.Contains(b.trusted, r.maker):
		d.Doubt, d.Key = fmt.Sprintf("made by %s, who is not trusted", r.maker), ""
		if n := len(r.said); n > 0 {
			w = r.said[n-1]
		}
	case !vouched:
		d.Doubt = "nobody who is trusted has said anything of it"
	default:
		s.After, s.Parallel = slices.Clone(r.after), r.parallel
		if w.url != "" {
			s.URL = w.url
		}
	}
	d.State, d.StateMessage, d.Quarantine = w.deployment.State, w.deployment.StateMessage, w.deployment.Quarantine
	d.Attempt, d.AvailableSince = w.deployment.Attempt, w.deployment.AvailableSince
	s.Deployments = append(s.Deployments, d)
}

func cut(d environment.Deployment) environment.Deployment {
	d.Message, d.StateMessage = version.Clean(d.Message, MaxText), version.Clean(d.StateMessage, MaxText)
	d.Quarantine = version.Clean(d.Quarantine, MaxText)
	d.Doubt, d.Order = "", 0
	return d
}
