package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// expected returns the facts that must hold at the end.
func expected() []string {
	return []string{
		"staging: the Rollout is Available and runs 1.2.0; nothing waits",
		"staging: deployment 1 of 1.0.0: Succeeded, baked for its time",
		"staging: deployment 2 of 1.1.0: Failed, never baked, by hello-http",
		"staging: deployment 3 of 1.2.0: Succeeded, baked for its time",
		"staging: release 1.0.0 is Available, by the evidence of hello, hello-http",
		"staging: release 1.1.0 is Failed, by the evidence of hello-http, quarantined",
		"staging: release 1.2.0 is Available, by the evidence of hello, hello-http",
		"staging: nobody approved anything",
		"staging: nobody was asked for approval",
		"staging: the Deployment has run hello:1.0.0, hello:1.1.0, hello:1.2.0",
		"staging: the Deployment runs hello:1.2.0, 2 of 2 pods ready",
		"staging: the Environment says 1.2.0, Succeeded; it takes every release: it comes after no other environment",
		"production: the Rollout is Available and runs 1.2.0; nothing waits",
		"production: deployment 1 of 1.0.0: Succeeded, baked for its time",
		"production: deployment 2 of 1.2.0: Succeeded, baked for its time",
		"production: release 1.0.0 is Available, by the evidence of hello, hello-http",
		"production: release 1.1.0 is Superseded, never deployed; nobody was asked to approve it",
		"production: release 1.2.0 is Available, by the evidence of hello, hello-http",
		"production: alice approved 1.0.0, 1.2.0; nobody else approved anything",
		"production: people were asked for approval, of 1.2.0 last",
		"production: change-calendar let pass 1.0.0, 1.1.0, 1.2.0",
		"production: the Deployment has run hello:1.0.0, hello:1.2.0",
		"production: the Deployment runs hello:1.2.0, 2 of 2 pods ready",
		"production: the Environment says 1.2.0, Succeeded; it takes releases after staging",
	}
}

// facts describes a snapshot and the events that were emitted.
func facts(s snapshot, events []eventsv1.Event) []string {
	var found []string
	for i, p := range s.namespaceStates() {
		for _, fact := range p.facts(events) {
			found = append(found, namespaces()[i]+": "+fact)
		}
	}
	return found
}

func (p *namespaceState) facts(events []eventsv1.Event) []string {
	st := p.rollout.Status
	first := fmt.Sprintf("the Rollout is %s and runs %s", st.Phase, st.CurrentVersion)
	if st.PendingVersion == "" && len(st.BlockedBy) == 0 {
		first += "; nothing waits"
	} else {
		first += fmt.Sprintf("; %s waits: %s", st.PendingVersion, blockers(st))
	}
	found := []string{first}
	for _, e := range slices.Backward(st.History) {
		found = append(found, deployment(&e, p.rollout.Spec.BakeTime))
	}
	for _, v := range st.AvailableReleases {
		found = append(found, released(p.release(v.Tag), v.Tag)+p.notDeployed(v, events))
	}
	found = append(found, approvers(p), p.approvalRequests(events))
	if p.calendar.Name != "" {
		found = append(found, calendarName+" let pass "+strings.Join(p.allowedVersions(), ", "))
	}
	want, ready := p.replicas()
	env := p.environment.Status
	return append(found, "the Deployment has run "+strings.Join(p.ran(), ", "),
		fmt.Sprintf("the Deployment runs %s, %d of %d pods ready", p.image(), ready, want),
		fmt.Sprintf("the Environment says %s, %s; it %s", env.CurrentTag, env.CurrentState, readiness(p.environment).Message))
}

// notDeployed describes a release that was not deployed: whether its approval was requested.
func (p *namespaceState) notDeployed(v v1alpha1.VersionInfo, events []eventsv1.Event) string {
	id := version.Identity(v)
	deployed := func(e v1alpha1.DeploymentHistoryEntry) bool { return version.Identity(e.Version) == id }
	requested := func(e eventsv1.Event) bool { return p.requestsApproval(e) && strings.HasPrefix(e.Note, v.Tag+" ") }
	switch {
	case slices.ContainsFunc(p.rollout.Status.History, deployed):
		return ""
	case slices.Contains(p.rollout.Status.ApprovalRequested, id) || slices.ContainsFunc(events, requested):
		return ", never deployed; people were asked to approve it"
	}
	return ", never deployed; nobody was asked to approve it"
}

