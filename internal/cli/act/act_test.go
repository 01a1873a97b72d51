package act_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/cli/exit"
)

// call is one call of the command in the shop, whose output is compared with a golden file.
type call struct {
	golden, args string
	world        func(*clitest.World)
}

func run(t *testing.T, calls []call) {
	t.Helper()
	for _, c := range calls {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			w := clitest.New(clitest.Shop()...)
			if c.world != nil {
				c.world(w)
			}
			clitest.Golden(t, c.golden+".txt", w.Run(t, words(c.args)...).String())
		})
	}
}

// words splits a command line. A text in quotes is one word.
func words(line string) []string {
	var list []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			list = append(list, part)
			continue
		}
		list = append(list, strings.Fields(part)...)
	}
	return list
}

func as(user string, rights ...string) func(*clitest.World) {
	return func(w *clitest.World) { w.User, w.May = user, clitest.Only(rights...) }
}

func TestApprove(t *testing.T) {
	t.Parallel()
	run(t, []call{
		{golden: "approve", args: `approve checkout@1.9.0 -n shop --comment "dashboards look fine"`},
		{golden: "approve-json", args: `approve checkout@1.9.0 -n shop -o json`},
		{golden: "approve-yaml-quiet", args: `approve checkout@1.9.0 -n shop -o yaml -q`},
		{golden: "approve-name", args: `approve checkout@1.9.0 -n shop -o name`},
		{golden: "approve-dry-run", args: `approve checkout@1.9.0 -n shop --dry-run=server`},
		{golden: "approve-79", args: `approve checkout@1.9.0 -n shop`, world: func(w *clitest.World) { w.Columns = 79 }},
		{golden: "approve-again", args: `approve checkout@1.9.0 -n shop`, world: func(w *clitest.World) { w.User = "bob" }},
		{golden: "approve-no-right", args: `approve checkout@1.9.0 -n shop`, world: as("carol")},
		{golden: "approve-not-asked", args: `approve checkout@1.9.0 -n shop`, world: as("carol", "create approvals")},
		{golden: "approve-running", args: `approve checkout@1.8.2 -n shop`},
		{golden: "approve-rollout", args: `approve checkout -n shop`},
		{golden: "approve-other-gate", args: `approve checkout@1.9.0 -n shop --gate office-hours`},
		{golden: "approve-no-object", args: `approve search@2.1.1 -n shop`},
		{golden: "approve-no-gate", args: `approve checkout@1.9.0 -n shop`, world: func(w *clitest.World) {
			if err := w.Client.DeleteAllOf(context.Background(), &v1alpha1.RolloutGate{}, client.InNamespace("shop")); err != nil {
				panic(err)
			}
		}},
		{golden: "approve-unknown", args: `approve checkout@3.0.0 -n shop`},
		{golden: "approve-asks-no", args: `approve checkout@1.9.0 -n shop`, world: func(w *clitest.World) { w.Interactive, w.Input = true, "n\n" }},
		{golden: "approve-asks-yes", args: `approve checkout@1.9.0 -n shop`, world: func(w *clitest.World) { w.Interactive, w.Input = true, "y\n" }},
		{golden: "approve-yes", args: `approve checkout@1.9.0 -n shop --yes`, world: func(w *clitest.World) { w.Interactive = true }},
		{golden: "reject", args: `reject checkout@1.9.0 -n shop --reason "the load test fails"`},
		{golden: "reject-no-reason", args: `reject checkout@1.9.0 -n shop`},
		{golden: "reject-no-right", args: `reject checkout@1.9.0 -n shop --reason "the load test fails"`, world: as("carol")},
	})
}

// pinned pins checkout to a tag, and suspends it if told so.
func pinned(tag string) func(*clitest.World) {
	return edited(func(ro *v1alpha1.Rollout) { ro.Spec.WantedVersion = &tag })
}

