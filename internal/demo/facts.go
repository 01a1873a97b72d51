package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// expected is what has to be found at the end of the story.
func expected() []string {
	return []string{
		"the Rollout is Available and runs 1.2.0; nothing waits",
		"deployment 1 of 1.0.0: Succeeded, baked for its time",
		"deployment 2 of 1.1.0: Failed, never baked, by hello-http",
		"deployment 3 of 1.2.0: Succeeded, baked for its time",
		"release 1.0.0 is Available, by the evidence of hello, hello-http",
		"release 1.1.0 is Failed, by the evidence of hello-http, quarantined",
		"release 1.2.0 is Available, by the evidence of hello, hello-http",
		"alice approved 1.0.0, 1.1.0, 1.2.0; nobody else approved anything",
		"change-calendar let pass 1.0.0, 1.1.0, 1.2.0",
		"the Deployment has run hello:1.0.0, hello:1.1.0, hello:1.2.0",
		"the Deployment runs hello:1.2.0, 2 of 2 pods ready",
	}
}

// facts says what a scene comes to.
func facts(s scene) []string {
	st := s.rollout.Status
	first := fmt.Sprintf("the Rollout is %s and runs %s", st.Phase, st.CurrentVersion)
	if st.PendingVersion == "" && len(st.BlockedBy) == 0 {
		first += "; nothing waits"
	} else {
		first += fmt.Sprintf("; %s waits: %s", st.PendingVersion, blockers(st))
	}
	found := []string{first}
	for _, e := range slices.Backward(st.History) {
		found = append(found, deployment(&e, s.rollout.Spec.BakeTime))
	}
	for _, v := range st.AvailableReleases {
		found = append(found, released(s.release(v.Tag), v.Tag))
	}
	want, ready := s.replicas()
	return append(found, approvers(s), calendarName+" let pass "+strings.Join(s.passed(), ", "), "the Deployment has run "+strings.Join(s.ran(), ", "), fmt.Sprintf("the Deployment runs %s, %d of %d pods ready", s.image(), ready, want))
}

// approvers says who approved what, and in whose name.
func approvers(s scene) string {
	said := map[string][]string{}
	for i := range s.approvals {
		tag := "something else"
		for _, rel := range s.releases {
			if rel.Name == s.approvals[i].Spec.ReleaseName {
				tag = rel.Spec.Version.Tag
			}
		}
		user := s.approvals[i].Spec.User
		said[user] = append(said[user], tag)
	}
	var list []string
	for _, user := range slices.Sorted(maps.Keys(said)) {
		list = append(list, user+" approved "+strings.Join(slices.Sorted(slices.Values(said[user])), ", "))
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
	decisive := string(v1alpha1.HealthHealthy)
	if rel.Status.Phase == v1alpha1.ReleaseFailed {
		decisive = string(v1alpha1.HealthUnhealthy)
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

// settle reads the end of the story from the API server, past every cache, until it is as it should be.
func (w *world) settle(ctx context.Context) ([]string, error) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, err := look(ctx, w.admin)
		found := facts(s)
		problem := errors.Join(err, compare(expected(), found))
		if problem == nil {
			return found, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return found, fmt.Errorf("the story did not end as it should:\n%w", problem)
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// compare names what is missing, and what should not be there.
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
