package gate

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// store holds one gate and one Rollout. A write fails if the gate has changed since it was read.
type store struct {
	client.Client
	mu     sync.Mutex
	gate   *v1alpha1.RolloutGate // nil once it is deleted
	ro     *v1alpha1.Rollout
	writes int
}

func (s *store) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ro == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "rollouts"}, key.Name)
	}
	s.ro.DeepCopyInto(obj.(*v1alpha1.Rollout))
	return nil
}

func (s *store) Status() client.SubResourceWriter { return statuses{store: s} }

type statuses struct {
	client.SubResourceWriter
	store *store
}

func (s statuses) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	group := schema.GroupResource{Resource: "rolloutgates"}
	switch {
	case s.store.gate == nil:
		return apierrors.NewNotFound(group, o.GetName())
	case s.store.gate.ResourceVersion != o.GetResourceVersion():
		return apierrors.NewConflict(group, o.GetName(), fmt.Errorf("it is %s", s.store.gate.ResourceVersion))
	}
	s.store.writes++
	s.store.set(func(g *v1alpha1.RolloutGate) { g.Status = o.(*v1alpha1.RolloutGate).Status })
	o.SetResourceVersion(s.store.gate.ResourceVersion)
	return nil
}

// Compile accepts every expression.
func (*fakeAsker) Compile(context.Context, *v1alpha1.RolloutGate) error { return nil }

// set changes the gate, as the API server stores it.
func (s *store) set(edit func(*v1alpha1.RolloutGate)) {
	next := s.gate.DeepCopy()
	edit(next)
	next.ResourceVersion += "'"
	s.gate = next
}

// fakeAsker returns configured verdicts and records the releases that it is asked about.
type fakeAsker struct {
	mu    sync.Mutex
	asked []expr.Release
	// says maps releases to verdicts; closed if not set.
	says map[v1alpha1.ReleaseIdentity]gate.Verdict
	// before is called before it answers.
	before func()
}

func (v *fakeAsker) Ask(_ context.Context, _ *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	if v.before != nil {
		v.before()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = append(v.asked, r)
	if said, ok := v.says[v1alpha1.ReleaseIdentity{Tag: r.Tag, Digest: r.Digest}]; ok {
		return said
	}
	return gate.Verdict{State: v1alpha1.GateClosed, Reason: "AnsweredNo", Message: "answered 403, expected 200-299"}
}

func (v *fakeAsker) yes(tag, digest string) {
	v.says[v1alpha1.ReleaseIdentity{Tag: tag, Digest: digest}] = gate.Verdict{State: v1alpha1.GateOpen, Reason: "AnsweredYes", Message: "answered 200"}
}

// takeAsked returns the sorted releases that were asked about since the last call.
func (v *fakeAsker) takeAsked() []string {
	var list []string
	for _, r := range v.asked {
		list = append(list, r.Tag+"@"+r.Digest)
	}
	slices.Sort(list)
	v.asked = nil
	return list
}

// fixture is a controller with its store, clock and asker.
type fixture struct {
	*Controller
	t     *testing.T
	store *store
	clock *clocktesting.FakePassiveClock
	asker *fakeAsker
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newFixture(t *testing.T, candidates ...v1alpha1.VersionInfo) *fixture {
	t.Helper()
	every := v1alpha1.Duration("10s")
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "api", UID: "1", Generation: 1, ResourceVersion: "1"}}
	g.Spec.RolloutRef.Name = "app"
	g.Spec.HTTP = &v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{URL: "http://api"}, Interval: &every}
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	ro.Status.ReleaseCandidates, ro.Status.AvailableReleases = candidates, candidates
	w := &fixture{
		t: t, store: &store{gate: g, ro: ro}, clock: clocktesting.NewFakePassiveClock(start),
		asker: &fakeAsker{says: map[v1alpha1.ReleaseIdentity]gate.Verdict{}},
	}
	w.restart()
	return w
}

// restart replaces the controller by a new one with an empty cache.
func (w *fixture) restart() { w.Controller = New(w.store, w.clock, WithHTTPAsker(w.asker)) }