func edited(edit func(*v1alpha1.Rollout)) func(*clitest.World) {
	return func(w *clitest.World) {
		var ro v1alpha1.Rollout
		if err := w.Client.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: "checkout"}, &ro); err != nil {
			panic(err)
		}
		status := ro.Status
		edit(&ro)
		if err := w.Client.Update(context.Background(), &ro); err != nil {
			panic(err)
		}
		ro.Status = status
		if err := w.Client.Status().Update(context.Background(), &ro); err != nil {
			panic(err)
		}
	}
}

func suspended(ro *v1alpha1.Rollout) { ro.Spec.Suspend = true }

func TestOverride(t *testing.T) {
	t.Parallel()
	run(t, []call{
		{golden: "override", args: `override checkout@1.9.0 -n shop --bypass gates,schedules --reason "INC-4711: checkout is down"`},
		{golden: "override-part", args: `override checkout@1.9.0 -n shop --bypass schedules --reason "INC-4711: checkout is down" --for 15m`},
		{golden: "override-nothing", args: `override checkout@1.9.0 -n shop --bypass health --reason "INC-4711: checkout is down"`},
		{golden: "override-yaml", args: `override checkout@1.9.0 -n shop --bypass Gates --reason "INC-4711: checkout is down" -o yaml -q`},
		{golden: "override-name", args: `override checkout@1.9.0 -n shop --bypass gates --reason "INC-4711: checkout is down" -o name -q`},
		{golden: "override-asks-no", args: `override checkout@1.9.0 -n shop --bypass gates --reason "INC-4711: checkout is down"`, world: func(w *clitest.World) { w.Interactive = true }},
		{golden: "override-no-right", args: `override checkout@1.9.0 -n shop --bypass gates --reason "INC-4711: checkout is down"`, world: as("carol", "create approvals")},
		{golden: "override-no-bypass", args: `override checkout@1.9.0 -n shop --reason "INC-4711: checkout is down"`},
		{golden: "override-unknown-bypass", args: `override checkout@1.9.0 -n shop --bypass everything --reason "INC-4711: checkout is down"`},
		{golden: "override-short-reason", args: `override checkout@1.9.0 -n shop --bypass gates --reason "asap"`},
		{golden: "override-too-long", args: `override checkout@1.9.0 -n shop --bypass gates --reason "INC-4711: checkout is down" --for 48h`},
		{golden: "override-running", args: `override checkout@1.8.2 -n shop --bypass gates --reason "INC-4711: checkout is down"`},
		{golden: "override-quarantined", args: `override checkout@1.8.1 -n shop --bypass gates --reason "INC-4711: checkout is down"`},
	})
}

