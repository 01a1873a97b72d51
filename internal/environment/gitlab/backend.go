package gitlab

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// Backend is the backend of the Environments with the same options. It is safe for concurrent use.
type Backend struct {
	project *project
	o       remote.Options
}

var _ environment.Backend = (*Backend)(nil)

// view is a Backend whose project is locked, with the username of the token.
type view struct {
	*Backend
	self string
}

func (b *Backend) view(ctx context.Context) (*view, error) {
	self, err := b.project.self(ctx)
	return &view{Backend: b, self: self}, err
}

// Read implements environment.Backend.
func (b *Backend) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	if err := b.project.Lock(ctx); err != nil {
		return environment.Snapshot{}, err
	}
	defer b.project.unlock()
	err := b.project.refresh(ctx, b.o.Interval, b.o.Interval)
	if b.project.at.IsZero() {
		return environment.Snapshot{}, err
	}
	v, loginErr := b.view(ctx)
	if loginErr != nil {
		return environment.Snapshot{}, loginErr
	}
	environments, untrusted := v.environments(application)
	return environment.Snapshot{At: b.project.at, Environments: environments, Untrusted: untrusted}, err
}

// environments returns the states of an application, and the number of deployments of untrusted logins.
func (v *view) environments(application string) (states []environment.State, untrusted int) {
	byName := map[string][]*record{}
	for _, r := range v.project.records {
		if r.Application != application {
			continue
		}
		byName[r.Environment] = append(byName[r.Environment], r)
		if v.untrustedReason(r) != "" {
			untrusted += len(r.Deployments)
		}
	}
	for name, records := range byName {
		states = append(states, v.state(environment.State{Application: application, Environment: name}, records))
	}
	slices.SortFunc(states, func(x, y environment.State) int { return strings.Compare(x.Environment, y.Environment) })
	return states, untrusted
}

// state returns the state of one environment. The newest trusted record, or else the newest one, determines its
// relations.
func (v *view) state(s environment.State, records []*record) environment.State {
	for _, report := range v.reports(records) {
		d := report.deployment()
		if d.UntrustedReason = report.untrustedReason; d.UntrustedReason != "" {
			d.Key = ""
		}
		s.Deployments = append(s.Deployments, d)
	}
	slices.SortFunc(
		s.Deployments, func(x, y environment.Deployment) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(y.ID, x.ID)) },
	)
	r := v.newest(records)
	s.After, s.Parallel, s.URL = slices.Clone(r.After), r.Parallel, r.URL
	return s
}

// newest returns the newest trusted record, or else the newest one.
func (v *view) newest(records []*record) *record {
	return slices.MaxFunc(records, func(x, y *record) int {
		untrusted := func(r *record) int { return min(len(v.untrustedReason(r)), 1) }
		return cmp.Or(
			cmp.Compare(untrusted(y), untrusted(x)), x.updated.Compare(y.updated), cmp.Compare(y.snippet, x.snippet),
		)
	})
}

// statusReport is the entry of a record about a deployment.
type statusReport struct {
	*entry
	*record
	untrustedReason string
}

// reports returns the newest trusted report for each key, or else the newest one.
func (v *view) reports(records []*record) map[string]statusReport {
	reports := map[string]statusReport{}
	for _, r := range records {
		reason := v.untrustedReason(r)
		for i := range r.Deployments {
			report := statusReport{entry: &r.Deployments[i], record: r, untrustedReason: reason}
			if old, ok := reports[report.Key]; !ok || report.supersedes(old) {
				reports[report.Key] = report
			}
		}
	}
	return reports
}

func (s statusReport) supersedes(old statusReport) bool {
	if trusted := s.untrustedReason == ""; trusted != (old.untrustedReason == "") {
		return trusted
	}
	return cmp.Or(
		cmp.Compare(s.Number, old.Number), s.updated.Compare(old.updated), cmp.Compare(old.snippet, s.snippet),
	) > 0
}

// untrustedReason returns why a record is no evidence, or "" if it is.
func (v *view) untrustedReason(r *record) string {
	return v.o.UntrustedReason(
		v.self, "reported", r.author, r.signature, func() []string { return signed(v.project.Path, r.raw) },
	)
}