func (w *fixture) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// reconcile reconciles the gate as it is stored.
func (w *fixture) reconcile() ctrl.Result {
	w.t.Helper()
	return w.reconcileCached(w.store.gate)
}

// reconcileCached reconciles a gate as a cache may have it.
func (w *fixture) reconcileCached(g *v1alpha1.RolloutGate) ctrl.Result {
	w.t.Helper()
	result, err := w.Reconcile(w.t.Context(), g.DeepCopy())
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

// want compares what was asked, what is stored, and how often it was written.
func (w *fixture) want(step string, asked, verdicts []string, writes int) {
	w.t.Helper()
	var stored []string
	for _, v := range w.store.gate.Status.Verdicts {
		stored = append(stored, fmt.Sprintf("%s@%s %s %s +%s", v.Release, v.Digest, v.State, v.Reason, v.Since.Sub(start)))
	}
	if diff := cmp.Diff(asked, w.asker.takeAsked()); diff != "" {
		w.t.Errorf("%s: asked (-want +got):\n%s", step, diff)
	}
	if diff := cmp.Diff(verdicts, stored); diff != "" {
		w.t.Errorf("%s: verdicts (-want +got):\n%s", step, diff)
	}
	if w.store.writes != writes {
		w.t.Errorf("%s: wrote %d times, want %d", step, w.store.writes, writes)
	}
}

func (w *fixture) wantAgain(step string, got ctrl.Result, want time.Duration) {
	w.t.Helper()
	if got.RequeueAfter != want {
		w.t.Errorf("%s: again after %s, want %s", step, got.RequeueAfter, want)
	}
}

func v(tag, digest string) v1alpha1.VersionInfo {
	return v1alpha1.VersionInfo{Tag: tag, Digest: digest, Revision: new("rev-" + tag)}
}

func TestAsksUntilTheAnswerIsYesAndThenNoMore(t *testing.T) {
	w := newFixture(t, v("1.1", "b"), v("1.0", "a"))
	both := []string{"1.0@a", "1.1@b"}
	no := []string{"1.1@b closed AnsweredNo +0s", "1.0@a closed AnsweredNo +0s"}
	w.wantAgain("at first", w.reconcile(), 10*time.Second)
	if diff := cmp.Diff(expr.Release{Tag: "1.1", Digest: "b", Revision: "rev-1.1", Rollout: "app", Namespace: "ns"}, w.asker.asked[slices.IndexFunc(w.asker.asked, func(r expr.Release) bool { return r.Tag == "1.1" })]); diff != "" {
		t.Error(diff)
	}
	w.want("at first", both, no, 1)
	if g := w.store.gate; g.Status.ObservedGeneration != 1 || len(g.Status.Conditions) != 1 || g.Status.Conditions[0].Reason != "Evaluated" {
		t.Errorf("%+v", g.Status)
	}
	w.pass(3 * time.Second)
	w.wantAgain("too early", w.reconcile(), 7*time.Second)
	w.want("too early", nil, no, 1)
	w.pass(7 * time.Second)
	w.wantAgain("the same answer", w.reconcile(), 10*time.Second)
	w.want("the same answer", both, no, 1)

	w.pass(10 * time.Second)
	w.asker.yes("1.1", "b")
	w.wantAgain("yes", w.reconcile(), 10*time.Second)
	yes := []string{"1.1@b open AnsweredYes +20s", "1.0@a closed AnsweredNo +0s"}
	w.want("yes", both, yes, 2)
	w.pass(10 * time.Second)
	w.reconcile()
	w.want("only the other one", []string{"1.0@a"}, yes, 2)
	w.asker.yes("1.0", "a")
	w.pass(10 * time.Second)
	w.wantAgain("all open", w.reconcile(), 0)
	w.want("all open", []string{"1.0@a"}, []string{"1.1@b open AnsweredYes +20s", "1.0@a open AnsweredYes +40s"}, 3)
	w.pass(time.Hour)
	w.reconcile()
	w.want("for ever", nil, []string{"1.1@b open AnsweredYes +20s", "1.0@a open AnsweredYes +40s"}, 3)
	if !gate.Evaluate(w.store.gate, v1alpha1.ReleaseIdentity{Tag: "1.1", Digest: "b"}, gate.Context{Now: w.clock.Now()}).Open() {
		t.Error("what was written does not open the gate")
	}
}

func TestAReasonThatChangesIsWritten(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.reconcile()
	w.want("no", []string{"1.0@a"}, []string{"1.0@a closed AnsweredNo +0s"}, 1)
	w.asker.says[v1alpha1.ReleaseIdentity{Tag: "1.0", Digest: "a"}] = gate.Verdict{State: v1alpha1.GateClosed, Reason: "NoAnswer", Message: "timed out after 10s"}
	w.pass(10 * time.Second)
	w.reconcile()
	w.want("silence", []string{"1.0@a"}, []string{"1.0@a closed NoAnswer +10s"}, 2)
}

// TestAURLThatNeverAnswersIsAskedLessAndLess: each request keeps a worker waiting. An answer, even a no, ends that.
func TestAURLThatNeverAnswersIsAskedLessAndLess(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	about := v1alpha1.ReleaseIdentity{Tag: "1.0", Digest: "a"}
	w.asker.says[about] = gate.Verdict{State: v1alpha1.GateClosed, Reason: apicheck.ReasonNoAnswer, Message: "timed out after 10s"}
	asked := []string{"1.0@a"}
	for _, again := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 2 * time.Minute, 2 * time.Minute} {
		w.wantAgain("silence", w.reconcile(), again)
		w.pass(again - time.Second)
		w.wantAgain("too early", w.reconcile(), time.Second)
		w.want("silence", asked, []string{"1.0@a closed NoAnswer +0s"}, 1)
		w.pass(time.Second)
	}
	w.asker.says = nil
	w.wantAgain("no", w.reconcile(), 10*time.Second)
}

