package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// rejectedFor is how long what GitHub did not take is not sent again: somebody may push the commit that is missing.
	rejectedFor = 10 * time.Minute
	// maxFailures is after how many failures in a row the rest of a history is left for the next time.
	maxFailures = 3
)

// rejection is what GitHub did not take.
type rejection struct {
	// revision that was sent: another one is another question.
	revision string
	// what was sent: empty for a deployment itself, and the word for a status.
	what  string
	until time.Time
	err   error
}

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	unlock, err := b.repository.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if len(s.Deployments) == 0 {
		return nil
	}
	if err := b.repository.recently(b.o.Interval); err != nil {
		return err
	}
	p, err := b.begin(ctx, s)
	if err != nil {
		b.repository.fail(ctx, err)
		return err
	}
	var errs []error
	failures := 0
	// Oldest first, since GitHub takes what was made last for the newest.
	for i, d := range slices.Backward(s.Deployments) {
		err := p.publish(ctx, d, i == 0)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		var one *environment.DeploymentError
		if errors.As(err, &one) {
			continue
		}
		b.repository.fail(ctx, err)
		if failures++; failures == maxFailures || final(ctx, err) {
			break
		}
	}
	return errors.Join(errs...)
}

// final says whether there is no point in going on.
func final(ctx context.Context, err error) bool {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	return ctx.Err() != nil || errors.As(err, &wait) || errors.As(err, &refused)
}

// publication is one environment being published.
type publication struct {
	*Backend
	app   *application
	name  string
	state environment.State
}

// begin finds out whatever is not known yet. In the course of things, that is nothing.
func (b *Backend) begin(ctx context.Context, s environment.State) (*publication, error) {
	if err := b.learn(ctx); err != nil {
		return nil, err
	}
	name := deploymentName(s.Application)
	app := b.repository.application(name)
	now := b.repository.clock.Now()
	maps.DeleteFunc(app.rejected, func(_ string, r rejection) bool { return !now.Before(r.until) })
	b.repository.reconsider()
	if app.walked.IsZero() {
		if err := b.repository.poll(ctx, b.o.Interval); err != nil {
			return nil, err
		}
		if err := b.repository.walk(ctx, app); err != nil {
			return nil, err
		}
	}
	return &publication{Backend: b, app: app, name: name, state: s}, nil
}

func (p *publication) publish(ctx context.Context, d environment.Deployment, newest bool) error {
	if d.Key == "" {
		return &environment.DeploymentError{ID: d.ID, Err: errors.New("the deployment has no key")}
	}
	said := newWord(d)
	state, text := said.phrase()
	if old, ok := p.app.rejected[d.Key]; ok && old.revision == revisionOf(d) && (old.what == "" || old.what == state+text) {
		return old.err
	}
	r, err := p.find(ctx, d)
	if err == nil && r == nil {
		r, err = p.create(ctx, d)
	}
	if err != nil {
		return p.reject(d, "", err)
	}
	if r.asked.IsZero() {
		if err := p.repository.hear(ctx, p.app, r); err != nil {
			return err
		}
	}
	return p.reject(d, state+text, p.say(ctx, r, said, newest))
}

// reject remembers what GitHub did not take.
func (p *publication) reject(d environment.Deployment, what string, err error) error {
	var no *rejectedError
	if !errors.As(err, &no) {
		if err == nil {
			delete(p.app.rejected, d.Key)
		}
		return err
	}
	err = &environment.DeploymentError{ID: d.ID, Err: fmt.Errorf("publishing %s: %w", version.Clean(d.Version.Tag, maxText), no)}
	p.app.rejected[d.Key] = rejection{revision: revisionOf(d), what: what, until: p.repository.clock.Now().Add(rejectedFor), err: err}
	return err
}

// revisionOf is the revision of a deployment. It is read from the image, and so may come later than the deployment itself.
func revisionOf(d environment.Deployment) string {
	if d.Version.Revision == nil {
		return ""
	}
	return *d.Version.Revision
}

