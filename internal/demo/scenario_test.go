package demo

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/view"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fakeCluster implements actors and snapshotSource: each action has its result immediately.
type fakeCluster struct {
	snapshot snapshot
	changed  chan struct{}
	actions  []string
	events   []eventsv1.Event
	// lost is a version that is pushed without a result.
	lost string
	// allowsForgery accepts Approvals in the name of other users.
	allowsForgery bool
}

func newFakeCluster() *fakeCluster {
	s := &fakeCluster{changed: make(chan struct{}), snapshot: emptySnapshot()}
	for i, p := range s.snapshot.namespaceStates() {
		p.rollout.Namespace, p.rollout.Name = namespaces()[i], app
		p.rollout.Spec.BakeTime = ptr.To(v1alpha1.Duration("3s"))
		p.environment = &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: namespaces()[i], Name: app}}
		p.environment.Spec.Name, p.environment.Spec.Environment = app, namespaces()[i]
		p.environment.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Message: "takes every release: it comes after no other environment",
		}}
		runs(p, "0.9.0")
	}
	env := &s.snapshot.production.environment.Status
	env.RolloutGateRef = &corev1.LocalObjectReference{Name: promotionGate}
	env.Conditions[0].Message = "takes releases after staging"
	s.snapshot.production.calendar.Name = calendarName
	return s
}

// promotionGate is the gate of the Environment.
const promotionGate = "production-after-staging"

func (s *fakeCluster) now() (snapshot, <-chan struct{}) { return s.snapshot, s.changed }

func runs(p *namespaceState, tag string) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app}}
	d.Spec.Replicas = ptr.To(int32(2))
	d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "127.0.0.1:5000/" + app + ":" + tag}}
	d.Status = appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}
	p.deployment = d
	p.sets = append(p.sets, appsv1.ReplicaSet{Spec: appsv1.ReplicaSetSpec{Template: d.Spec.Template}})
}

func (s *fakeCluster) push(_ context.Context, tag string) error {
	s.actions = append(s.actions, "push "+tag)
	if tag == s.lost {
		return nil
	}
	for _, p := range s.snapshot.namespaceStates() {
		st := &p.rollout.Status
		st.PendingVersion = tag
		st.AvailableReleases = append(st.AvailableReleases, v1alpha1.VersionInfo{Tag: tag})
		p.releases = append(p.releases, v1alpha1.Release{
			ObjectMeta: metav1.ObjectMeta{Name: app + "-" + tag},
			Spec:       v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: tag}},
			Status:     v1alpha1.ReleaseStatus{Phase: v1alpha1.ReleasePending},
		})
	}
	held := []v1alpha1.Blocker{blocker(promotionGate, environment.ReasonNotDeployedUpstream), blocker(gateName, gate.ReasonAwaitingApproval)}
	if tag == fixed {
		held = slices.Insert(held, 0, blocker(calendarName, apicheck.ReasonAnsweredNo))
	} else {
		s.calendarAllows(tag)
	}
	s.snapshot.production.rollout.Status.BlockedBy = held
	if st := &s.snapshot.staging.rollout.Status; st.Phase == v1alpha1.PhaseFailed {
		st.BlockedBy = []v1alpha1.Blocker{{Kind: "Rollout", Name: app, Reason: v1alpha1.ReasonPreviousFailed}}
		return nil
	}
	s.promote(tag)
	return nil
}

func blocker(gate, reason string) v1alpha1.Blocker {
	return v1alpha1.Blocker{Kind: "RolloutGate", Name: gate, Reason: reason}
}

// promote deploys a version to staging and updates the promotion gate of production.
func (s *fakeCluster) promote(tag string) {
	deploy(&s.snapshot.staging, tag)
	held := &s.snapshot.production.rollout.Status.BlockedBy
	at := slices.IndexFunc(*held, func(b v1alpha1.Blocker) bool { return b.Name == promotionGate })
	if tag == broken {
		(*held)[at].Reason = environment.ReasonQuarantinedUpstream
		return
	}
	*held = slices.Delete(*held, at, at+1)
	s.requestApproval()
}

