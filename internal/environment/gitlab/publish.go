package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// Publish implements environment.Backend.
func (b *Backend) Publish(ctx context.Context, s environment.State) error {
	unlock, err := b.place.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if len(s.Deployments) == 0 {
		return nil
	}
	if err := b.place.recently(); err != nil {
		return err
	}
	v, err := b.view(ctx)
	if err != nil {
		b.place.fail(ctx, err)
		return err
	}
	s.Deployments = s.Deployments[:min(len(s.Deployments), maxEntries)]
	looks := b.place.looks
	if err := b.place.look(ctx, b.o.Interval); err != nil {
		return err
	}
	p := v.begin(s)
	if !p.news() {
		return errors.Join(p.refusals()...)
	}
	// What is written replaces what is there, so it has to be known.
	if b.place.looks == looks {
		if err := b.place.look(ctx, 0); err != nil {
			return err
		}
		p = v.begin(s)
	}
	return errors.Join(p.publish(ctx)...)
}

// publication is one environment being published.
type publication struct {
	*view
	state environment.State
	// words are those of the trusted, by key.
	words map[string]word
	// own is our record, and document what it is to be.
	own      *record
	document document
	changed  bool
	// there are the deployments at GitLab, once they were asked for.
	there  []*gl.Deployment
	listed bool
}

// begin looks what there is.
func (v *view) begin(s environment.State) *publication {
	now := v.place.clock.Now()
	maps.DeleteFunc(v.place.rejected, func(_ string, r rejection) bool { return !now.Before(r.until) })
	p := &publication{view: v, state: s, document: document{Application: s.Application, Environment: s.Environment}}
	var trusted []*record
	for _, r := range v.place.records {
		if r.Application != s.Application || r.Environment != s.Environment {
			continue
		}
		vouched := v.doubt(r) == ""
		if vouched {
			trusted = append(trusted, r)
		}
		if !strings.EqualFold(r.author, v.self) || p.own != nil && p.own.snippet < r.snippet {
			continue
		}
		// What somebody put into ours is not signed by us.
		p.own, p.document = r, document{Application: s.Application, Environment: s.Environment}
		if vouched {
			p.document = r.document
			p.document.Deployments = slices.Clone(r.Deployments)
		}
	}
	p.words = v.words(trusted)
	return p
}

// news says whether there is anything to write.
func (p *publication) news() bool {
	missing := func(d environment.Deployment) bool {
		_, rejected := p.place.rejected[d.Key]
		e := p.document.find(d.Key)
		return d.Key != "" && !rejected && (e == nil || !e.says(newEntry(d)))
	}
	return slices.ContainsFunc(p.state.Deployments, missing) || len(p.document.Deployments) > 0 && (!p.related() || p.document.URL != p.url())
}

func (p *publication) related() bool {
	return slices.Equal(p.document.After, p.after()) && p.document.Parallel == p.state.Parallel
}

func (p *publication) after() []string { return p.state.After[:min(len(p.state.After), maxAfter)] }

// url stays what it was while nobody knows better.
func (p *publication) url() string { return cmp.Or(safeURL(p.state.URL), p.document.URL) }