// TestExpressionsThatTakeTooMuchWait: a gate whose namespace has used up its time asks later.
func TestExpressionsThatTakeTooMuchWait(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.budget.Spend("ns", fair.AtOnce+300*time.Millisecond, w.clock.Now())
	w.wantAgain("in debt", w.reconcile(), 3*time.Second)
	w.want("in debt", nil, nil, 0)
	w.pass(3 * time.Second)
	w.reconcile()
	w.want("out of debt", []string{"1.0@a"}, []string{"1.0@a closed AnsweredNo +3s"}, 1)
	charges := WithHTTPAsker(charging{w.asker})
	charges(w.Controller)
	w.pass(time.Minute)
	w.reconcile()
	if wait := w.budget.Wait("ns", w.clock.Now()); wait != time.Second {
		t.Errorf("what an answer takes is not counted: %s", wait)
	}
}

// charging takes a second more than there is for each answer.
type charging struct{ Asker }

func (c charging) Ask(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	fair.Charge(ctx, fair.AtOnce+100*time.Millisecond)
	return c.Asker.Ask(ctx, g, r)
}

// TestAGateThatIsDeletedAsksNoMore: nor does one whose spec is changed, and what was asked by then is not written.
func TestAGateThatIsDeletedAsksNoMore(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.asker.before = func() {
		w.asks.Delete(t.Context(), event.DeleteEvent{Object: w.store.gate}, nil)
	}
	w.wantAgain("deleted", w.reconcile(), 0)
	w.want("deleted", []string{"1.0@a"}, nil, 0)
}

func TestATimeoutThatIsNotUsedIsSaid(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	long := v1alpha1.Duration("5m")
	w.store.gate.Spec.HTTP.Timeout = &long
	w.reconcile()
	want := "; spec.http.timeout is 5m, of which 30s are used"
	if got := w.store.gate.Status.Conditions[0].Message; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end with %q", got, want)
	}
}