// requestApproval requests approval for a release that waits for nothing else.
func (s *fakeCluster) requestApproval() {
	if st := &s.snapshot.production.rollout.Status; len(st.BlockedBy) == 1 {
		st.ApprovalRequested = []v1alpha1.ReleaseIdentity{{Tag: st.PendingVersion}}
		s.events = append(s.events, approvalEvent(production, st.PendingVersion))
	}
}

func approvalEvent(namespace, tag string) eventsv1.Event {
	return eventsv1.Event{
		Reason: "ApprovalRequested", Regarding: corev1.ObjectReference{Namespace: namespace, Name: app}, Note: tag + " waits for approval at x",
	}
}

// calendarAllows makes the change calendar allow a version.
func (s *fakeCluster) calendarAllows(tag string) {
	st := &s.snapshot.production.calendar.Status
	st.Verdicts = slices.Insert(st.Verdicts, 0, v1alpha1.GateVerdict{Release: tag, State: v1alpha1.GateOpen})
}

func (s *fakeCluster) allow(_ context.Context, tag string) error {
	s.actions = append(s.actions, "allow "+tag)
	held := &s.snapshot.production.rollout.Status.BlockedBy
	*held = slices.DeleteFunc(*held, func(b v1alpha1.Blocker) bool { return b.Name == calendarName })
	s.calendarAllows(tag)
	s.requestApproval()
	return nil
}

func (s *fakeCluster) unblock(context.Context) error {
	s.actions = append(s.actions, "unblock")
	s.promote(s.snapshot.staging.rollout.Status.PendingVersion)
	return nil
}

// approve denies forged Approvals, as the admission policy does.
func (s *fakeCluster) approve(_ context.Context, a attempt) error {
	s.actions = append(s.actions, a.by+" approves "+a.release+" as "+a.user)
	switch p := &s.snapshot.production; {
	case a.by == a.user:
		p.approvals = append(p.approvals, *a.approval())
		deploy(p, a.tag)
		for i := range p.releases { // those that it overtook
			if st := &p.releases[i].Status; st.Phase == v1alpha1.ReleasePending {
				st.Phase = v1alpha1.ReleaseSuperseded
			}
		}
	case !s.allowsForgery:
		return denied("ValidatingAdmissionPolicy 'kuberik-actors' with binding 'kuberik-actors' denied request: you are " + a.by)
	}
	return nil
}

func denied(why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: "kuberik.com", Resource: "approvals"}, "x", errors.New(why))
}

// deploy sets the result of a deployment.
func deploy(p *namespaceState, tag string) {
	st := &p.rollout.Status
	st.PendingVersion, st.CurrentVersion, st.BlockedBy, st.Phase = "", tag, nil, v1alpha1.PhaseAvailable
	runs(p, tag)
	start := metav1.NewTime(time.Unix(1000, 0))
	end := metav1.NewTime(start.Add(4 * time.Second))
	e := v1alpha1.DeploymentHistoryEntry{
		ID: ptr.To(int64(len(st.History) + 1)), Version: v1alpha1.VersionInfo{Tag: tag}, BakeStatus: ptr.To("Succeeded"),
		BakeStartTime: &start, BakeEndTime: &end,
	}
	rel := p.release(tag)
	rel.Status = v1alpha1.ReleaseStatus{
		Phase: v1alpha1.ReleaseAvailable, Checks: []v1alpha1.CheckEvidence{
			{Name: app, State: "Healthy", Current: true}, {Name: checkName, State: "Healthy", Current: true},
		},
	}
	if tag == broken {
		st.Phase = v1alpha1.PhaseFailed
		e.BakeStatus, e.BakeStartTime, e.FailedHealthChecks = ptr.To("Failed"), nil, []v1alpha1.FailedHealthCheck{{Name: checkName}}
		rel.Status = v1alpha1.ReleaseStatus{
			Phase: v1alpha1.ReleaseFailed, Quarantine: &v1alpha1.ReleaseQuarantine{Reason: "it failed"},
			Checks: []v1alpha1.CheckEvidence{{Name: app, State: "Healthy", Current: true}, {Name: checkName, State: "Unhealthy", Current: true}},
		}
	}
	st.History = slices.Insert(st.History, 0, e)
	p.environment.Status.CurrentTag, p.environment.Status.CurrentState = tag, v1alpha1.BakeStatus(*e.BakeStatus)
}

