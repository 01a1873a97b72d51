package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	if err := b.project.Lock(ctx); err != nil {
		return err
	}
	defer b.project.unlock()
	if len(s.Deployments) == 0 {
		return nil
	}
	if err := b.project.Failure(); err != nil {
		return err
	}
	v, err := b.view(ctx)
	if err != nil {
		b.project.Failed(ctx, err, b.o.Interval)
		return err
	}
	s.Deployments = s.Deployments[:min(len(s.Deployments), maxEntries)]
	reads := b.project.reads
	if err := b.project.refresh(ctx, b.o.Interval, b.o.Interval); err != nil {
		return err
	}
	p := v.begin(s)
	if !p.changes() {
		return errors.Join(p.rejections()...)
	}
	// The update replaces the whole record, so it has to start from the current one.
	if b.project.reads == reads {
		if err := b.project.refresh(ctx, 0, b.o.Interval); err != nil {
			return err
		}
		p = v.begin(s)
	}
	return errors.Join(p.publish(ctx)...)
}

// publication is the publication of one environment's state.
type publication struct {
	*view
	state environment.State
	// reports are those of trusted logins, by key.
	reports map[string]statusReport
	// own is our record, or nil, and document its new content.
	own      *record
	document document
	changed  bool
	// existing are the deployments at GitLab, if listed is set.
	existing []*gl.Deployment
	listed   bool
}

// begin reads the records of an environment.
func (v *view) begin(s environment.State) *publication {
	p := &publication{view: v, state: s, document: document{Application: s.Application, Environment: s.Environment}}
	var trusted []*record
	for _, r := range v.project.records {
		if r.Application != s.Application || r.Environment != s.Environment {
			continue
		}
		evidence := v.untrustedReason(r) == ""
		if evidence {
			trusted = append(trusted, r)
		}
		if !strings.EqualFold(r.author, v.self) || p.own != nil && p.own.snippet < r.snippet {
			continue
		}
		// What others wrote into our record must not be signed by us.
		p.own, p.document = r, document{Application: s.Application, Environment: s.Environment}
		if evidence {
			p.document = r.document
			p.document.Deployments = slices.Clone(r.Deployments)
		}
	}
	p.reports = v.reports(trusted)
	return p
}

// changes reports whether there is anything to write.
func (p *publication) changes() bool {
	missing := func(d environment.Deployment) bool {
		e := p.document.find(d.Key)
		return p.rejection(d) == nil && (e == nil || !e.sameStatus(newEntry(d)))
	}
	return slices.ContainsFunc(p.state.Deployments, missing) ||
		len(p.document.Deployments) > 0 && (!p.related() || p.document.URL != p.url())
}

func (p *publication) related() bool {
	return slices.Equal(p.document.After, p.after()) && p.document.Parallel == p.state.Parallel
}

func (p *publication) after() []string { return p.state.After[:min(len(p.state.After), maxAfter)] }

// url returns the URL of the environment, or the last one if it is not known.
func (p *publication) url() string { return cmp.Or(environment.SafeURL(p.state.URL), p.document.URL) }

