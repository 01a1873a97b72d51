package release

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

var now = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)

// edit changes an observation for one case.
type edit func(*Observation)

// given is a Rollout whose releases 1.1.0 and 1.2.0 are known, that runs 1.1.0, and on which all is well. 1.2.0 is a candidate.
func given(edits ...edit) Observation {
	o := Observation{
		Now: now, UID: "u", Name: "app", Generation: 1,
		Spec:    v1alpha1.RolloutSpec{ReleasesImagePolicy: corev1.LocalObjectReference{Name: "images"}},
		Policy:  Policy{Found: true, Tag: "1.2.0"},
		Targets: []Target{{Kind: "Kustomization", Name: "app", Variable: "VERSION", Value: "1.1.0", Asked: true, Reached: true, Applied: true}},
		Status: v1alpha1.RolloutStatus{
			AvailableReleases: []v1alpha1.VersionInfo{{Tag: "1.1.0"}, {Tag: "1.2.0"}},
			History:           []v1alpha1.DeploymentHistoryEntry{entry(1, "1.1.0", v1alpha1.BakeSucceeded)},
		},
	}
	for _, e := range edits {
		e(&o)
	}
	return o
}

func entry(id int64, tag string, status v1alpha1.BakeStatus, edits ...func(*v1alpha1.DeploymentHistoryEntry)) v1alpha1.DeploymentHistoryEntry {
	e := v1alpha1.DeploymentHistoryEntry{
		ID: &id, Version: v1alpha1.VersionInfo{Tag: tag}, Timestamp: metav1.NewTime(now.Add(-10 * time.Minute)), Cause: v1alpha1.CauseAutomatic,
	}
	setStatus(&e, status, string(status))
	for _, f := range edits {
		f(&e)
	}
	return e
}

func because(c v1alpha1.Cause) func(*v1alpha1.DeploymentHistoryEntry) {
	return func(e *v1alpha1.DeploymentHistoryEntry) { e.Cause = c }
}

func knowing(tag string) func(*v1alpha1.DeploymentHistoryEntry) {
	return func(e *v1alpha1.DeploymentHistoryEntry) { e.NewestKnown = &v1alpha1.ReleaseIdentity{Tag: tag} }
}

func bakingSince(ago time.Duration) func(*v1alpha1.DeploymentHistoryEntry) {
	return func(e *v1alpha1.DeploymentHistoryEntry) { e.BakeStartTime = &metav1.Time{Time: now.Add(-ago)} }
}

// history puts deployments before what is there, the newest first. The targets carry the newest.
func history(entries ...v1alpha1.DeploymentHistoryEntry) edit {
	return func(o *Observation) {
		o.Status.History = append(entries, o.Status.History...)
		for i := range o.Targets {
			o.Targets[i].Value = entries[0].Version.Tag
		}
	}
}

func annotation(key, value string) edit {
	return func(o *Observation) {
		if o.Annotations == nil {
			o.Annotations = map[string]string{}
		}
		o.Annotations[key] = value
	}
}

func handled(key, value string) edit {
	return func(o *Observation) { o.Status.HandledAnnotations = map[string]string{key: value} }
}

func reports(list ...health.Report) edit {
	return func(o *Observation) {
		for i := range list {
			list[i].Name = fmt.Sprintf("check-%d", i)
		}
		o.Health.Reports = list
	}
}

func spec(f func(*v1alpha1.RolloutSpec)) edit { return func(o *Observation) { f(&o.Spec) } }

func pinned(tag string) edit { return spec(func(s *v1alpha1.RolloutSpec) { s.WantedVersion = &tag }) }

func bakes(d v1alpha1.Duration) edit { return spec(func(s *v1alpha1.RolloutSpec) { s.BakeTime = &d }) }

func gates(list ...*v1alpha1.RolloutGate) edit { return func(o *Observation) { o.Gates = list } }

func shut(name string) *v1alpha1.RolloutGate {
	return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func known(tags ...string) edit {
	return func(o *Observation) {
		o.Status.AvailableReleases = nil
		for _, tag := range tags {
			o.Status.AvailableReleases = append(o.Status.AvailableReleases, v1alpha1.VersionInfo{Tag: tag})
		}
		o.Policy.Tag = tags[len(tags)-1]
	}
}

func quarantined(tags ...string) edit {
	return func(o *Observation) {
		for _, tag := range tags {
			o.Status.Quarantined = append(o.Status.Quarantined, v1alpha1.Quarantine{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: tag}})
		}
	}
}

var (
	healthy   = health.Report{State: v1alpha1.HealthHealthy, Current: true, ByRevision: true}
	unhealthy = health.Report{State: v1alpha1.HealthUnhealthy, Current: true, ByRevision: true}
	pending   = health.Report{State: v1alpha1.HealthPending, ByRevision: true}
	redSite   = health.Report{State: v1alpha1.HealthUnhealthy}
)

// says renders the actions of a decision in short.
func says(d Decision) []string {
	list := []string{d.Rule}
	for _, a := range d.Actions {
		switch a := a.(type) {
		case Pin:
			list = append(list, fmt.Sprintf("pin %s %s%s%s", a.Version.Tag, a.Token, mark(a.First, " first"), mark(a.Drift, " drift")))
		case ClearAnnotations:
			list = append(list, fmt.Sprintf("clear %d", len(a.Handled)))
		case Discover:
			list = append(list, "discover "+a.Version.Tag)
		case Identify:
			list = append(list, "identify "+a.Release.Tag+mark(a.Head, " head"))
		case Learn:
			list = append(list, fmt.Sprintf("learn %d", len(a.Details)))
		case Record:
			list = append(list, fmt.Sprintf("record %d %s %s%s", entryID(&a.Entry), a.Entry.Version.Tag, a.Entry.Cause, mark(a.Entry.Recovery, " recovery")))
		case Amend:
			list = append(list, fmt.Sprintf("amend %d %s%s", entryID(&a.Entry), *a.Entry.BakeStatus, mark(a.Entry.PausedTime != nil, " paused")))
		case Isolate:
			list = append(list, "isolate "+a.Quarantine.Tag)
		case Lift:
			list = append(list, "lift "+a.Release.Tag)
		case Handle:
			list = append(list, "use "+a.Key[len("rollout.kuberik.com/"):])
		case Forget:
			list = append(list, "forget "+a.Key[len("rollout.kuberik.com/"):])
		case Trim:
			list = append(list, fmt.Sprintf("trim %d %d", a.Releases, a.History))
		}
	}
	for _, b := range d.Blocked {
		list = append(list, "waits for "+b.Kind+" "+b.Name+": "+b.Reason)
	}
	return list
}

func mark(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

// decision is one case of a table: what is decided in a situation, and why it has to be.
type decision struct {
	reason string
	in     Observation
	want   []string
}

func check(t *testing.T, cases map[string]decision) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := tc.in.Status.DeepCopy()
			d := Decide(tc.in)
			if diff := cmp.Diff(tc.want, says(d)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			status := Project(tc.in, d, nil)
			if diff := cmp.Diff(*before, tc.in.Status); diff != "" {
				t.Errorf("the observation was changed (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(says(d), says(Decide(tc.in))); diff != "" {
				t.Errorf("the same observation gave another decision:\n%s", diff)
			}
			if diff := cmp.Diff(status, Project(tc.in, d, nil), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the same decision gave another status:\n%s", diff)
			}
		})
	}
}
