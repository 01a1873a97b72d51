package approval

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

var made = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)

// world is a namespace where release 1.1.0 of Rollout app waits at the manual gate "approval".
type world struct {
	*testing.T
	ro     *v1alpha1.Rollout
	rel    *v1alpha1.Release
	gates  []*v1alpha1.RolloutGate
	others []*v1alpha1.Approval
	about  *v1alpha1.Approval
	client client.Client
	writes int
	clock  *clocktesting.FakePassiveClock
	// unproven says why nothing proves who approves.
	unproven string
	// overrides are what is created besides, and doubt says why they do not count.
	overrides []*v1alpha1.Override
	doubt     string
}

func meta(name string, at time.Time) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(at)}
}

func manual(name string, edits ...func(*v1alpha1.RolloutGate)) *v1alpha1.RolloutGate {
	g := &v1alpha1.RolloutGate{ObjectMeta: meta(name, made)}
	g.Spec.RolloutRef.Name = "app"
	for _, edit := range edits {
		edit(g)
	}
	return g
}

func newWorld(t *testing.T) *world {
	t.Helper()
	v, controls := v1alpha1.VersionInfo{Tag: "1.1.0", Digest: "sha256:a"}, true
	w := &world{
		T: t, ro: &v1alpha1.Rollout{ObjectMeta: meta("app", made)}, clock: clocktesting.NewFakePassiveClock(made.Add(time.Hour)),
		rel: &v1alpha1.Release{ObjectMeta: meta("app-1.1.0", made), Spec: v1alpha1.ReleaseSpec{Version: v}},
		about: &v1alpha1.Approval{ObjectMeta: meta("a", made.Add(time.Minute)), Spec: v1alpha1.ApprovalSpec{
			ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, Decision: v1alpha1.Approve, User: "ann",
		}},
		gates: []*v1alpha1.RolloutGate{manual("approval")},
	}
	w.rel.Spec.RolloutRef.Name = "app"
	w.rel.OwnerReferences = []metav1.OwnerReference{{Kind: "Rollout", Name: "app", UID: "uid-app", Controller: &controls}}
	w.rel.Status.Phase = v1alpha1.ReleasePending
	w.ro.Status.ReleaseCandidates = []v1alpha1.VersionInfo{v}
	return w
}

// Of implements Reader.
func (w *world) Read(ctx context.Context, _ *v1alpha1.Rollout, releases []*v1alpha1.Release) (approval.Approvals, error) {
	said := approval.Approvals{UnverifiedReason: w.unproven}
	var list v1alpha1.ApprovalList
	if err := w.client.List(ctx, &list); err != nil {
		return said, err
	}
	for i := range list.Items {
		a := &list.Items[i]
		for _, rel := range releases {
			if a.Spec.ReleaseRef.Name == rel.Name && approval.Mismatch("Approval", a, a.Spec.ReleaseRef.UID, rel) == "" {
				said.Approvals = append(said.Approvals, gate.Approval{
					Name: a.Name, Release: version.Identity(rel.Spec.Version), Gate: a.Spec.GateName(), Decision: a.Spec.Decision,
					User: a.Spec.User, Groups: a.Spec.Groups, At: a.CreationTimestamp.Time,
				})
			}
		}
	}
	for _, o := range w.overrides {
		said.Overrides = append(said.Overrides, release.Override{UntrustedReason: w.doubt, UsedOverride: v1alpha1.UsedOverride{
			Name: o.Name, Bypass: o.Spec.Bypass, ExpiresAt: o.Spec.ExpiresAt,
		}})
	}
	return said, nil
}

// start stores what is there.
func (w *world) start() {
	w.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		w.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Approval{}, &v1alpha1.Override{}).WithObjects(w.about).
		WithIndex(&v1alpha1.RolloutGate{}, kube.ByRollout, func(o client.Object) []string { return []string{o.(*v1alpha1.RolloutGate).Spec.RolloutRef.Name} })
	for _, i := range approval.Indexes() {
		b = b.WithIndex(i.Object, i.Key, i.Values)
	}
	if w.ro != nil {
		b = b.WithObjects(w.ro)
	}
	if w.rel != nil {
		b = b.WithObjects(w.rel)
	}
	for _, g := range w.gates {
		b = b.WithObjects(g)
	}
	for _, a := range w.others {
		b = b.WithObjects(a)
	}
	for _, o := range w.overrides {
		b = b.WithObjects(o)
	}
	w.client = interceptor.NewClient(b.Build(), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			w.writes++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
}

// reconcile returns what the Approval says after a reconcile, and when it is reconciled again.
func (w *world) reconcile() (metav1.Condition, time.Duration) {
	w.Helper()
	result, err := New(w.client, w.clock, w).Reconcile(w.Context(), request("ns", w.about.Spec.ReleaseRef.Name))
	if err != nil {
		w.Fatal(err)
	}
	var a v1alpha1.Approval
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(w.about), &a); err != nil {
		w.Fatal(err)
	}
	c := apimeta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionCounted)
	if c == nil {
		w.Fatal("the Approval has no condition")
	}
	return *c, result.RequeueAfter
}