// approvalRequests describes for which release approval was requested. The status forgets requests that are over, and
// an event may be lost when the controller is killed.
func (p *namespaceState) approvalRequests(events []eventsv1.Event) string {
	requested := p.rollout.Status.ApprovalRequested
	switch {
	case len(requested) > 0:
		return "people were asked for approval, of " + requested[len(requested)-1].Tag + " last"
	case slices.ContainsFunc(events, p.requestsApproval):
		return "people were asked for approval"
	}
	return "nobody was asked for approval"
}

// requestsApproval reports whether an event requests approval in this namespace.
func (p *namespaceState) requestsApproval(e eventsv1.Event) bool {
	return e.Reason == "ApprovalRequested" && e.Regarding.Namespace == p.rollout.Namespace
}

// approvers describes which user approved what.
func approvers(p *namespaceState) string {
	approved := map[string][]string{}
	for i := range p.approvals {
		tag := "something else"
		for _, rel := range p.releases {
			if rel.Name == p.approvals[i].Spec.ReleaseRef.Name {
				tag = rel.Spec.Version.Tag
			}
		}
		user := p.approvals[i].Spec.User
		approved[user] = append(approved[user], tag)
	}
	var list []string
	for _, user := range slices.Sorted(maps.Keys(approved)) {
		list = append(list, user+" approved "+strings.Join(slices.Sorted(slices.Values(approved[user])), ", "))
	}
	if len(list) == 0 {
		return "nobody approved anything"
	}
	return strings.Join(append(list, "nobody else approved anything"), "; ")
}

func deployment(e *v1alpha1.DeploymentHistoryEntry, bakeTime *v1alpha1.Duration) string {
	status, id := "", int64(0)
	if e.BakeStatus != nil {
		status = *e.BakeStatus
	}
	if e.ID != nil {
		id = *e.ID
	}
	text := fmt.Sprintf("deployment %d of %s: %s, %s", id, e.Version.Tag, status, baked(e, bakeTime))
	for _, c := range e.FailedHealthChecks {
		text += ", by " + c.Name
	}
	return text
}

func baked(e *v1alpha1.DeploymentHistoryEntry, bakeTime *v1alpha1.Duration) string {
	switch {
	case e.BakeStartTime == nil:
		return "never baked"
	case e.BakeEndTime == nil || bakeTime == nil:
		return "still bakes"
	}
	want, err := bakeTime.Parse()
	if ran := e.BakeEndTime.Sub(e.BakeStartTime.Time); err != nil || ran < want {
		return fmt.Sprintf("baked for %s only", ran)
	}
	return "baked for its time"
}

func released(rel *v1alpha1.Release, tag string) string {
	text := fmt.Sprintf("release %s is %s", tag, rel.Status.Phase)
	decisive := v1alpha1.HealthHealthy
	if rel.Status.Phase == v1alpha1.ReleaseFailed {
		decisive = v1alpha1.HealthUnhealthy
	}
	var evidence []string
	for _, c := range rel.Status.Checks {
		if c.Current && c.State == decisive {
			evidence = append(evidence, c.Name)
		}
	}
	if slices.Sort(evidence); len(evidence) > 0 {
		text += ", by the evidence of " + strings.Join(evidence, ", ")
	}
	if rel.Status.Quarantine != nil {
		text += ", quarantined"
	}
	return text
}

// settle reads the final state from the API server, without a cache, until all expected facts hold, and shows it.
func (w *demoCluster) settle(ctx context.Context, n display) ([]string, error) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, err := readSnapshot(ctx, w.admin)
		var events eventsv1.EventList
		err = errors.Join(err, w.admin.List(ctx, &events))
		found := facts(s, events.Items)
		problem := errors.Join(err, compare(expected(), found))
		if problem == nil {
			n.showState(s)
			return found, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return found, fmt.Errorf("the demo did not end as expected:\n%w", problem)
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// compare returns an error that lists missing and unexpected facts.
func compare(want, got []string) error {
	var lines []string
	extra := slices.Clone(got)
	for _, fact := range want {
		if i := slices.Index(extra, fact); i >= 0 {
			extra = slices.Delete(extra, i, i+1)
			continue
		}
		lines = append(lines, "  missing: "+fact)
	}
	for _, fact := range extra {
		lines = append(lines, "  found:   "+fact)
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}