func TestDeployAndRollback(t *testing.T) {
	t.Parallel()
	run(t, []call{
		{golden: "deploy", args: `deploy checkout@1.9.0 -n shop --reason "INC-4711: 1.9.0 fixes it"`},
		{golden: "deploy-json", args: `deploy checkout@1.9.0 -n shop --reason "INC-4711: 1.9.0 fixes it" -o json -q`},
		{golden: "deploy-no-reason", args: `deploy checkout@1.9.0 -n shop`},
		{golden: "deploy-long-reason", args: `deploy checkout@1.9.0 -n shop --reason "` + strings.Repeat("x", 300) + `"`},
		{golden: "deploy-control-characters", args: "deploy checkout@1.9.0 -n shop --reason \"a\x1b[31mb\""},
		{golden: "deploy-no-right", args: `deploy checkout@1.9.0 -n shop --reason "INC-4711"`, world: as("carol", "create approvals")},
		{golden: "deploy-running", args: `deploy checkout@1.8.2 -n shop --reason "INC-4711"`},
		{golden: "deploy-quarantined", args: `deploy checkout@1.8.1 -n shop --reason "INC-4711"`},
		{golden: "deploy-quarantined-anyway", args: `deploy checkout@1.8.1 -n shop --reason "INC-4711" --quarantined`},
		{golden: "deploy-pinned", args: `deploy checkout@1.9.0 -n shop --reason "INC-4711"`, world: pinned("1.8.2")},
		{golden: "deploy-suspended", args: `deploy checkout@1.9.0 -n shop --reason "INC-4711"`, world: edited(suspended)},
		{golden: "deploy-unknown", args: `deploy checkout@7.0.0 -n shop --reason "INC-4711"`},
		{golden: "deploy-rollout", args: `deploy checkout -n shop --reason "INC-4711"`},
		{golden: "rollback", args: `rollback checkout -n shop --reason "INC-4712: carts are empty"`},
		{golden: "rollback-to", args: `rollback checkout -n shop --to 1.8.0 --reason "INC-4712: carts are empty" -o name`},
		{golden: "rollback-to-quarantined", args: `rollback checkout -n shop --to 1.8.1 --reason "INC-4712: carts are empty"`},
		{golden: "rollback-release", args: `rollback checkout@1.8.0 -n shop --reason "INC-4712: carts are empty"`},
		{golden: "rollback-nothing", args: `rollback ledger -n pay --reason "INC-4712: carts are empty"`},
		{golden: "rollback-no-right", args: `rollback checkout -n shop --reason "INC-4712: carts are empty"`, world: as("carol")},
		{golden: "rollback-below-floor", args: `rollback checkout -n shop --reason "INC-4712: carts are empty"`, world: edited(func(ro *v1alpha1.Rollout) { ro.Spec.RollbackFloor = "1.8.2" })},
		{golden: "rollback-below-floor-anyway", args: `rollback checkout -n shop --reason "INC-4712: carts are empty" --below-floor`, world: edited(func(ro *v1alpha1.Rollout) { ro.Spec.RollbackFloor = "1.8.2" })},
		{golden: "rollback-above-floor", args: `rollback checkout -n shop --reason "INC-4712: carts are empty"`, world: edited(func(ro *v1alpha1.Rollout) { ro.Spec.RollbackFloor = "1.8.0" })},
	})
}

func TestPin(t *testing.T) {
	t.Parallel()
	run(t, []call{
		{golden: "pin", args: `pin checkout@1.8.0 -n shop --reason "1.9 waits for the database"`},
		{golden: "pin-running-yaml", args: `pin checkout@1.8.2 -n shop --reason "1.9 waits for the database" -o yaml -q`},
		{golden: "pin-unknown", args: `pin checkout@7.0.0-rc.1 -n shop --reason "a try"`},
		{golden: "pin-illegal", args: `pin checkout@-x -n shop --reason "a try"`},
		{golden: "pin-again", args: `pin checkout@1.8.0 -n shop --reason "a try"`, world: pinned("1.8.0")},
		{golden: "pin-other", args: `pin checkout@1.8.0 -n shop --reason "a try"`, world: pinned("1.8.2")},
		{golden: "pin-no-reason", args: `pin checkout@1.8.0 -n shop`},
		{golden: "pin-no-version", args: `pin checkout -n shop --reason "a try"`},
		{golden: "pin-no-right", args: `pin checkout@1.8.0 -n shop --reason "a try"`, world: as("carol")},
		{golden: "unpin", args: `unpin checkout -n shop`, world: pinned("1.8.2")},
		{golden: "unpin-nothing", args: `unpin checkout -n shop`},
		{golden: "unpin-no-right", args: `unpin checkout -n shop`, world: as("carol")},
		{golden: "unpin-name", args: `unpin checkout -n shop -o name`, world: pinned("1.8.2")},
	})
}