func play(t *testing.T, s *fakeCluster) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("time is up"))
	defer cancel()
	var out bytes.Buffer
	sc := scenario{actors: s, snapshots: s, display: &lines{out: &out, began: time.Now()}, calendar: "http://127.0.0.1:1/changes"}
	err := sc.runSteps(ctx, sc.steps())
	return out.String(), err
}

func TestScenario(t *testing.T) {
	s := newFakeCluster()
	output, err := play(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"push 1.0.0", "bob approves hello-1.0.0 as alice", "alice approves hello-1.0.0 as alice",
		"push 1.1.0",
		"push 1.2.0", "unblock", "allow 1.2.0", "alice approves hello-1.2.0 as alice",
	}
	if diff := cmp.Diff(want, s.actions); diff != "" {
		t.Errorf("actions:\n%s", diff)
	}
	if err := compare(expected(), facts(s.snapshot, s.events)); err != nil {
		t.Errorf("facts:\n%v", err)
	}
	for _, line := range []string{
		"5/8 dana publishes a version that mends it", "releaseRef: {name: hello-1.2.0}, decision: Approve, user: alice}\" | kubectl --as alice create",
		"✗ the API server refuses: you are bob", "$ curl -X PUT 'http://127.0.0.1:1/changes?tag=1.2.0'",
	} {
		if !strings.Contains(output, line) {
			t.Errorf("the output does not contain %s:\n%s", line, output)
		}
	}
}

// TestScenarioStops checks that a scenario that makes no progress reports the missing result and stops.
func TestScenarioStops(t *testing.T) {
	s := newFakeCluster()
	s.lost = "1.1.0"
	_, err := play(t, s)
	want := `dana publishes the next version; its pods will become ready, but it does not work: time is up: staging: release 1.1.0 is "", not Failed: the Rollout is Available`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if last := s.actions[len(s.actions)-1]; last != "push 1.1.0" {
		t.Errorf("the scenario continued with %s", last)
	}
}

// TestForgery checks that the scenario fails if a user can approve as another user.
func TestForgery(t *testing.T) {
	s := newFakeCluster()
	s.allowsForgery = true
	_, err := play(t, s)
	want := "bob, whom the gate does not ask, tries to approve 1.0.0 as alice: the API server let it pass"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRefusal(t *testing.T) {
	const policy = "ValidatingAdmissionPolicy 'kuberik-actors' with binding 'kuberik-actors' denied request: "
	cases := map[string]struct {
		reason   string
		err      error
		why, bad string
	}{
		"By the policy": {"that is what is shown", denied(policy + "you are bob"), "you are bob", ""},
		"Let pass":      {"then nothing proves who approves", nil, "", "the API server let it pass"},
		"By RBAC":       {"who may not approve at all shows nothing", denied("no"), "", `approvals.kuberik.com "x" is forbidden: no`},
		"No answer":     {"nobody refused anything", errors.New("no route to " + policy), "", "no route to " + policy},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			why, err := refusal(c.err)
			bad := ""
			if err != nil {
				bad = err.Error()
			}
			if diff := cmp.Diff([]string{c.why, c.bad}, []string{why, bad}); diff != "" {
				t.Errorf("%s:\n%s", c.reason, diff)
			}
		})
	}
}

