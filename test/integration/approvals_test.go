package integration

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// person is a user with groups, and with roles in the namespace of the test.
type person struct {
	client.Client
	name string
}

func someone(w *env.World, user string, groups []string, roles ...string) person {
	w.T.Helper()
	awaitPolicies(w)
	w.As(user, roles...)
	p := person{name: w.Namespace + ":" + user}
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Impersonate = rest.ImpersonationConfig{UserName: p.name, Groups: append([]string{"system:authenticated"}, groups...)}
	var err error
	if p.Client, err = client.New(cfg, client.Options{Scheme: controller.Scheme()}); err != nil {
		w.T.Fatal(err)
	}
	return p
}

// awaitPolicies waits until the admission policies have been in force long enough for Approvals to count.
func awaitPolicies(w *env.World) {
	w.T.Helper()
	w.Eventually("the policies are in force", func() error {
		for _, name := range []string{"kuberik-actors", "kuberik-overrides"} {
			binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if err := w.Admin.Get(w.Ctx(), client.ObjectKeyFromObject(binding), binding); err != nil {
				return err
			}
			last := binding.CreationTimestamp
			for _, f := range binding.ManagedFields {
				if f.Time.After(last.Time) {
					last = *f.Time
				}
			}
			if time.Since(last.Time) < 4*time.Second {
				return errors.New(name + " is new")
			}
		}
		return nil
	})
}

// decide creates an Approval with the uid of the Release, because both may be created in the same second.
func (p person) decide(w *env.World, d v1alpha1.ApprovalDecision, rel *v1alpha1.Release, edits ...func(*v1alpha1.Approval)) (*v1alpha1.Approval, error) {
	a := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "appr-"},
		Spec:       v1alpha1.ApprovalSpec{ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name, UID: string(rel.UID)}, Decision: d, User: p.name},
	}
	for _, edit := range edits {
		edit(a)
	}
	return a, p.Create(w.Ctx(), a)
}

// nextSecond waits for the next second, because the API server stores times in seconds.
func nextSecond(w *env.World, a *v1alpha1.Approval) {
	w.T.Helper()
	w.Eventually("it is of an earlier second", func() error {
		if time.Now().Truncate(time.Second).After(a.CreationTimestamp.Time) {
			return nil
		}
		return errors.New("it is not")
	})
}

// approves creates an Approval, and fails the test if the API server denies it.
func (p person) approves(w *env.World, rel *v1alpha1.Release, edits ...func(*v1alpha1.Approval)) *v1alpha1.Approval {
	w.T.Helper()
	a, err := p.decide(w, v1alpha1.Approve, rel, edits...)
	if err != nil {
		w.T.Fatalf("%s approves: %v", p.name, err)
	}
	return a
}

func inGroups(groups ...string) func(*v1alpha1.Approval) {
	return func(a *v1alpha1.Approval) { a.Spec.Groups = groups }
}

// withApprovals makes a gate wait for Approvals. Authors may approve, because the tests have no registry.
func withApprovals(p v1alpha1.ApprovalPolicy) func(*v1alpha1.RolloutGateSpec) {
	return func(s *v1alpha1.RolloutGateSpec) {
		p.AllowAuthor = true
		s.Approvals = &p
	}
}

// waiting returns a namespace in which 1.0.0 waits at a gate.
func waiting(t *testing.T, edits ...func(*v1alpha1.RolloutGateSpec)) (*env.World, *v1alpha1.Rollout, *v1alpha1.Release) {
	t.Helper()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Gate("approval", "app", edits...)
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	return w, ro, w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
}

// blockedWith waits until the message of a blocker contains a text.
func blockedWith(w *env.World, ro *v1alpha1.Rollout, text string) {
	w.T.Helper()
	w.Await(ro, "is blocked with "+text, func() error {
		for _, b := range ro.Status.BlockedBy {
			if strings.Contains(b.Message+b.ClearedBy, text) {
				return nil
			}
		}
		return fmt.Errorf("it is blocked by %+v", ro.Status.BlockedBy)
	})
}

// stays fails the test if anything is deployed within a short time.
func stays(w *env.World, ro *v1alpha1.Rollout, deployments int) {
	w.T.Helper()
	w.Consistently(300*time.Millisecond, ro, "stays", func() error {
		if n := len(ro.Status.History); n != deployments {
			return fmt.Errorf("it has %d deployments", n)
		}
		return nil
	})
}