func TestOtherVerbs(t *testing.T) {
	t.Parallel()
	run(t, []call{
		{golden: "retry", args: `retry search -n shop --reason "the database is back"`},
		{golden: "retry-nothing", args: `retry checkout -n shop --reason "the database is back"`},
		{golden: "retry-no-reason", args: `retry search -n shop`},
		{golden: "retry-no-right", args: `retry search -n shop --reason "the database is back"`, world: as("carol")},
		{golden: "retry-release", args: `retry checkout@1.8.1 -n shop --reason "the database is back"`},
		{golden: "quarantine", args: `quarantine checkout@1.9.0 -n shop --reason "INC-4712: it empties carts"`},
		{golden: "quarantine-running", args: `quarantine checkout@1.8.2 -n shop --reason "INC-4712: it empties carts"`},
		{golden: "quarantine-again", args: `quarantine checkout@1.8.1 -n shop --reason "INC-4712: it empties carts"`},
		{golden: "quarantine-no-reason", args: `quarantine checkout@1.9.0 -n shop`},
		{golden: "quarantine-no-right", args: `quarantine checkout@1.9.0 -n shop --reason "INC-4712"`, world: as("carol")},
		{golden: "lift", args: `lift checkout@1.8.1 -n shop --reason "the probe was wrong"`},
		{golden: "lift-nothing", args: `lift checkout@1.9.0 -n shop --reason "the probe was wrong"`},
		{golden: "lift-no-reason", args: `lift checkout@1.8.1 -n shop`},
		{golden: "lift-no-right", args: `lift checkout@1.8.1 -n shop --reason "the probe was wrong"`, world: as("carol")},
		{golden: "suspend", args: `suspend checkout -n shop`},
		{golden: "suspend-again", args: `suspend checkout -n shop`, world: edited(suspended)},
		{golden: "suspend-no-right", args: `suspend checkout -n shop`, world: as("carol")},
		{golden: "resume", args: `resume checkout -n shop`, world: edited(suspended)},
		{golden: "resume-again", args: `resume checkout -n shop`},
		{golden: "resume-no-right", args: `resume checkout -n shop`, world: as("carol")},
		{golden: "reconcile", args: `reconcile checkout -n shop`},
		{golden: "reconcile-no-policy", args: `reconcile checkout -n shop --with-source`},
		{golden: "reconcile-no-right", args: `reconcile checkout -n shop`, world: as("carol")},
		{golden: "suspend-missing", args: `suspend chekout -n shop`},
		{golden: "suspend-release", args: `suspend checkout@1.9.0 -n shop`},
	})
}