// TestRestart: the memory is the status, for what was let pass.
func TestRestartedItAsksOnlyAboutWhatWasNotLetPass(t *testing.T) {
	w := newFixture(t, v("1.1", "b"), v("1.0", "a"))
	w.asker.yes("1.0", "a")
	w.reconcile()
	stored := []string{"1.1@b closed AnsweredNo +0s", "1.0@a open AnsweredYes +0s"}
	w.want("before", []string{"1.0@a", "1.1@b"}, stored, 1)
	w.restart()
	w.pass(time.Second)
	w.reconcile()
	w.want("after", []string{"1.1@b"}, stored, 1)
}

func TestAMovedTagIsAskedAnew(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.asker.yes("1.0", "a")
	w.reconcile()
	w.want("before", []string{"1.0@a"}, []string{"1.0@a open AnsweredYes +0s"}, 1)
	w.store.ro.Status.ReleaseCandidates = []v1alpha1.VersionInfo{v("1.0", "b")}
	w.pass(time.Second)
	w.reconcile()
	w.want("moved", []string{"1.0@b"}, []string{"1.0@b closed AnsweredNo +1s", "1.0@a open AnsweredYes +0s"}, 2)
	for digest, want := range map[string]bool{"a": true, "b": false, "": false, "c": false} {
		if got := gate.Evaluate(w.store.gate, v1alpha1.ReleaseIdentity{Tag: "1.0", Digest: digest}, gate.Context{}).Open(); got != want {
			t.Errorf("it is open for the digest %q: %t", digest, got)
		}
	}
	w.store.ro.Status.ReleaseCandidates = []v1alpha1.VersionInfo{v("1.0", "a")}
	w.reconcile()
	w.want("moved back", nil, []string{"1.0@a open AnsweredYes +0s"}, 3)
}

func TestAChangedSpecForgetsEverything(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.asker.yes("1.0", "a")
	w.reconcile()
	w.want("before", []string{"1.0@a"}, []string{"1.0@a open AnsweredYes +0s"}, 1)
	w.store.set(func(g *v1alpha1.RolloutGate) { g.Generation = 2 })
	shut := func() {
		if gate.Evaluate(w.store.gate, v1alpha1.ReleaseIdentity{Tag: "1.0", Digest: "a"}, gate.Context{}).Open() {
			t.Error("what was said under another spec opens the gate")
		}
	}
	w.asker.before = shut
	w.asker.says = nil
	w.pass(time.Second)
	w.reconcile()
	w.want("after", []string{"1.0@a"}, []string{"1.0@a closed AnsweredNo +1s"}, 2)
}

// TestAnAnswerToAnOldQuestion: the spec changes while the URL is being asked.
func TestAnAnswerToAnOldQuestionOpensNothing(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.asker.yes("1.0", "a")
	w.asker.before = func() {
		w.store.set(func(g *v1alpha1.RolloutGate) { g.Generation, g.Spec.HTTP.URL = 2, "http://other" })
		w.asker.before = nil
	}
	w.wantAgain("changed", w.reconcile(), 5*time.Millisecond)
	w.want("changed", []string{"1.0@a"}, nil, 0)
	w.asker.says = nil
	w.reconcile()
	w.want("looked at again", []string{"1.0@a"}, []string{"1.0@a closed AnsweredNo +0s"}, 1)
}

// TestAStaleCache: what was answered is not asked again because a cache does not show it yet, or a write came to nothing.
func TestAStaleCacheIsNoReasonToAskAgain(t *testing.T) {
	w := newFixture(t, v("1.1", "b"), v("1.0", "a"))
	w.asker.yes("1.0", "a")
	stale := w.store.gate
	w.asker.before = func() {
		w.store.set(func(g *v1alpha1.RolloutGate) { g.Labels = map[string]string{"a": fmt.Sprint(len(g.Labels))} })
	}
	w.reconcileCached(stale)
	w.want("lost", []string{"1.0@a", "1.1@b"}, nil, 0)
	w.reconcileCached(stale)
	w.want("still behind", nil, nil, 0)
	w.pass(10 * time.Second)
	w.reconcileCached(stale)
	w.want("behind for long", []string{"1.1@b"}, nil, 0)
	w.reconcile()
	stored := []string{"1.1@b closed AnsweredNo +10s", "1.0@a open AnsweredYes +10s"}
	w.want("written", nil, stored, 1)
	w.reconcileCached(stale)
	w.want("behind again", nil, stored, 1)
}