func TestApprovalsOpenAGate(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t, withApprovals(v1alpha1.ApprovalPolicy{Required: 2, From: &v1alpha1.Approvers{Groups: []string{"release-managers"}}}))
	blockedWith(w, ro, "waits for approval of 1.0.0: 0 of 2 given")
	blockedWith(w, ro, "members of release-managers")
	if e := awaitEvent(w, "app", "ApprovalRequested"); e.Related == nil || e.Related.Name != rel.Name {
		t.Errorf("the request names %+v", e.Related)
	}
	alice := someone(w, "alice", []string{"release-managers"}, "kuberik-approver")
	bob := someone(w, "bob", []string{"release-managers", "developers"}, "kuberik-approver")
	carol := someone(w, "carol", []string{"developers"}, "kuberik-approver")

	alice.approves(w, rel, inGroups("release-managers"))
	blockedWith(w, ro, "1 of 2 given ("+alice.name+")")
	alice.approves(w, rel, inGroups("release-managers")) // twice by the same person is once
	carol.approves(w, rel, inGroups("developers"))
	blockedWith(w, ro, carol.name+"'s Approval names groups: [developers], and the gate asks for members of release-managers")
	bob.approves(w, rel) // without naming the group
	blockedWith(w, ro, bob.name+"'s Approval names no group; add groups: [release-managers]")
	stays(w, ro, 0)
	bob.approves(w, rel, inGroups("release-managers"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")

	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	next := w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleasePending)
	alice.approves(w, next, inGroups("release-managers"))
	rejected, err := bob.decide(w, v1alpha1.Reject, next, inGroups("release-managers"))
	if err != nil {
		t.Fatal(err)
	}
	blockedWith(w, ro, "1.1.0 is rejected by "+bob.name)
	nextSecond(w, rejected)
	someone(w, "dave", []string{"release-managers"}, "kuberik-approver").approves(w, next, inGroups("release-managers"))
	stays(w, ro, 1)
	bob.approves(w, next, inGroups("release-managers")) // after all
	w.Await(ro, "is deployed after the rejection was withdrawn", func() error { return onHead(ro, "1.1.0") })
}

func TestEmptyGateTakesAnApproval(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t)
	someone(w, "alice", nil, "kuberik-approver").approves(w, rel, func(a *v1alpha1.Approval) { a.Spec.GateRef = &corev1.LocalObjectReference{Name: "another"} })
	stays(w, ro, 0)
	someone(w, "bob", nil, "kuberik-approver").approves(w, rel, func(a *v1alpha1.Approval) { a.Spec.GateRef = &corev1.LocalObjectReference{Name: "approval"} })
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestApprovalExpires(t *testing.T) {
	t.Parallel()
	second := v1alpha1.Duration("1s")
	w, ro, rel := waiting(t, withApprovals(v1alpha1.ApprovalPolicy{ExpireAfter: &second}))
	closed := false
	freeze := w.Gate("freeze", "app", func(s *v1alpha1.RolloutGateSpec) { s.Passing = &closed })
	w.Await(ro, "sees the freeze", func() error {
		if len(ro.Status.BlockedBy) < 2 || ro.Status.BlockedBy[0].Name != "freeze" {
			return errors.New("it does not")
		}
		return nil // and names it before the gate that calls a person
	})
	a := someone(w, "alice", nil, "kuberik-approver").approves(w, rel)
	w.Eventually("the approval is old", func() error {
		if time.Since(a.CreationTimestamp.Time) < 1100*time.Millisecond {
			return errors.New("it is not")
		}
		return nil
	})
	w.Delete(freeze)
	blockedWith(w, ro, "'s Approval has expired after 1s; approve again")
	stays(w, ro, 0)
}

