package script

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// subject asks about a deployment in flight, by a script that echoes.
func subject(edits ...func(*health.CheckInput)) health.CheckInput {
	check := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "smoke", UID: "check-uid", Generation: 3},
		Spec:       v1alpha1.HealthCheckSpec{Script: &v1alpha1.ScriptCheck{Image: "busybox:1", Script: "echo $KUBERIK_VERSION"}},
	}
	s := health.CheckInput{Now: noon, Check: check, Release: health.Release{
		Namespace: "shop", Rollout: "hello", Tag: "1.2.3", Digest: "sha256:" + strings.Repeat("a", 64), Revision: "main@sha1:abc",
		Token: "ro-uid/7/0", DeployedAt: noon.Add(-time.Minute), InFlight: true,
	}}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

func evaluationOf(t *testing.T, s health.CheckInput) evaluation {
	t.Helper()
	q, err := newEvaluation(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// made is a run whose Job is there.
func made(number, attempt int, phase phase) run {
	name := fmt.Sprintf("job-%d", number)
	state := v1alpha1.HealthPending
	switch phase {
	case passed:
		state = v1alpha1.HealthHealthy
	case failed:
		state = v1alpha1.HealthUnhealthy
	}
	r := run{
		job:    &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}},
		number: number, attempt: attempt,
		outcome: outcome{phase: phase, report: health.Report{State: state, Message: name}},
	}
	if phase != running {
		r.at = noon.Add(-10 * time.Second)
	}
	return r
}

func gone(r run) run {
	r.job, r.deleted, r.phase, r.report = nil, true, interrupted, pending("its Job was deleted")
	return r
}