// TestCounted checks the condition of every kind of Approval that is counted, or is not.
func TestCounted(t *testing.T) {
	t.Parallel()
	hour := v1alpha1.Duration("1h")
	class := func(class string) func(*v1alpha1.RolloutGate) {
		return func(g *v1alpha1.RolloutGate) { g.Spec.Class = class }
	}
	from := func(users ...string) func(*v1alpha1.RolloutGate) {
		return func(g *v1alpha1.RolloutGate) {
			g.Spec.Approvals = &v1alpha1.ApprovalPolicy{AllowAuthor: true, ExpireAfter: &hour, From: &v1alpha1.Approvers{Users: users}}
		}
	}
	for name, tc := range map[string]struct {
		edit         func(*world)
		reason, says string
		// again is when the condition changes by itself.
		again time.Duration
	}{
		"counted":                {func(*world) {}, "Counted", "counted by RolloutGate approval", 0},
		"a rejection":            {func(w *world) { w.about.Spec.Decision = v1alpha1.Reject }, "Counted", "counted by RolloutGate approval", 0},
		"for this gate":          {func(w *world) { w.about.Spec.GateRef = &corev1.LocalObjectReference{Name: "approval"} }, "Counted", "counted by RolloutGate approval", 0},
		"no Release":             {func(w *world) { w.about.Spec.ReleaseRef.Name = "app-9" }, "ReleaseNotFound", "no Release app-9 exists in namespace ns: kubectl get rel -n ns lists those that exist; delete this Approval", 0},
		"the tag":                {func(w *world) { w.about.Spec.ReleaseRef.Name = "1.1.0" }, "ReleaseNotFound", "the tag 1.1.0 belongs to Release app-1.1.0", 0},
		"older than the Release": {func(w *world) { w.about.CreationTimestamp = metav1.NewTime(made.Add(-time.Second)) }, "OtherRelease", "the Approval is older than Release app-1.1.0", 0},
		"of another uid":         {func(w *world) { w.about.Spec.ReleaseRef.UID = "x" }, "OtherRelease", "spec.releaseRef.uid is x, and the uid of Release app-1.1.0 is uid-app-1.1.0", 0},
		"a Rollout that is gone": {func(w *world) { w.ro = nil }, "RolloutNotFound", "Rollout app of Release app-1.1.0 does not exist any more", 0},
		"a Rollout made anew":    {func(w *world) { w.ro.UID = "another" }, "RolloutNotFound", "does not exist any more", 0},
		"no such gate":           {func(w *world) { w.about.Spec.GateRef = &corev1.LocalObjectReference{Name: "approve"} }, "GateNotFound", "Rollout app has no gate approve; its manual gates are approval; delete this Approval", 0},
		"a gate of another Rollout": {func(w *world) {
			w.about.Spec.GateRef = &corev1.LocalObjectReference{Name: "other"}
			w.gates = append(w.gates, manual("other", func(g *v1alpha1.RolloutGate) { g.Spec.RolloutRef.Name = "other" }))
		}, "GateNotFound", "Rollout app has no gate other", 0},
		"a gate of class http": {func(w *world) {
			w.about.Spec.GateRef, w.gates[0].Spec.Class = &corev1.LocalObjectReference{Name: "approval"}, v1alpha1.GateClassHTTP
		}, "GateNotFound", "RolloutGate approval is of class http, and only manual gates count Approvals", 0},
		"no manual gate":   {func(w *world) { w.gates = []*v1alpha1.RolloutGate{manual("x", class("checks.example.com"))} }, "GateNotFound", "Rollout app has no manual gate", 0},
		"no gate at all":   {func(w *world) { w.gates = nil }, "GateNotFound", "Rollout app has no manual gate", 0},
		"another person":   {func(w *world) { from("bob")(w.gates[0]) }, "NotCounted", "RolloutGate approval does not count it: the gate does not ask for ann", 0},
		"no policy":        {func(w *world) { w.unproven = "the policy is not in force" }, "ApprovalsUnproven", "approvals are not counted: the policy is not in force", 0},
		"lasts":            {func(w *world) { from("ann")(w.gates[0]) }, "Counted", "counted by RolloutGate approval", time.Minute},
		"one of two gates": {func(w *world) { w.gates = append(w.gates, manual("bobs", from("bob"))) }, "Counted", "counted by RolloutGate approval; RolloutGate bobs does not count it: the gate does not ask for ann", 0},
		"both gates":       {func(w *world) { w.gates = append(w.gates, manual("anns", from("ann"))) }, "Counted", "counted by RolloutGate anns, approval", time.Minute},
		"said otherwise": {func(w *world) {
			later := w.about.DeepCopy()
			later.Name, later.CreationTimestamp = "b", metav1.NewTime(made.Add(2*time.Minute))
			w.others = append(w.others, later)
		}, "Replaced", "ann has created another Approval of 1.1.0", 0},
		"superseded": {func(w *world) {
			w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseSuperseded
			from("bob")(w.gates[0])
		}, "TooLate", "Release app-1.1.0 is Superseded and waits at no gate", 0},
		"deployed before": {func(w *world) {
			w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseAvailable
			w.rel.Status.DeployedAt = &metav1.Time{Time: made.Add(30 * time.Second)}
		}, "TooLate", "Release app-1.1.0 is Available", 0},
		"deployed since": {func(w *world) {
			w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseAvailable
			w.rel.Status.DeployedAt = &metav1.Time{Time: made.Add(2 * time.Minute)}
		}, "Counted", "counted by RolloutGate approval", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.edit(w)
			w.start()
			c, again := w.reconcile()
			if c.Reason != tc.reason || !strings.Contains(c.Message, tc.says) || (c.Status == metav1.ConditionTrue) != (tc.reason == "Counted") {
				t.Errorf("it is %s %s: %s", c.Status, c.Reason, c.Message)
			}
			if again != tc.again {
				t.Errorf("it is reconciled again after %s, want %s", again, tc.again)
			}
			writes := w.writes
			if w.reconcile(); w.writes != writes {
				t.Error("it writes again without need")
			}
		})
	}
}