// find finds the deployment among those that are known, and then at GitHub itself: the answer to the request that made it may have been lost.
func (p *publication) find(ctx context.Context, d environment.Deployment) (*record, error) {
	if r := p.own(d); r != nil {
		return r, nil
	}
	if revisionOf(d) == "" {
		return nil, &rejectedError{"the image names no revision, and GitHub has no deployments without: set the annotation org.opencontainers.image.revision"}
	}
	o := gh.DeploymentsListOptions{
		Ref: refOf(*d.Version.Revision), Task: taskOf(p.name), Environment: environmentOf(p.name, p.state.Environment),
	}
	var at position
	for more := true; more && at.read < maxDeployments; {
		var list []*gh.Deployment
		var err error
		if list, more, err = p.repository.page(withoutCache(ctx), o, &at); err != nil {
			return nil, err
		}
		for _, found := range list {
			p.repository.note(found)
		}
	}
	return p.own(d), nil
}

// own is the oldest deployment that is vouched for and has the key. Without signatures, it may also be one that the controller of others made
// for the same entry of the history, before we came.
func (p *publication) own(d environment.Deployment) (best *record) {
	for _, r := range p.app.records {
		if r.environment != p.state.Environment || p.doubt(p.name, r) != "" {
			continue
		}
		key := r.payload.key()
		if key == d.Key || key == "" && p.o.SignatureKey == nil && inherited(r, d) {
			if best == nil || r.id < best.id {
				best = r
			}
		}
	}
	return best
}

func inherited(r *record, d environment.Deployment) bool {
	theirs, ours := r.payload.Version.Revision, d.Version.Revision
	return r.number == d.ID && r.payload.Version.Tag == d.Version.Tag && theirs != nil && ours != nil && *theirs == *ours
}

func (p *publication) create(ctx context.Context, d environment.Deployment) (*record, error) {
	body := newPayload(p.state, d)
	if p.o.SignatureKey != nil {
		body.Kuberik.Signature = signDeployment(p.o.SignatureKey, p.subject(p.name, p.state.Environment, body))
	}
	made, err := p.repository.create(ctx, gh.DeploymentRequest{
		Ref: refOf(*d.Version.Revision), Task: new(taskOf(p.name)), Environment: new(environmentOf(p.name, p.state.Environment)),
		Description: new(strings.TrimSpace(version.Clean(d.Message, maxText))), Payload: body,
		AutoMerge: new(false), RequiredContexts: []string{}, ProductionEnvironment: new(p.state.Environment == "production"),
	})
	if err != nil {
		return nil, err
	}
	p.repository.note(made)
	r := p.own(d)
	if r == nil {
		return nil, errors.New("GitHub made a deployment that is not the one that was asked for")
	}
	r.asked = p.repository.clock.Now()
	return r, nil
}

// say makes the newest status that counts the one that it should be.
func (p *publication) say(ctx context.Context, r *record, said word, newestOne bool) error {
	last, ok := newest(r.statuses, func(s status) bool { return p.doubtStatus(p.name, r, s) == "" })
	link := ""
	if newestOne {
		link = safeURL(p.state.URL)
	}
	if ok && last.word.same(said) && (link == "" || link == last.url) {
		return nil
	}
	said.number = p.lastNumber(r) + 1
	if p.o.SignatureKey != nil {
		said.signature = signWord(p.o.SignatureKey, p.subject(p.name, r.environment, r.payload), said)
	}
	state, text := said.phrase()
	request := gh.DeploymentStatusRequest{
		State: state, Description: &text, LogURL: new(said.logURL(p.web())), Environment: new(environmentOf(p.name, r.environment)),
	}
	if link != "" {
		request.EnvironmentURL = &link
	}
	made, err := p.repository.say(ctx, r.id, request)
	if err != nil {
		// It may have been said, or the deployment be gone.
		r.asked = time.Time{}
		if errors.Is(err, errGone) {
			p.app.forget(r.id)
		}
		return err
	}
	if s, ok := newStatus(made); ok {
		r.statuses = append(r.statuses, s)
		p.app.said++
		r.changed = s.made
	}
	p.app.version++
	return nil
}

// lastNumber is the highest of the words that count.
func (p *publication) lastNumber(r *record) (last int64) {
	for _, s := range r.statuses {
		if p.doubtStatus(p.name, r, s) == "" {
			last = max(last, s.word.number)
		}
	}
	return last
}

// web is a page about the deployments of the repository.
func (b *Backend) web() string {
	u, err := url.Parse(b.o.APIURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + strings.TrimPrefix(u.Host, "api.") + "/" + b.o.Project + "/deployments"
}