// TestRequestsOfVerbs compares what each verb writes to the Rollout.
func TestRequestsOfVerbs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args        string
		world       func(*clitest.World)
		rollout     string
		annotations map[string]string
		spec        func(v1alpha1.RolloutSpec) bool
	}{
		"deploy": {
			args: `deploy checkout@1.9.0 -n shop --reason "it fixes it"`, rollout: "checkout",
			annotations: map[string]string{v1alpha1.AnnotationForceDeploy: "1.9.0", v1alpha1.AnnotationDeployMessage: "it fixes it", v1alpha1.AnnotationDeployUser: "alice"},
		},
		"rollback": {
			args: `rollback checkout -n shop --reason "it is slow"`, rollout: "checkout",
			annotations: map[string]string{v1alpha1.AnnotationForceDeploy: "1.8.0", v1alpha1.AnnotationDeployMessage: "it is slow", v1alpha1.AnnotationDeployUser: "alice"},
		},
		"rollback of a failure": {
			args: `rollback search -n shop --reason "it is slow"`, rollout: "search",
			annotations: map[string]string{v1alpha1.AnnotationForceDeploy: "2.0.0", v1alpha1.AnnotationDeployMessage: "it is slow", v1alpha1.AnnotationDeployUser: "alice"},
		},
		"retry": {
			args: `retry search -n shop --reason "it is back"`, rollout: "search", annotations: map[string]string{v1alpha1.AnnotationRetry: "it is back (alice)"},
		},
		"quarantine": {
			args: `quarantine checkout@1.9.0 -n shop --reason "it leaks"`, rollout: "checkout", annotations: map[string]string{v1alpha1.AnnotationQuarantine: "1.9.0 it leaks (alice)"},
		},
		"lift": {
			args: `lift checkout@1.8.1 -n shop --reason "it was not it"`, rollout: "checkout",
			annotations: map[string]string{v1alpha1.AnnotationLiftQuarantine: "1.8.1 it was not it (alice)"},
		},
		"pin": {
			args: `pin checkout@1.8.0 -n shop --reason "for now"`, rollout: "checkout",
			annotations: map[string]string{v1alpha1.AnnotationDeployMessage: "for now", v1alpha1.AnnotationDeployUser: "alice"},
			spec:        func(s v1alpha1.RolloutSpec) bool { return s.WantedVersion != nil && *s.WantedVersion == "1.8.0" },
		},
		"pin to what runs": {
			args: `pin checkout@1.8.2 -n shop --reason "for now"`, rollout: "checkout",
			spec: func(s v1alpha1.RolloutSpec) bool { return s.WantedVersion != nil && *s.WantedVersion == "1.8.2" },
		},
		"unpin": {
			args: `unpin checkout -n shop`, rollout: "checkout", world: pinned("1.8.2"), spec: func(s v1alpha1.RolloutSpec) bool { return s.WantedVersion == nil },
		},
		"suspend": {args: `suspend checkout -n shop`, rollout: "checkout", spec: func(s v1alpha1.RolloutSpec) bool { return s.Suspend }},
		"resume": {
			args: `resume checkout -n shop`, rollout: "checkout", world: edited(suspended), spec: func(s v1alpha1.RolloutSpec) bool { return !s.Suspend },
		},
		"reconcile": {
			args: `reconcile checkout -n shop`, rollout: "checkout", annotations: map[string]string{"reconcile.fluxcd.io/requestedAt": "2026-05-08T12:50:03Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := clitest.New(clitest.Shop()...)
			if tc.world != nil {
				tc.world(w)
			}
			before := snapshot(t, w)
			if got := w.Run(t, append(words(tc.args), "--dry-run=server")...); got.Code != exit.OK || snapshot(t, w) != before {
				t.Errorf("--dry-run=server: %s", got)
			}
			if got := w.Run(t, words(tc.args)...); got.Code != exit.OK {
				t.Fatal(got)
			}
			var ro v1alpha1.Rollout
			read(t, w, "shop", tc.rollout, &ro)
			if diff := cmp.Diff(tc.annotations, ro.Annotations, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if tc.spec != nil && !tc.spec(ro.Spec) {
				t.Errorf("got spec %+v", ro.Spec)
			}
		})
	}
}

// TestReconcileWithSource annotates the ImageRepository too.
func TestReconcileWithSource(t *testing.T) {
	t.Parallel()
	policy, source := &imagev1.ImagePolicy{}, &imagev1.ImageRepository{}
	policy.Namespace, policy.Name, source.Namespace, source.Name = "shop", "checkout", "shop", "checkout"
	policy.Spec.ImageRepositoryRef.Name = "checkout"
	w := clitest.New(append(clitest.Shop(), policy, source)...)
	w.May = clitest.Only("patch rollouts", "get imagepolicies")
	if got := w.Run(t, "reconcile", "checkout", "-n", "shop", "--with-source"); got.Code != exit.Refused || !strings.Contains(got.Err, "patch imagerepositories.image.toolkit.fluxcd.io") {
		t.Errorf("without the right: %s", got)
	}
	w.May = nil
	clitest.Golden(t, "reconcile-with-source.txt", w.Run(t, "reconcile", "checkout", "-n", "shop", "--with-source").String())
	read(t, w, "shop", "checkout", source)
	if source.Annotations["reconcile.fluxcd.io/requestedAt"] == "" {
		t.Error("the ImageRepository has no annotation")
	}
}