// TestFacts checks that an unexpected final state is reported.
func TestFacts(t *testing.T) {
	cases := map[string]struct {
		reason string
		spoil  func(*fakeCluster)
		want   string
	}{
		"Bad release went through": {
			"the broken release has to fail",
			func(s *fakeCluster) { s.snapshot.staging.release("1.1.0").Status.Phase = v1alpha1.ReleaseAvailable },
			"staging: release 1.1.0 is Available, by the evidence of hello, quarantined",
		},
		"No quarantine": {
			"a failed release must not be deployed again", func(s *fakeCluster) { s.snapshot.staging.release("1.1.0").Status.Quarantine = nil },
			"staging: release 1.1.0 is Failed, by the evidence of hello-http",
		},
		"Short bake": {
			"Available means that it baked",
			func(s *fakeCluster) {
				s.snapshot.production.rollout.Status.History[0].BakeEndTime = ptr.To(metav1.NewTime(time.Unix(1002, 0)))
			},
			"production: deployment 2 of 1.2.0: Succeeded, baked for 2s only",
		},
		"No evidence": {
			"Available needs the evidence of every check",
			func(s *fakeCluster) { s.snapshot.production.release("1.2.0").Status.Checks[0].Current = false },
			"production: release 1.2.0 is Available, by the evidence of hello-http",
		},
		"Deployed twice": {
			"each version is deployed once",
			func(s *fakeCluster) {
				st := &s.snapshot.staging.rollout.Status
				st.History = append(st.History, st.History[0])
			},
			"staging: deployment 3 of 1.2.0: Succeeded, baked for its time",
		},
		"Something else runs": {
			"the history alone is not enough", func(s *fakeCluster) { runs(&s.snapshot.staging, broken) },
			"staging: the Deployment runs hello:1.1.0, 2 of 2 pods ready",
		},
		"Never ran": {
			"a version that never ran cannot have failed its check",
			func(s *fakeCluster) { s.snapshot.staging.sets = slices.Delete(s.snapshot.staging.sets, 2, 3) },
			"staging: the Deployment has run hello:1.0.0, hello:1.2.0",
		},
		"Ran in production": {
			"staging is there to keep it out",
			func(s *fakeCluster) { s.snapshot.production.sets = s.snapshot.staging.sets },
			"production: the Deployment has run hello:1.0.0, hello:1.1.0, hello:1.2.0",
		},
		"Failed by another check": {
			"its own HTTP check has to fail",
			func(s *fakeCluster) { s.snapshot.staging.rollout.Status.History[1].FailedHealthChecks[0].Name = app },
			"staging: deployment 2 of 1.1.0: Failed, never baked, by hello",
		},
		"Somebody else approved": {
			"only alice may approve",
			func(s *fakeCluster) {
				p := &s.snapshot.production
				p.approvals = append(p.approvals, *attempt{by: impostor, user: impostor, tag: "1.0.0", release: "hello-1.0.0"}.approval())
			},
			"production: alice approved 1.0.0, 1.2.0; bob approved 1.0.0; nobody else approved anything",
		},
		"Approved twice": {
			"one release is approved once",
			func(s *fakeCluster) {
				s.snapshot.production.approvals = append(s.snapshot.production.approvals, s.snapshot.production.approvals[0])
			},
			"production: alice approved 1.0.0, 1.0.0, 1.2.0; nobody else approved anything",
		},
		"Asked by an event": {
			"no approval is requested for a release that cannot be deployed", func(s *fakeCluster) { s.events = append(s.events, approvalEvent(production, "1.1.0")) },
			"production: release 1.1.0 is Superseded, never deployed; people were asked to approve it",
		},
		"Asked on record": {
			"an event may have been lost",
			func(s *fakeCluster) {
				s.snapshot.production.rollout.Status.ApprovalRequested = []v1alpha1.ReleaseIdentity{{Tag: "1.1.0"}, {Tag: "1.2.0"}}
			},
			"production: release 1.1.0 is Superseded, never deployed; people were asked to approve it",
		},
		"Asked for staging": {
			"staging needs no approval", func(s *fakeCluster) { s.events = append(s.events, approvalEvent(staging, "1.0.0")) },
			"staging: people were asked for approval",
		},
		"Never asked": {
			"approval has to be requested for the other releases",
			func(s *fakeCluster) { s.snapshot.production.rollout.Status.ApprovalRequested, s.events = nil, nil },
			"production: nobody was asked for approval",
		},
		"Past the calendar": {
			"the calendar has to allow each release",
			func(s *fakeCluster) { s.snapshot.production.calendar.Status.Verdicts[0].State = v1alpha1.GateClosed },
			"production: change-calendar let pass 1.0.0, 1.1.0",
		},
		"Old pods": {
			"a pod of the old version that is ready does not count",
			func(s *fakeCluster) { s.snapshot.production.deployment.Status.UpdatedReplicas = 1 },
			"production: the Deployment runs hello:1.2.0, 1 of 2 pods ready",
		},
		"Still waits": {
			"nothing may be pending at the end", func(s *fakeCluster) { s.snapshot.production.rollout.Status.PendingVersion = "1.3.0" },
			"production: the Rollout is Available and runs 1.2.0; 1.3.0 waits: the Rollout is Available",
		},
		"Environment lags": {
			"the Environment has to report the version",
			func(s *fakeCluster) { s.snapshot.production.environment.Status.CurrentTag = "1.0.0" },
			"production: the Environment says 1.0.0, Succeeded; it takes releases after staging",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newFakeCluster()
			if _, err := play(t, s); err != nil {
				t.Fatal(err)
			}
			c.spoil(s)
			err := compare(expected(), facts(s.snapshot, s.events))
			if err == nil || !strings.Contains(err.Error(), "  found:   "+c.want+"\n") && !strings.HasSuffix(err.Error(), "  found:   "+c.want) {
				t.Errorf("%s: got %v, want %s", c.reason, err, c.want)
			}
		})
	}
}