func TestDeletedWhileAsking(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.asker.yes("1.0", "a")
	g := w.store.gate
	w.asker.before = func() { w.store.gate = nil }
	w.wantAgain("deleted", w.reconcileCached(g), 0)
	if w.store.writes != 0 {
		t.Error("wrote about a gate that is gone")
	}
	w.asker.takeAsked()
	going := g.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{Time: start}
	w.reconcileCached(going)
	if len(w.asker.takeAsked()) > 0 {
		t.Error("asked for a gate that is being deleted")
	}
	t.Run("and made anew", func(t *testing.T) {
		w.asker.before = nil
		w.store.gate = g.DeepCopy()
		w.store.gate.UID = "2"
		w.reconcile()
		w.want("anew", []string{"1.0@a"}, []string{"1.0@a open AnsweredYes +0s"}, 1)
	})
}

func TestAControllerThatEndsWritesNothing(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	ctx, cancel := context.WithCancel(t.Context())
	w.asker.yes("1.0", "a")
	w.asker.before = cancel
	if _, err := w.Reconcile(ctx, w.store.gate.DeepCopy()); err == nil {
		t.Error("it ended without an error")
	}
	w.asker.before = nil
	w.want("ended", []string{"1.0@a"}, nil, 0)
	w.reconcile()
	w.want("looked at again", []string{"1.0@a"}, []string{"1.0@a open AnsweredYes +0s"}, 1)
}

func TestWhatTheSpecClosesIsNotAsked(t *testing.T) {
	w := newFixture(t, v("1.1", "b"), v("1.0", "a"))
	w.store.gate.Spec.AllowedVersions = &[]string{"1.0"}
	w.reconcile()
	w.want("allowedVersions", []string{"1.0@a"}, []string{"1.1@b closed NotAllowed +0s", "1.0@a closed AnsweredNo +0s"}, 2) // the digest of 1.0, then the verdicts
	w.store.set(func(g *v1alpha1.RolloutGate) { g.Generation, g.Spec.Passing = 2, new(bool) })
	w.wantAgain("passing", w.reconcile(), 0)
	w.want("passing", nil, []string{"1.1@b closed NotPassing +0s", "1.0@a closed NotPassing +0s"}, 3)
}

func TestNothingToAsk(t *testing.T) {
	w := newFixture(t)
	w.wantAgain("no candidates", w.reconcile(), 0)
	w.want("no candidates", nil, nil, 1)
	w.store.ro = nil
	w.reconcile()
	w.want("no Rollout", nil, nil, 2)
	if c := w.store.gate.Status.Conditions[0]; c.Reason != "RolloutNotFound" {
		t.Errorf("%+v", c)
	}
	t.Run("and nobody to ask", func(t *testing.T) {
		w := newFixture(t, v("1.0", "a"))
		w.Controller = New(w.store, w.clock)
		w.reconcile()
		w.want("left alone", nil, nil, 0)
	})
}

func TestItAsksAFewAtATime(t *testing.T) {
	w := newFixture(t)
	for i := range gate.MaxCandidates {
		w.store.ro.Status.ReleaseCandidates = append(w.store.ro.Status.ReleaseCandidates, v(fmt.Sprint(i), "x"))
	}
	var mu sync.Mutex
	full, here := make(chan struct{}), 0
	// Nobody is answered before as many are here as there may be at once.
	w.asker.before = func() {
		mu.Lock()
		here++
		if here > maxConcurrent {
			t.Errorf("%d questions at once", here)
		}
		mine := full
		if here == maxConcurrent {
			close(full)
			full, here = make(chan struct{}), 0
		}
		mu.Unlock()
		<-mine
	}
	w.reconcile()
	if n := len(w.asker.takeAsked()); n != gate.MaxCandidates {
		t.Errorf("asked %d times", n)
	}
}