// TestApprovalIsForTheReleaseShown compares what was created with the release that was shown.
func TestApprovalIsForTheReleaseShown(t *testing.T) {
	t.Parallel()
	w := clitest.New(clitest.Shop()...)
	if got := w.Run(t, "approve", "checkout@1.9.0", "-n", "shop", "--gate", "release-manager", "--comment", "fine"); got.Code != exit.OK {
		t.Fatal(got)
	}
	var rel v1alpha1.Release
	read(t, w, "shop", clitest.ReleaseName("checkout", "1.9.0"), &rel)
	made := approvals(t, w, "alice")
	if len(made) != 1 {
		t.Fatalf("got %d Approvals", len(made))
	}
	want := v1alpha1.ApprovalSpec{
		Decision: v1alpha1.Approve, Comment: "fine", User: "alice", ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name, UID: string(rel.UID)},
		GateRef: &corev1.LocalObjectReference{Name: "release-manager"},
	}
	if diff := cmp.Diff(want, made[0].Spec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestChangeOfMind rejects, approves, and rejects again: each is an object of its own, since none can be changed.
func TestChangeOfMind(t *testing.T) {
	t.Parallel()
	w := clitest.New(clitest.Shop()...)
	for i, args := range []string{
		`reject checkout@1.9.0 -n shop --reason "the load test fails"`, `approve checkout@1.9.0 -n shop`, `reject checkout@1.9.0 -n shop --reason "it fails again"`,
	} {
		if got := w.Run(t, words(args)...); got.Code != exit.OK {
			t.Fatalf("%s: %s", args, got)
		}
		if made := approvals(t, w, "alice"); len(made) != i+1 {
			t.Fatalf("%s: got %d Approvals", args, len(made))
		}
	}
}

// TestApprovalNamesTheGroupsThatAreAskedFor approves as a member of groups, one of which the gate asks for.
func TestApprovalNamesTheGroupsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	w := clitest.New(clitest.Shop()...)
	w.User, w.Groups = "oidc:Carol@Example.com", []string{"system:authenticated", "managers", "cooks"}
	var gate v1alpha1.RolloutGate
	read(t, w, "shop", "release-manager", &gate)
	gate.Spec.Approvals.From = &v1alpha1.Approvers{Groups: []string{"owners", "managers"}}
	if err := w.Client.Update(t.Context(), &gate); err != nil {
		t.Fatal(err)
	}
	if got := w.Run(t, "approve", "checkout@1.9.0", "-n", "shop"); got.Code != exit.OK {
		t.Fatal(got)
	}
	made := approvals(t, w, w.User)
	if len(made) != 1 || len(made[0].Spec.Groups) != 1 || made[0].Spec.Groups[0] != "managers" {
		t.Errorf("got %+v", made)
	}
}

// TestNothingIsSent runs every call that must not change anything.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		`approve checkout@1.9.0 -n shop --dry-run=server`, `override checkout@1.9.0 -n shop --bypass gates --reason "it is slow" --dry-run=server`, `reject checkout@1.9.0 -n shop --reason "it is slow" --dry-run=server`,
	} {
		w := clitest.New(clitest.Shop()...)
		before := snapshot(t, w)
		if got := w.Run(t, words(args)...); got.Code != exit.OK {
			t.Errorf("%s: %s", args, got)
		}
		if after := snapshot(t, w); after != before {
			t.Errorf("%s: something has changed:\n%s\nbefore:\n%s", args, after, before)
		}
	}
}

// snapshot returns everything that verbs change.
func snapshot(t *testing.T, w *clitest.World) string {
	t.Helper()
	var b strings.Builder
	for _, list := range []client.ObjectList{&v1alpha1.RolloutList{}, &v1alpha1.ApprovalList{}, &v1alpha1.OverrideList{}} {
		if err := w.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		b.WriteString(text(t, list))
	}
	return b.String()
}

func approvals(t *testing.T, w *clitest.World, user string) []v1alpha1.Approval {
	t.Helper()
	var all v1alpha1.ApprovalList
	if err := w.Client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var list []v1alpha1.Approval
	for _, a := range all.Items {
		if a.Spec.User == user {
			list = append(list, a)
		}
	}
	return list
}

func read(t *testing.T, w *clitest.World, namespace, name string, into client.Object) {
	t.Helper()
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		t.Fatal(err)
	}
}

func text(t *testing.T, o any) string {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