func TestPage(t *testing.T) {
	s := newFakeCluster()
	if _, err := play(t, s); err != nil {
		t.Fatal(err)
	}
	began := time.Unix(2000, 0)
	approval := attempt{by: approver, user: approver, tag: "1.2.0", release: "hello-1.2.0-c6453d96"}
	p := page{began: began, snapshot: s.snapshot, below: []string{"8/8 alice approves 1.2.0 for production", "$ " + approval.command()}}
	for i := range 12 {
		p.log = append(p.log, entry{time.Duration(i) * time.Second, "◆ something happened that takes a lot of words to describe in full detail"})
	}
	for name, size := range map[string][2]int{"wide": {120, 30}, "narrow": {50, 24}, "tiny": {30, 8}, "nothing": {30, 0}} {
		t.Run(name, func(t *testing.T) {
			frame := p.frame(view.Style{Width: size[0] - 1}, size[1], began.Add(83*time.Second))
			if len(frame) != size[1] {
				t.Errorf("the frame has %d lines on a terminal of %d", len(frame), size[1])
			}
			golden(t, filepath.Join("testdata", "page-"+name+".txt"), strings.Join(frame, "\n")+"\n")
		})
	}
}

// TestCommandBreaks checks that a shell runs a command in the same way wherever it is broken.
func TestCommandBreaks(t *testing.T) {
	line := `printf "kind: Approval\nspec: {releaseRef: {name: hello-1.2.0-c6453d96}, user: alice}" | cat -`
	const want = "kind: Approval\nspec: {releaseRef: {name: hello-1.2.0-c6453d96}, user: alice}"
	for width := 1; width < len(line)+10; width++ {
		pieces := command(line, width)
		got, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(pieces, "\n")).CombinedOutput()
		if err != nil || string(got) != want {
			t.Errorf("%d columns: got %q, %v from\n%s", width, got, err, strings.Join(pieces, "\n"))
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update writes it anew):\n%s", path, diff)
	}
}

// TestUnexpectedFailure checks that the scenario ends at once if another release fails.
func TestUnexpectedFailure(t *testing.T) {
	t.Parallel()
	s := newFakeCluster()
	deploy(s.snapshot.namespaceStates()[0], "1.0.0")
	deploy(s.snapshot.namespaceStates()[0], broken)
	if got := unexpected(s.snapshot); got != "" {
		t.Errorf("the broken release is to fail: %s", got)
	}
	e := &s.snapshot.namespaceStates()[0].rollout.Status.History[1]
	e.BakeStatus, e.BakeStatusMessage = ptr.To("Failed"), ptr.To("Deploy timeout reached")
	if got, want := unexpected(s.snapshot), "1.0.0 failed in staging: Deploy timeout reached"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