func TestItKeepsNotTooMuch(t *testing.T) {
	w := newFixture(t)
	const many = 100
	for i := range many {
		w.asker.yes(fmt.Sprint(i), "x")
		w.store.ro.Status.ReleaseCandidates = []v1alpha1.VersionInfo{v(fmt.Sprint(i), "x")}
		w.reconcile()
	}
	if list := w.store.gate.Status.Verdicts; len(w.asker.takeAsked()) != many || len(list) != maxVerdicts || list[0].Release != "99" {
		t.Errorf("%d verdicts, the first for %s", len(list), list[0].Release)
	}
}

// TestThroughTheWire asks a real server, with everything between.
func TestThroughTheWire(t *testing.T) {
	w := newFixture(t, v("1.0", "sha256:a"))
	var asked []string
	status := http.StatusForbidden
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		rw.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	out := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Keys: &outboundtest.Keys{},
	})
	t.Cleanup(out.Close)
	w.store.gate.Spec.HTTP.URL = server.URL
	w.store.gate.Spec.HTTP.Query = map[string]string{"tag": "release.tag", "digest": "release.digest"}
	w.Controller = New(w.store, w.clock, WithHTTPAsker(apicheck.Asker{Client: out, Conditions: expr.NewCache(8<<20, 8<<20)}))
	w.reconcile()
	w.want("no", nil, []string{"1.0@sha256:a closed AnsweredNo +0s"}, 1)
	status = http.StatusOK
	w.pass(10 * time.Second)
	w.reconcile()
	w.reconcile()
	w.want("yes", nil, []string{"1.0@sha256:a open AnsweredYes +10s"}, 2)
	question := "digest=sha256%3Aa&tag=1.0"
	if diff := cmp.Diff([]string{question, question}, asked); diff != "" {
		t.Error(diff)
	}
}

// TestAReasonThatChangesAllTheTimeIsWrittenNowAndThen, and the last one is not lost. A release that may pass is not delayed.
func TestAReasonThatChangesAllTheTimeIsWrittenNowAndThen(t *testing.T) {
	w := newFixture(t, v("1.0", "a"))
	w.store.gate.Spec.HTTP.Interval = new(v1alpha1.Duration("1s"))
	says := func(message string) {
		w.asker.says[v1alpha1.ReleaseIdentity{Tag: "1.0", Digest: "a"}] = gate.Verdict{State: v1alpha1.GateClosed, Reason: "AnsweredNo", Message: message}
	}
	for i := range 200 {
		says(fmt.Sprint("answer ", i))
		w.reconcile()
		w.pass(time.Second)
	}
	if n := w.store.writes; n < 20 || n > 30 {
		t.Errorf("200 seconds of changing reasons cost %d writes", n)
	}
	for range 11 { // the reason does not change any more
		w.reconcile()
		w.pass(time.Second)
	}
	if got := w.store.gate.Status.Verdicts[0].Message; got != "answer 199" {
		t.Errorf("it says %q", got)
	}
	for i := range 5 {
		says(fmt.Sprint("another ", i))
		w.reconcile()
		w.pass(time.Second)
	}
	w.asker.yes("1.0", "a")
	w.reconcile()
	if got := w.store.gate.Status.Verdicts[0].State; got != v1alpha1.GateOpen {
		t.Errorf("it is %s", got)
	}
}

// TestCompilingIsCharged: a gate that is asked nothing, because its Rollout has no candidates, still compiles its
// expressions in each reconcile.
func TestCompilingIsCharged(t *testing.T) {
	w := newFixture(t)
	WithHTTPAsker(compiling{w.asker})(w.Controller)
	w.reconcile()
	if wait := w.budget.Wait("ns", w.clock.Now()); wait != time.Second {
		t.Errorf("what compiling takes is not counted: %s", wait)
	}
}

// compiling takes a tenth of a second more than there is for each gate.
type compiling struct{ Asker }

func (compiling) Compile(ctx context.Context, _ *v1alpha1.RolloutGate) error {
	fair.Charge(ctx, fair.AtOnce+100*time.Millisecond)
	return nil
}