// TestCountedFollowsTheRelease changes the world: the condition follows as long as the release waits, and stays afterwards.
func TestCountedFollowsTheRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hour := v1alpha1.Duration("1h")
	w.gates[0].Spec.Approvals = &v1alpha1.ApprovalPolicy{ExpireAfter: &hour}
	w.start()
	expect := func(reason string) {
		t.Helper()
		if c, _ := w.reconcile(); c.Reason != reason {
			t.Errorf("it is %s: %s", c.Reason, c.Message)
		}
	}
	status := func(edit func()) {
		t.Helper()
		edit()
		for _, o := range []client.Object{w.ro, w.rel} {
			stored, ok := o.DeepCopyObject().(client.Object)
			if !ok || w.client.Get(t.Context(), client.ObjectKeyFromObject(o), stored) != nil {
				t.Fatal("it is not stored")
			}
			o.SetResourceVersion(stored.GetResourceVersion())
			if err := w.client.Update(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect("AuthorUnknown")
	status(func() { w.rel.Status.Details = &v1alpha1.ReleaseDetails{Authors: "bob"} })
	expect("Counted")
	w.clock.SetTime(made.Add(2 * time.Hour))
	expect("NotCounted")
	w.clock.SetTime(made.Add(time.Hour))
	expect("Counted")
	status(func() { w.ro.Status.ReleaseCandidates, w.rel.Status.Phase = nil, v1alpha1.ReleaseAvailable })
	w.clock.SetTime(made.Add(48 * time.Hour))
	expect("Counted")
}

// TestMessagesThatChangeAllTheTimeAreWrittenNowAndThen: each edit of a gate may change the messages of a thousand
// Approvals. They are written now and then, and the last one is not lost. Whether an Approval is counted is written at
// once.
func TestMessagesThatChangeAllTheTimeAreWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gates = []*v1alpha1.RolloutGate{manual("approval", func(g *v1alpha1.RolloutGate) {
		g.Spec.Approvals = &v1alpha1.ApprovalPolicy{AllowAuthor: true}
	})}
	w.start()
	c := New(w.client, w.clock, w)
	edit := func(users ...string) {
		g := &v1alpha1.RolloutGate{}
		if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.gates[0]), g); err != nil {
			t.Fatal(err)
		}
		g.Spec.Approvals.From = &v1alpha1.Approvers{Groups: users}
		if len(users) == 0 {
			g.Spec.Approvals.From = nil
		}
		if err := w.client.Update(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	reconcile := func() time.Duration {
		result, err := c.Reconcile(t.Context(), request("ns", w.rel.Name))
		if err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter
	}
	var again time.Duration
	for i := range 100 {
		edit(fmt.Sprint("group-", i))
		again = reconcile()
	}
	if w.writes < 2 || w.writes > 10 || again <= 0 || again > kube.MessageInterval {
		t.Errorf("100 changes of a message cost %d writes, and the last one is written after %s", w.writes, again)
	}
	w.clock.SetTime(w.clock.Now().Add(again))
	reconcile()
	said := func() *metav1.Condition {
		a := &v1alpha1.Approval{}
		if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.about), a); err != nil {
			t.Fatal(err)
		}
		return apimeta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionCounted)
	}
	if got := said(); !strings.Contains(got.Message, "group-99") || got.Status != metav1.ConditionFalse {
		t.Errorf("it says %+v", got)
	}
	edit()
	reconcile()
	if got := said(); got.Status != metav1.ConditionTrue {
		t.Errorf("it says %+v", got)
	}
}
