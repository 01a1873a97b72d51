package github

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v92/github"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/remote"
	"github.com/kuberik/kuberik/internal/version"
)

// maxFailures is the number of failures after which Publish stops.
const maxFailures = 3

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	if err := b.repository.Lock(ctx); err != nil {
		return err
	}
	defer b.repository.unlock()
	if len(s.Deployments) == 0 {
		return nil
	}
	if err := b.repository.Failure(); err != nil {
		return err
	}
	p, err := b.begin(ctx, s)
	if err != nil {
		b.repository.Failed(ctx, err, b.o.Interval)
		return err
	}
	var errs []error
	failures := 0
	// The oldest are published first, because GitHub shows the deployment that was created last as the newest.
	for i, d := range slices.Backward(s.Deployments) {
		err := p.publish(ctx, d, i == 0)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		var rejected *environment.DeploymentError
		if errors.As(err, &rejected) {
			continue
		}
		b.repository.Failed(ctx, err, b.o.Interval)
		if failures++; failures == maxFailures || isPersistent(ctx, err) {
			break
		}
	}
	return errors.Join(errs...)
}

// isPersistent reports whether the next deployment would fail with the same error.
func isPersistent(ctx context.Context, err error) bool {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	return ctx.Err() != nil || errors.As(err, &wait) || errors.As(err, &refused)
}

// publication is the publication of one environment's state.
type publication struct {
	*Backend
	app   *application
	name  string
	state environment.State
}

// begin reads the deployments of the application, unless they are known.
func (b *Backend) begin(ctx context.Context, s environment.State) (*publication, error) {
	if err := b.identify(ctx); err != nil {
		return nil, err
	}
	name := deploymentName(s.Application)
	app := b.repository.application(name)
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
	report := newReport(d)
	// The revision is read from the image, possibly after the deployment. A new revision is another write.
	creation := d.Key + " " + revisionOf(d)
	state, text := report.texts()
	status := creation + " " + state + " " + text
	for _, write := range []string{creation, status} {
		if err := p.repository.Rejected(write); err != nil {
			return err
		}
	}
	r, err := p.find(ctx, d)
	if err == nil && r == nil {
		r, err = p.create(ctx, d)
	}
	if err != nil {
		return p.repository.Reject(d, creation, err)
	}
	if r.readAt.IsZero() {
		if err := p.repository.readStatuses(ctx, p.app, r); err != nil {
			return err
		}
	}
	return p.repository.Reject(d, status, p.report(ctx, r, report, newest))
}

func revisionOf(d environment.Deployment) string { return ptr.Deref(d.Version.Revision, "") }

// find returns the record of a deployment, or nil. It asks GitHub for an unknown one, since the response to its
// creation may have been lost.
func (p *publication) find(ctx context.Context, d environment.Deployment) (*record, error) {
	var best *record
	for _, r := range p.app.records {
		best = p.older(best, r, d)
	}
	if best != nil {
		return best, nil
	}
	if revisionOf(d) == "" {
		return nil, &remote.RejectedError{
			Reason: "GitHub has no deployments without a revision: " +
				"set the annotation org.opencontainers.image.revision of the image",
		}
	}
	o := gh.DeploymentsListOptions{
		Ref: remote.CommitOf(revisionOf(d)), Task: taskOf(p.name), Environment: environmentOf(p.name, p.state.Environment),
	}
	var found []*gh.Deployment
	var at position
	for more := true; more && at.read < maxDeployments; {
		var list []*gh.Deployment
		var err error
		if list, more, err = p.repository.page(withoutCache(ctx), o, &at); err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return p.adopt(found, d), nil
}

// adopt adds the deployment of GitHub that is ours to the records, and returns it, or nil.
func (p *publication) adopt(list []*gh.Deployment, d environment.Deployment) (best *record) {
	for _, made := range list {
		if name, r := newRecord(made); r != nil && name == p.name {
			best = p.older(best, r, d)
		}
	}
	if best != nil {
		best.writer = writerOf(best, p.repository.trusted)
		p.app.add(best)
	}
	return best
}

// older returns r if it is the deployment and older than best, or else best. It is the deployment if it has the same
// key and is evidence. Without a signature key, it may also be one that the public controller created for the same
// entry of the history.
func (p *publication) older(best, r *record, d environment.Deployment) *record {
	key := r.payload.key()
	switch {
	case r.environment != p.state.Environment || best != nil && best.id < r.id:
		return best
	case key != d.Key && (key != "" || p.o.SignatureKey != nil || !isSameEntry(r, d)):
		return best
	case p.untrustedReason(p.name, r) != "":
		return best
	}
	return r
}

// isSameEntry reports whether a record without a key is that of a deployment.
func isSameEntry(r *record, d environment.Deployment) bool {
	revision := r.payload.Version.Revision
	return r.number == d.ID && r.payload.Version.Tag == d.Version.Tag && revision != nil && d.Version.Revision != nil &&
		*revision == *d.Version.Revision
}

func (p *publication) create(ctx context.Context, d environment.Deployment) (*record, error) {
	body := newPayload(p.state, d)
	body.Kuberik.Signature = p.o.Sign(p.signedDeployment(p.name, p.state.Environment, body)...)
	made, err := p.repository.createDeployment(ctx, gh.DeploymentRequest{
		Ref: remote.CommitOf(revisionOf(d)), Task: new(taskOf(p.name)),
		Environment: new(environmentOf(p.name, p.state.Environment)),
		Description: new(strings.TrimSpace(version.Clean(d.Message, maxText))), Payload: body,
		AutoMerge: new(false), RequiredContexts: []string{}, ProductionEnvironment: new(p.state.Environment == "production"),
	})
	if err != nil {
		return nil, err
	}
	r := p.adopt([]*gh.Deployment{made}, d)
	if r == nil {
		return nil, errors.New("GitHub created a deployment that differs from the requested one")
	}
	r.readAt = p.repository.Clock.Now()
	return r, nil
}

// report creates a status, unless the newest trusted one is equal.
func (p *publication) report(ctx context.Context, r *record, report statusReport, newestDeployment bool) error {
	trusted := func(s status) bool { return p.untrustedStatusReason(p.name, r, s) == "" }
	last, ok := newest(r.statuses, trusted)
	link := ""
	if newestDeployment {
		link = environment.SafeURL(p.state.URL)
	}
	if ok && last.report.equal(report) && (link == "" || link == last.url) {
		return nil
	}
	for _, s := range r.statuses {
		if trusted(s) {
			report.number = max(report.number, s.report.number)
		}
	}
	report.number++
	report.signature = p.o.Sign(p.signedReport(p.name, r, report)...)
	state, text := report.texts()
	request := gh.DeploymentStatusRequest{
		State: state, Description: &text, LogURL: new(report.logURL(p.webURL())),
		Environment: new(environmentOf(p.name, r.environment)),
	}
	if link != "" {
		request.EnvironmentURL = &link
	}
	made, err := p.repository.createStatus(ctx, r.id, request)
	if err != nil {
		// The status may have been created nevertheless, so the statuses are read again.
		r.readAt = time.Time{}
		if errors.Is(err, remote.ErrGone) {
			p.app.forget(r.id)
		}
		return err
	}
	if s, ok := newStatus(made); ok {
		r.statuses = append(r.statuses, s)
		r.changed = s.made
	}
	p.app.version++
	return nil
}

// webURL returns the URL of the repository's page about deployments.
func (b *Backend) webURL() string {
	u, err := url.Parse(b.o.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + strings.TrimPrefix(u.Host, "api.") + "/" + b.o.Project + "/deployments"
}