// TestAttacksOnApprovals covers requests that the API server denies, and Approvals that it accepts but that do not
// count.
func TestAttacksOnApprovals(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t, withApprovals(v1alpha1.ApprovalPolicy{From: &v1alpha1.Approvers{Groups: []string{"release-managers"}}}))
	other := env.New(t)
	mallory := someone(w, "mallory", []string{"developers"}, "kuberik-approver")
	bob := someone(w, "bob", []string{"release-managers"}, "kuberik-approver")
	nobody := someone(w, "nobody", nil, "view")
	rejection, err := bob.decide(w, v1alpha1.Reject, rel, inGroups("release-managers"))
	if err != nil {
		t.Fatal(err)
	}
	blockedWith(w, ro, "is rejected by")

	own := mallory.approves(w, rel)
	refused := map[string]struct {
		err    error
		decide string
	}{
		"as another":                  {second(mallory.decide(w, v1alpha1.Approve, rel, func(a *v1alpha1.Approval) { a.Spec.User = bob.name })), "decide as yourself"},
		"for a group one is not in":   {second(mallory.decide(w, v1alpha1.Approve, rel, inGroups("developers", "release-managers"))), "not in"},
		"without the right":           {second(nobody.decide(w, v1alpha1.Approve, rel)), "cannot create resource"},
		"in another namespace":        {second(mallory.decide(w, v1alpha1.Approve, rel, func(a *v1alpha1.Approval) { a.Namespace = other.Namespace })), "cannot create resource"},
		"changed, by who made it":     {patch(w, mallory, own, `{"spec":{"groups":["release-managers"]}}`), "cannot patch"},
		"changed, by an admin":        {patch(w, w.Admin, own, `{"spec":{"groups":["release-managers"]}}`), "cannot be changed"},
		"another's rejection removed": {mallory.Delete(w.Ctx(), rejection), "cannot delete"},
	}
	for name, r := range refused {
		if r.err == nil || !strings.Contains(r.err.Error(), r.decide) {
			t.Errorf("an approval %s: %v", name, r.err)
		}
	}
	backdated, err := bob.decide(w, v1alpha1.Reject, rel, inGroups("release-managers"), func(a *v1alpha1.Approval) {
		a.CreationTimestamp = metav1.NewTime(time.Now().Add(24 * time.Hour))
		a.UID = "of-my-choice"
	})
	if err != nil || time.Until(backdated.CreationTimestamp.Time) > time.Minute || backdated.UID == "of-my-choice" {
		t.Errorf("the time of an approval is the client's choice: %v, %v", backdated.CreationTimestamp, err)
	}
	stays(w, ro, 0)

	nextSecond(w, backdated)
	t.Run("the tag is moved after the approval", func(t *testing.T) {
		w.Gate("freeze", "app", func(s *v1alpha1.RolloutGateSpec) { closed := false; s.Passing = &closed })
		bob.approves(w, rel, inGroups("release-managers"))
		w.Await(ro, "counts the approval", func() error {
			if slices.ContainsFunc(ro.Status.BlockedBy, func(b v1alpha1.Blocker) bool { return b.Name == "approval" }) {
				return errors.New("it does not")
			}
			return nil
		})
		w.Select("app", "1.0.0", env.Digest("moved"))
		w.Await(ro, "waits for approval again", func() error {
			if !slices.ContainsFunc(ro.Status.BlockedBy, func(b v1alpha1.Blocker) bool { return b.Name == "approval" }) {
				return errors.New("it does not")
			}
			return nil
		})
	})
}

func second[T any](_ T, err error) error { return err }