// rejections returns the errors of the deployments that cannot be published.
func (p *publication) rejections() (errs []error) {
	for _, d := range p.state.Deployments {
		if err := p.rejection(d); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (p *publication) rejection(d environment.Deployment) error {
	if d.Key == "" {
		return &environment.DeploymentError{ID: d.ID, Err: errors.New("the deployment has no key")}
	}
	return p.project.Rejected(d.Key)
}

// publish writes the changes. It saves the record even if a part fails.
func (p *publication) publish(ctx context.Context) (errs []error) {
	errs = p.publishAll(ctx)
	if len(p.document.Deployments) == 0 {
		return errs
	}
	if !p.related() {
		p.document.After, p.document.Parallel, p.changed = p.after(), p.state.Parallel, true
	}
	if url := p.url(); url != p.document.URL {
		err := p.project.setURL(ctx, environmentOf(p.state.Application, p.state.Environment), url)
		if err = ignoreMissing(err); err != nil {
			errs = append(errs, err)
		} else {
			p.document.URL, p.changed = url, true
		}
	}
	if !p.changed {
		return errs
	}
	if err := p.save(ctx); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// publishAll publishes the oldest deployments first, because GitLab shows the one that was created last as the newest.
// For the same reason it stops at an error that may be temporary.
func (p *publication) publishAll(ctx context.Context) (errs []error) {
	for _, d := range slices.Backward(p.state.Deployments) {
		err := p.publishOne(ctx, d)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		var rejected *environment.DeploymentError
		if !errors.As(err, &rejected) {
			p.project.Failed(ctx, err, p.o.Interval)
			return errs
		}
	}
	return errs
}

func (p *publication) publishOne(ctx context.Context, d environment.Deployment) error {
	if err := p.rejection(d); err != nil {
		return err
	}
	now, known := newEntry(d), p.document.find(d.Key)
	if known != nil && known.sameStatus(now) {
		return nil
	}
	if known != nil {
		now.GitLab, now.Status, now.Number = known.GitLab, known.Status, known.Number
	} else if err := p.find(ctx, d, &now); err != nil {
		return p.project.Reject(d, d.Key, err)
	}
	if err := p.updateStatus(ctx, &now); err != nil {
		return err
	}
	now.Number = max(now.Number, p.reports[d.Key].number()) + 1
	p.changed = true
	if known == nil {
		p.document.Deployments = append(p.document.Deployments, now)
		return nil
	}
	// The other fields of a deployment never change.
	now.ID, now.Version, now.Message, now.At = known.ID, known.Version, known.Message, known.At
	*known = now
	return nil
}

func (s statusReport) number() int64 {
	if s.entry == nil {
		return 0
	}
	return s.Number
}

// find sets the deployment at GitLab of a new entry, and creates it if necessary. Another trusted login may have
// created it, or the response to its creation may have been lost.
func (p *publication) find(ctx context.Context, d environment.Deployment, e *entry) error {
	if report := p.reports[d.Key]; report.entry != nil {
		e.GitLab, e.Status = report.GitLab, report.Status
		return nil
	}
	if d.Version.Revision == nil || *d.Version.Revision == "" {
		return &remote.RejectedError{
			Reason: "GitLab has no deployments without a revision: " +
				"set the annotation org.opencontainers.image.revision of the image",
		}
	}
	commit := remote.CommitOf(*d.Version.Revision)
	at, err := p.unclaimed(ctx, commit)
	if err == nil && at == nil {
		at, err = p.project.createDeployment(ctx, environmentOf(p.state.Application, p.state.Environment), commit, e.status())
	}
	if err != nil {
		return err
	}
	if at.ID == 0 {
		return errors.New("GitLab created a deployment without an ID")
	}
	e.GitLab, e.Status = at.ID, at.Status
	return nil
}

// unclaimed returns the newest deployment of our user at a commit that no record names, or nil.
func (p *publication) unclaimed(ctx context.Context, commit string) (*gl.Deployment, error) {
	if !p.listed {
		var err error
		if p.existing, err = p.project.deployments(ctx, environmentOf(p.state.Application, p.state.Environment)); err != nil {
			return nil, err
		}
		p.listed = true
	}
	claimed := map[int64]bool{}
	for _, report := range p.reports {
		claimed[report.GitLab] = true
	}
	for _, e := range p.document.Deployments {
		claimed[e.GitLab] = true
	}
	i := slices.IndexFunc(p.existing, func(d *gl.Deployment) bool {
		return d.SHA == commit && d.User != nil && strings.EqualFold(d.User.Username, p.self) && d.Deployable.ID == 0 &&
			!claimed[d.ID]
	})
	if i < 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return p.existing[i], nil
}

// updateStatus updates the status at GitLab. A deployment there never returns to running.
func (p *publication) updateStatus(ctx context.Context, e *entry) error {
	status := e.status()
	if status == e.Status || status == running {
		return nil
	}
	if err := ignoreMissing(p.project.updateDeployment(ctx, e.GitLab, status)); err != nil {
		return err
	}
	e.Status = status
	return nil
}

// ignoreMissing ignores that an object for display was deleted, and that GitLab rejects an update without a change.
func ignoreMissing(err error) error {
	var rejected *remote.RejectedError
	if errors.As(err, &rejected) || errors.Is(err, remote.ErrGone) {
		return nil
	}
	return err
}

// save writes the record.
func (p *publication) save(ctx context.Context) error {
	p.dropOldest()
	text, err := describe(p.document, p.project.Path, p.o.Trust)
	if err != nil {
		return err
	}
	var made *gl.Snippet
	if p.own == nil {
		made, err = p.project.createSnippet(ctx, title(p.state.Application, p.state.Environment), text)
	} else {
		made, err = p.project.updateSnippet(ctx, p.own.snippet, text)
	}
	if err != nil {
		return fmt.Errorf("saving the record: %w", err)
	}
	r := parse(made)
	if r == nil || p.untrustedReason(r) != "" {
		return errors.New("GitLab returned a record that differs from the one that was sent")
	}
	p.project.replace(r)
	return nil
}

// dropOldest drops the oldest deployments that the state does not contain.
func (p *publication) dropOldest() {
	list := p.document.Deployments
	slices.SortStableFunc(list, func(x, y entry) int { return x.At.Compare(y.At) })
	excess := len(list) - maxEntries
	p.document.Deployments = slices.DeleteFunc(list, func(e entry) bool {
		named := slices.ContainsFunc(p.state.Deployments, func(d environment.Deployment) bool { return d.Key == e.Key })
		if named || excess <= 0 {
			return false
		}
		excess--
		return true
	})
}