func TestPlan(t *testing.T) {
	landed := func(s *health.CheckInput) { s.Release.InFlight = false }
	runInterval := func(d v1alpha1.Duration) func(*health.CheckInput) {
		return func(s *health.CheckInput) {
			s.Check.Spec.Script.Runs, s.Check.Spec.Interval = v1alpha1.ScriptInterval, &d
		}
	}
	older := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "older"}}
	type want struct {
		State          v1alpha1.HealthState
		Message        string
		Start, Attempt int
		Remove         []string
		Unsure         bool
	}
	cases := map[string]struct {
		reason       string
		edits        []func(*health.CheckInput)
		observedRuns observedRuns
		want         want
	}{
		"first": {
			reason:       "the first run of a deployment starts, and what earlier deployments left is removed",
			observedRuns: observedRuns{others: []*batchv1.Job{older}},
			want:         want{State: "Pending", Message: "starting", Start: 1, Attempt: 1, Remove: []string{"older"}},
		},
		"landed": {
			reason: "nobody waits for a verdict, so nothing runs, and the last run stays to be looked at",
			edits:  []func(*health.CheckInput){landed}, observedRuns: observedRuns{others: []*batchv1.Job{older}},
			want: want{State: "Pending", Message: waitsForDeployment},
		},
		"landed with a run": {
			reason: "the verdict of the run for this deployment stays",
			edits:  []func(*health.CheckInput){landed}, observedRuns: observedRuns{runs: []run{made(1, 1, passed)}},
			want: want{State: "Healthy", Message: "job-1"},
		},
		"landed and interrupted": {
			reason: "what was interrupted is not repeated once nobody waits",
			edits:  []func(*health.CheckInput){landed}, observedRuns: observedRuns{runs: []run{made(1, 1, interrupted)}},
			want: want{State: "Pending", Message: "job-1"},
		},
		"overtaken": {
			reason:       "an evaluation of an earlier deployment than one that has a Job is out of date: it starts and removes nothing",
			observedRuns: observedRuns{others: []*batchv1.Job{older}, superseded: true},
			want:         want{State: "Pending", Message: "a later deployment has begun"},
		},
		"going": {
			observedRuns: observedRuns{runs: []run{made(1, 1, running)}, others: []*batchv1.Job{older}},
			want:         want{State: "Pending", Message: "job-1", Remove: []string{"older"}},
		},
		"passed once": {observedRuns: observedRuns{runs: []run{made(1, 1, passed)}}, want: want{State: "Healthy", Message: "job-1"}},
		"failed once": {observedRuns: observedRuns{runs: []run{made(1, 1, failed)}}, want: want{State: "Unhealthy", Message: "job-1"}},
		"interrupted": {
			observedRuns: observedRuns{runs: []run{made(1, 1, interrupted)}},
			want:         want{State: "Pending", Message: "starting again: job-1", Start: 2, Attempt: 2},
		},
		"interrupted, going again": {
			reason:       "the interrupted run is of no more use",
			observedRuns: observedRuns{runs: []run{made(2, 2, running), made(1, 1, interrupted)}},
			want:         want{State: "Pending", Message: "job-2", Remove: []string{"job-1"}},
		},
		"deleted while running": {
			reason:       "it may be that a cache lags, so look again before starting another",
			observedRuns: observedRuns{runs: []run{gone(made(1, 1, running))}},
			want:         want{State: "Pending", Message: "starting again: its Job was deleted", Start: 2, Attempt: 2, Unsure: true},
		},
		"interrupted too often": {
			observedRuns: observedRuns{runs: []run{made(3, 3, interrupted)}},
			want:         want{State: "Unhealthy", Message: "interrupted 3 times in a row, the last time: job-3"},
		},
		"deleted too often": {
			observedRuns: observedRuns{runs: []run{gone(made(3, 3, running))}},
			want:         want{State: "Unhealthy", Message: "interrupted 3 times in a row, the last time: its Job was deleted", Unsure: true},
		},
		"between runs": {
			edits: []func(*health.CheckInput){runInterval("11s")}, observedRuns: observedRuns{runs: []run{made(4, 1, passed)}},
			want: want{State: "Healthy", Message: "job-4"},
		},
		"the next is due": {
			reason: "the verdict of the last run stands while the next begins",
			edits:  []func(*health.CheckInput){runInterval("10s")}, observedRuns: observedRuns{runs: []run{made(4, 1, passed)}},
			want: want{State: "Healthy", Message: "job-4", Start: 5, Attempt: 1},
		},
		"the next runs": {
			reason:       "the bake is not interrupted; runs before the last verdict are removed",
			edits:        []func(*health.CheckInput){runInterval("10s")},
			observedRuns: observedRuns{runs: []run{made(5, 1, running), made(4, 1, passed), made(3, 1, failed)}},
			want:         want{State: "Healthy", Message: "job-4", Remove: []string{"job-3"}},
		},
		"the next was interrupted": {
			edits:        []func(*health.CheckInput){runInterval("10s")},
			observedRuns: observedRuns{runs: []run{made(5, 1, interrupted), made(4, 1, failed)}},
			want:         want{State: "Unhealthy", Message: "job-4", Start: 6, Attempt: 2},
		},
		"interrupted too often, interval": {
			reason: "it is a verdict like any other, and the interval goes on from there",
			edits:  []func(*health.CheckInput){runInterval("10s")}, observedRuns: observedRuns{runs: []run{made(3, 3, interrupted)}},
			want: want{State: "Unhealthy", Message: "interrupted 3 times in a row, the last time: job-3", Start: 4, Attempt: 1},
		},
		"interval landed": {
			edits: []func(*health.CheckInput){runInterval("10s"), landed}, observedRuns: observedRuns{runs: []run{made(4, 1, passed)}},
			want: want{State: "Healthy", Message: "job-4"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := evaluationOf(t, subject(c.edits...)).plan(c.observedRuns)
			got := want{State: p.report.State, Message: p.report.Message, Start: p.start.number, Attempt: p.start.attempt, Unsure: p.mayBeStale}
			for _, job := range p.remove {
				got.Remove = append(got.Remove, job.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestNames checks that names are derived from the evaluation and fit into a label.
func TestNames(t *testing.T) {
	q := evaluationOf(t, subject())
	if a, b := q.name(1), evaluationOf(t, subject()).name(1); a != b {
		t.Errorf("the same evaluation gives %q and %q", a, b)
	}
	others := map[string]func(*health.CheckInput){
		"token":   func(s *health.CheckInput) { s.Release.Token = "ro-uid/8/0" },
		"rollout": func(s *health.CheckInput) { s.Release.Rollout = "other" },
		"check":   func(s *health.CheckInput) { s.Check.UID = "another" },
		"script":  func(s *health.CheckInput) { s.Check.Spec.Script.Script = "exit 1" },
	}
	for what, edit := range others {
		if other := evaluationOf(t, subject(edit)); other.name(1) == q.name(1) {
			t.Errorf("another %s gives the same name %q", what, q.name(1))
		}
	}
	if same := evaluationOf(t, subject(func(s *health.CheckInput) { s.Check.Generation, s.Check.Spec.Mode = 9, "Observe" })); same.name(1) != q.name(1) {
		t.Error("what does not concern the script changes the name")
	}
	long := evaluationOf(t, subject(func(s *health.CheckInput) { s.Check.Name = strings.Repeat("a-b.c", 50) }))
	for _, number := range []int{1, 12345} {
		if name := long.name(number); len(name) > 63 || strings.ContainsAny(name, "._") {
			t.Errorf("%q is no name for a Job", name)
		}
	}
}

// TestMemory: what the Jobs do not say any more.
func TestMemory(t *testing.T) {
	m := newMemory()
	q := evaluationOf(t, subject())
	if _, ok := m.get(q).missing(nil); ok {
		t.Error("a run is missed that never was")
	}
	m.update(q, []run{made(2, 1, running)}, nil)
	if r, ok := m.get(q).missing(nil); !ok || r.number != 2 || r.phase != interrupted || !r.deleted {
		t.Errorf("a Job that was deleted while it ran is %+v, %v", r, ok)
	}
	if _, ok := m.get(q).missing([]run{made(2, 1, running)}); ok {
		t.Error("a run is missed that is there")
	}
	m.update(q, nil, nil)
	if r, ok := m.get(q).missing(nil); !ok || r.number != 2 {
		t.Error("the run is forgotten by not seeing it")
	}
	m.update(q, []run{made(3, 1, passed)}, nil)
	if r, ok := m.get(q).missing(nil); !ok || r.phase != passed || r.report.State != v1alpha1.HealthHealthy || r.deleted {
		t.Errorf("the verdict of a Job that is gone is %+v, %v", r, ok)
	}
	other := evaluationOf(t, subject(func(s *health.CheckInput) { s.Release.Token = "ro-uid/8/0" }))
	if _, ok := m.get(other).missing(nil); ok {
		t.Error("a run of another deployment is missed")
	}
	for i := range 2 * maxRecords {
		s := subject(func(s *health.CheckInput) {
			s.Check.Namespace, s.Check.UID = "loud", types.UID(fmt.Sprint("uid-", i))
		})
		m.update(evaluationOf(t, s), nil, map[types.UID]string{"job": "ImagePullBackOff"})
	}
	if size := m.records.Size(); size > maxRecordsOfNamespace+2 {
		t.Errorf("the records of one namespace have the size %d", size)
	}
	if r, ok := m.get(q).missing(nil); !ok || r.phase != passed {
		t.Error("another namespace displaced the record")
	}
}

// TestTold: the status of the check keeps a verdict that the process has forgotten, for that deployment alone.
func TestTold(t *testing.T) {
	message := "Job smoke-1 completed"
	told := func(edits ...func(*health.CheckInput)) (run, bool) {
		s := subject(func(s *health.CheckInput) {
			s.Check.Status = v1alpha1.HealthCheckStatus{
				ObservedGeneration: 3, Status: v1alpha1.HealthHealthy, Message: &message,
				Deployments: []v1alpha1.CheckedDeployment{{Rollout: "hello", Token: "ro-uid/7/0"}},
			}
		})
		for _, edit := range edits {
			edit(&s)
		}
		return evaluationOf(t, s).fromStatus()
	}
	if r, ok := told(); !ok || r.phase != passed || r.report.Message != message {
		t.Errorf("the status says %+v, %v", r, ok)
	}
	if r, ok := told(func(s *health.CheckInput) { s.Check.Status.Status = v1alpha1.HealthUnhealthy }); !ok || r.phase != failed {
		t.Errorf("the status says %+v, %v", r, ok)
	}
	for what, edit := range map[string]func(*health.CheckInput){
		"another token":     func(s *health.CheckInput) { s.Release.Token = "ro-uid/8/0" },
		"another Rollout":   func(s *health.CheckInput) { s.Release.Rollout = "other" },
		"another namespace": func(s *health.CheckInput) { s.Release.Namespace = "other" },
		"an older script":   func(s *health.CheckInput) { s.Check.Generation = 4 },
		"no verdict":        func(s *health.CheckInput) { s.Check.Status.Status = v1alpha1.HealthPending },
		"several deployments": func(s *health.CheckInput) {
			s.Check.Status.Deployments = append(s.Check.Status.Deployments, v1alpha1.CheckedDeployment{Rollout: "other", Token: "x"})
		},
	} {
		if r, ok := told(edit); ok {
			t.Errorf("%s: the status says %+v", what, r)
		}
	}
}