// TestOldApprovalDoesNotCountAgain deletes a Rollout and creates it again under the same name, with Releases of the
// same names.
func TestOldApprovalDoesNotCountAgain(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t)
	alice := someone(w, "alice", nil, "kuberik-approver")
	a := alice.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Delete(ro)
	w.AwaitGone(ro)
	w.Delete(rel) // as the garbage collector does, which does not run here
	w.AwaitGone(rel)
	nextSecond(w, a)
	recreated := w.Rollout("app")
	again := w.AwaitRelease(recreated, "1.0.0", v1alpha1.ReleasePending)
	if again.Name != rel.Name || again.UID == rel.UID {
		t.Fatalf("the Release is %s, %s", again.Name, again.UID)
	}
	w.AwaitBlocked(recreated, "RolloutGate", "AwaitingApproval")
	if _, err := alice.decide(w, v1alpha1.Approve, again, func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.UID = string(rel.UID) }); err != nil {
		t.Fatal(err)
	}
	stays(w, recreated, 0)
	alice.approves(w, again)
	w.AwaitPhase(recreated, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestApprovalInTheSecondOfTheRelease: an Approval without a uid may have been created before the Release, by somebody
// who knew its name.
func TestApprovalInTheSecondOfTheRelease(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t)
	alice := someone(w, "alice", nil, "kuberik-approver")
	blind := func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.UID = "" }
	// An Approval that follows immediately is usually of the same second. If it is of the next one, it counts, and the
	// test starts again with a Rollout of the same name.
	const tries = 50
	for n := 1; !alice.approves(w, rel, blind).CreationTimestamp.Equal(&rel.CreationTimestamp); n++ {
		if n == tries {
			t.Fatalf("none of %d Approvals was created in the second of its Release", tries)
		}
		w.Delete(ro)
		w.AwaitGone(ro)
		w.Delete(rel) // as the garbage collector does, which does not run here
		w.AwaitGone(rel)
		ro = w.Rollout("app")
		rel = w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
	}
	blockedWith(w, ro, alice.name+"'s Approval does not count: it was given in the second in which the Release was created, and may be older")
	stays(w, ro, 0)
	alice.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestAuthorsDoNotApproveThemselves(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run(local)
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	image := strings.TrimPrefix(server.URL, "http://") + "/app"
	alice := someone(w, "alice", nil, "kuberik-approver")
	bob := someone(w, "bob", nil, "kuberik-approver")
	digest := push(t, image+":1.0.0", map[string]string{"org.opencontainers.image.authors": "Alice <" + alice.name + ">"})
	repository(w, "app", image, "")
	w.Gate("approval", "app", func(s *v1alpha1.RolloutGateSpec) { s.Approvals = &v1alpha1.ApprovalPolicy{} })
	w.Policy("app", "1.0.0")
	w.Select("app", "1.0.0", digest)
	ro := w.Rollout("app")
	blockedWith(w, ro, "waits for approval")
	var list v1alpha1.ReleaseList
	w.Eventually("there is a Release", func() error {
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil || len(list.Items) == 0 {
			return errors.Join(err, errors.New("there is none"))
		}
		return nil
	})
	rel := &list.Items[len(list.Items)-1]
	alice.approves(w, rel)
	blockedWith(w, ro, alice.name+" made the release and may not approve it")
	stays(w, ro, 0)
	bob.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestWithoutThePolicyNobodyApproves is not parallel, because the policy applies to the whole cluster.
func TestWithoutThePolicyNobodyApproves(t *testing.T) {
	w, ro, rel := waiting(t)
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "kuberik-actors"}}
	set := func(action admissionv1.ValidationAction) {
		w.Patch(binding, fmt.Sprintf(`{"spec":{"validationActions":[%q]}}`, action))
	}
	t.Cleanup(func() {
		body := []byte(`{"spec":{"validationActions":["Deny"]}}`)
		if err := w.Admin.Patch(t.Context(), binding, client.RawPatch("application/merge-patch+json", body)); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	set(admissionv1.Warn)
	blockedWith(w, ro, "the ValidatingAdmissionPolicy kuberik-actors, which verifies their users, is not in force")
	alice := someone(w, "alice", nil, "kuberik-approver")
	alice.approves(w, rel)
	stays(w, ro, 0)
	set(admissionv1.Deny)
	w.Eventually("users are verified", func() error {
		forged := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "forged"}, Spec: v1alpha1.ApprovalSpec{
			ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name}, Decision: v1alpha1.Approve, User: "somebody else",
		}}
		if err := alice.Create(w.Ctx(), forged, client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("the API server answers %w", err)
		}
		return nil
	})
	blockedWith(w, ro, "it was given before the policy that proves who gave it was in force")
	stays(w, ro, 0)
	awaitPolicies(w)
	alice.approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// override creates an Override as the person.
func (p person) override(w *env.World, rel *v1alpha1.Release, edit func(*v1alpha1.OverrideSpec)) (*v1alpha1.Override, error) {
	o := &v1alpha1.Override{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "override-"},
		Spec: v1alpha1.OverrideSpec{
			RolloutRef: corev1.LocalObjectReference{Name: rel.Spec.RolloutRef.Name}, ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name, UID: string(rel.UID)}, Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates},
			Reason: "the shop is down", ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)), User: p.name,
		},
	}
	edit(&o.Spec)
	return o, p.Create(w.Ctx(), o)
}