// refusals are the errors of the deployments that cannot be published.
func (p *publication) refusals() (errs []error) {
	for _, d := range p.state.Deployments {
		if err := p.refusal(d); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (p *publication) refusal(d environment.Deployment) error {
	if d.Key == "" {
		return &environment.DeploymentError{ID: d.ID, Err: errors.New("the deployment has no key")}
	}
	return p.place.rejected[d.Key].err
}

// publish writes what is new. What was reached is kept, whatever happened then.
func (p *publication) publish(ctx context.Context) (errs []error) {
	errs = p.publishAll(ctx)
	if len(p.document.Deployments) == 0 {
		return errs
	}
	if !p.related() {
		p.document.After, p.document.Parallel, p.changed = p.after(), p.state.Parallel, true
	}
	if url := p.url(); url != p.document.URL {
		if err := harmless(p.place.link(ctx, environmentOf(p.state.Application, p.state.Environment), url)); err != nil {
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

// publishAll goes from the oldest to the newest, since GitLab takes what was made last for the newest. For the same reason it ends where
// something fails that may pass.
func (p *publication) publishAll(ctx context.Context) (errs []error) {
	for _, d := range slices.Backward(p.state.Deployments) {
		err := p.publishOne(ctx, d)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		var one *environment.DeploymentError
		if !errors.As(err, &one) {
			p.place.fail(ctx, err)
			return errs
		}
	}
	return errs
}

func (p *publication) publishOne(ctx context.Context, d environment.Deployment) error {
	if err := p.refusal(d); err != nil {
		return err
	}
	now, known := newEntry(d), p.document.find(d.Key)
	if known != nil && known.says(now) {
		return nil
	}
	if known != nil {
		now.GitLab, now.Status, now.Number = known.GitLab, known.Status, known.Number
	} else if err := p.find(ctx, d, &now); err != nil {
		return p.reject(d, err)
	}
	if err := p.tellGitLab(ctx, &now); err != nil {
		return err
	}
	now.Number = max(now.Number, p.words[d.Key].number()) + 1
	p.changed = true
	if known == nil {
		p.document.Deployments = append(p.document.Deployments, now)
		return nil
	}
	// What a deployment is does not change after it was made.
	now.ID, now.Version, now.Message, now.At = known.ID, known.Version, known.Message, known.At
	*known = now
	return nil
}

func (w word) number() int64 {
	if w.entry == nil {
		return 0
	}
	return w.Number
}

// find finds the deployment of an entry that is new, or makes it: a friend may have published it before us, or the answer to the request
// that made it was lost.
func (p *publication) find(ctx context.Context, d environment.Deployment, e *entry) error {
	if w := p.words[d.Key]; w.entry != nil {
		e.GitLab, e.Status = w.GitLab, w.Status
		return nil
	}
	if d.Version.Revision == nil || *d.Version.Revision == "" {
		return &rejectedError{"the image names no revision, and GitLab has no deployments without: set the annotation org.opencontainers.image.revision"}
	}
	commit := commitOf(*d.Version.Revision)
	at, err := p.unclaimed(ctx, commit)
	if err == nil && at == nil {
		at, err = p.place.createDeployment(ctx, environmentOf(p.state.Application, p.state.Environment), commit, e.status())
	}
	if err != nil {
		return err
	}
	if at.ID == 0 {
		return errors.New("GitLab does not say which deployment it made")
	}
	e.GitLab, e.Status = at.ID, at.Status
	return nil
}

// unclaimed is the newest deployment of ours at a commit that no record names.
func (p *publication) unclaimed(ctx context.Context, commit string) (*gl.Deployment, error) {
	if !p.listed {
		var err error
		if p.there, err = p.place.deployments(ctx, environmentOf(p.state.Application, p.state.Environment)); err != nil {
			return nil, err
		}
		p.listed = true
	}
	claimed := map[int64]bool{}
	for _, w := range p.words {
		claimed[w.GitLab] = true
	}
	for _, e := range p.document.Deployments {
		claimed[e.GitLab] = true
	}
	i := slices.IndexFunc(p.there, func(d *gl.Deployment) bool {
		return d.SHA == commit && d.User != nil && strings.EqualFold(d.User.Username, p.self) && d.Deployable.ID == 0 && !claimed[d.ID]
	})
	if i < 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return p.there[i], nil
}

// reject remembers what GitLab did not take.
func (p *publication) reject(d environment.Deployment, err error) error {
	var no *rejectedError
	if !errors.As(err, &no) {
		return err
	}
	err = &environment.DeploymentError{ID: d.ID, Err: fmt.Errorf("publishing %s: %w", version.Clean(d.Version.Tag, maxText), no)}
	p.place.rejected[d.Key] = rejection{until: p.place.clock.Now().Add(rejectedFor), err: err}
	return err
}

// tellGitLab changes the status that people see. GitLab does not go back to running.
func (p *publication) tellGitLab(ctx context.Context, e *entry) error {
	status := e.status()
	if status == e.Status || status == running {
		return nil
	}
	if err := harmless(p.place.updateDeployment(ctx, e.GitLab, status)); err != nil {
		return err
	}
	e.Status = status
	return nil
}

// harmless drops the errors of what is for people only: somebody deleted it, or it is what it should be already, which GitLab does not take.
func harmless(err error) error {
	var no *rejectedError
	if errors.As(err, &no) || errors.Is(err, errGone) {
		return nil
	}
	return err
}

// save writes the record.
func (p *publication) save(ctx context.Context) error {
	p.trim()
	text, err := describe(p.document, p.place.path, p.o.SignatureKey)
	if err != nil {
		return err
	}
	var made *gl.Snippet
	if p.own == nil {
		made, err = p.place.createSnippet(ctx, title(p.state.Application, p.state.Environment), text)
	} else {
		made, err = p.place.updateSnippet(ctx, p.own.snippet, text)
	}
	if err != nil {
		return fmt.Errorf("saving what became of the deployments: %w", err)
	}
	r := parse(made)
	if r == nil || p.doubt(r) != "" {
		return errors.New("GitLab did not keep the record as it was written")
	}
	p.place.keep(r)
	return nil
}

// trim forgets the oldest deployments that the state does not name.
func (p *publication) trim() {
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

var fluxCommit = regexp.MustCompile(`(?:^|[@/])(?:sha1:|sha256:)?([0-9a-f]{40}|[0-9a-f]{64})$`)

// commitOf is the commit of a revision. Flux writes main@sha1:<commit>, and main/<commit> of old.
func commitOf(revision string) string {
	if m := fluxCommit.FindStringSubmatch(revision); m != nil {
		return m[1]
	}
	return revision
}