func TestOverrideBreaksTheGlass(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t)
	w.Create(&v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: "freeze"}, Spec: v1alpha1.ScheduleSpec{
		RolloutSelector: v1alpha1.LabelSelector{}, Action: v1alpha1.ScheduleDeny, Always: true,
	}})
	w.AwaitBlocked(ro, "RolloutGate", "ScheduleClosed")
	oncall := someone(w, "oncall", nil, "kuberik-break-glass")
	approver := someone(w, "approver", nil, "kuberik-approver")
	in := func(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(d)) }
	for name, r := range map[string]struct {
		who    person
		edit   func(*v1alpha1.OverrideSpec)
		decide string
	}{
		"for more than a day":     {oncall, func(s *v1alpha1.OverrideSpec) { s.ExpiresAt = in(25 * time.Hour) }, "at most 24 hours"},
		"in the past":             {oncall, func(s *v1alpha1.OverrideSpec) { s.ExpiresAt = in(-time.Hour) }, "has to lie ahead"},
		"as another":              {oncall, func(s *v1alpha1.OverrideSpec) { s.User = approver.name }, "decide as yourself"},
		"without a reason":        {oncall, func(s *v1alpha1.OverrideSpec) { s.Reason = "" }, "reason"},
		"of nothing":              {oncall, func(s *v1alpha1.OverrideSpec) { s.Bypass = nil }, "bypass"},
		"by who may only approve": {approver, func(*v1alpha1.OverrideSpec) {}, "cannot create resource"},
	} {
		if _, err := r.who.override(w, rel, r.edit); err == nil || !strings.Contains(err.Error(), r.decide) {
			t.Errorf("an Override %s: %v", name, err)
		}
	}
	must := func(edit func(*v1alpha1.OverrideSpec)) *v1alpha1.Override {
		t.Helper()
		o, err := oncall.override(w, rel, edit)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	gatesOnly := must(func(*v1alpha1.OverrideSpec) {})
	must(func(s *v1alpha1.OverrideSpec) {
		s.RolloutRef.Name, s.Bypass = "other", []v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassSchedules}
	})
	must(func(s *v1alpha1.OverrideSpec) {
		s.ReleaseRef.Name, s.Bypass = "app-1.1.0", []v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassSchedules}
	})
	brief := must(func(s *v1alpha1.OverrideSpec) {
		s.Bypass, s.ExpiresAt = []v1alpha1.Bypass{v1alpha1.BypassHealth}, in(2*time.Second)
	})
	if err := patch(w, w.Admin, gatesOnly, `{"spec":{"bypass":["Gates","Schedules"]}}`); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		t.Errorf("an Override is widened: %v", err)
	}
	stays(w, ro, 0)
	if err := oncall.Delete(w.Ctx(), brief); err != nil {
		t.Error(err)
	}
	used := must(func(s *v1alpha1.OverrideSpec) {
		s.Bypass = []v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassSchedules}
	})
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	e := ro.Status.History[0]
	if len(e.BypassedGates) != 2 || !slices.ContainsFunc(e.Overrides, func(o v1alpha1.UsedOverride) bool {
		return o.Name == used.Name && o.User == oncall.name && o.Reason == "the shop is down"
	}) || *e.TriggeredBy != (v1alpha1.TriggeredBy{Kind: "User", Name: oncall.name}) {
		t.Errorf("the history says %+v by %+v past %v: %s", e.Overrides, e.TriggeredBy, e.BypassedGates, *e.Message)
	}
	if ev := awaitEvent(w, "app", "Overridden"); !strings.Contains(ev.Note, "the shop is down") || !strings.Contains(ev.Note, oncall.name) {
		t.Errorf("the event says %q", ev.Note)
	}
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitBlocked(ro, "RolloutGate", "ScheduleClosed")
	stays(w, ro, 1)
}

// TestAPersonAndTheirServiceAccountAreOne: a user who may create tokens could otherwise approve once for each service
// account.
func TestAPersonAndTheirServiceAccountAreOne(t *testing.T) {
	t.Parallel()
	w, ro, rel := waiting(t, withApprovals(v1alpha1.ApprovalPolicy{Required: 2}))
	alice := someone(w, "alice", nil, "kuberik-approver")
	alice.approves(w, rel)
	bot := person{name: "system:serviceaccount:" + w.Namespace + ":bot"}
	w.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bot"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kuberik-approver"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "bot", Namespace: w.Namespace}},
	})
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Impersonate = rest.ImpersonationConfig{UserName: bot.name, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	var err error
	if bot.Client, err = client.New(cfg, client.Options{Scheme: controller.Scheme()}); err != nil {
		t.Fatal(err)
	}
	bot.approves(w, rel, inGroups("system:serviceaccounts"))
	blockedWith(w, ro, "1 of 2 given ("+alice.name+"); "+bot.name+"'s Approval does not count: a service account counts only where")
	stays(w, ro, 0)
	someone(w, "bob", nil, "kuberik-approver").approves(w, rel)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}
