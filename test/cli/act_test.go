package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/test/env"
)

// TestApproveAndReject decides as people whom the gate asks and does not ask, until the release goes out.
func TestApproveAndReject(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ro, rel := waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	alice := someone(w, "alice", "kuberik-approver")
	bob := someone(w, "bob", "kuberik-approver")

	expect(t, "approve, as a viewer", viewer.runs("approve", "app@1.1.0"), exit.Refused, "may not create approvals in "+w.Namespace, "ClusterRole kuberik-approver")
	expect(t, "approve, as somebody else", bob.runs("approve", "app@1.1.0"), exit.Refused, "an approval of "+bob.name+" would not count", "the gate does not ask for")
	expect(t, "reject, as a viewer", viewer.runs("reject", "app@1.1.0", "--reason", "it is slow"), exit.Refused, "may not create approvals")
	expect(t, "approve what runs", alice.runs("approve", "app@1.0.0"), exit.No, "does not wait at a gate")
	expect(t, "approve nothing", alice.runs("approve", "app@3.0.0"), exit.NotFound)
	expect(t, "dry run", alice.runs("approve", "app@1.1.0", "--dry-run=server"), exit.OK, "created (server dry run")
	var all v1alpha1.ApprovalList
	if err := w.Admin.List(w.Ctx(), &all, client.InNamespace(w.Namespace)); err != nil || len(all.Items) != 0 {
		t.Errorf("%v: got %d Approvals before anybody has approved", err, len(all.Items))
	}

	expect(t, "reject", alice.runs("reject", "app@1.1.0", "--reason", "it is slow"), exit.OK, "created", "is held at manager")
	w.AwaitBlocked(ro, "RolloutGate", "Rejected")
	got := alice.runs("approve", "app@1.1.0", "--comment", "it was the network", "-o", "json", "-q")
	var made v1alpha1.Approval
	if err := json.Unmarshal([]byte(got.out), &made); err != nil || got.code != exit.OK || got.err != "" {
		t.Fatalf("%v: got %+v", err, got)
	}
	want := v1alpha1.ApprovalSpec{
		ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name, UID: string(rel.UID)}, Decision: v1alpha1.Approve, Comment: "it was the network", User: alice.name,
	}
	if made.Kind != "Approval" || made.UID == "" || fmt.Sprint(made.Spec) != fmt.Sprint(want) {
		t.Errorf("got %+v, want the spec %+v", made, want)
	}
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseAvailable)
	expect(t, "approve what is out", alice.runs("approve", "app@1.1.0"), exit.No, "it is Available")
}

// TestAdmissionRefuses overrides with a clock that is wrong, so that the API server gets an Override that lasts too long,
// or that has ended.
func TestAdmissionRefuses(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	waiting(w)
	carol := someone(w, "carol", "kuberik-break-glass")
	args := []string{"override", "app@1.1.0", "--bypass", "gates", "--reason", "INC-1: it is down"}
	for ahead, ends := range map[time.Duration]string{3 * time.Hour: "24h", -3 * time.Hour: "1h"} {
		carol.ahead = ahead
		expect(t, "a clock that is wrong by "+ahead.String(), carol.runs(append(args, "--for", ends)...), exit.Refused,
			"refused: expiresAt has to lie ahead, at most 24 hours", "the admission policy kuberik-overrides")
	}
	var all v1alpha1.OverrideList
	if err := w.Admin.List(w.Ctx(), &all, client.InNamespace(w.Namespace)); err != nil || len(all.Items) != 0 {
		t.Errorf("%v: got %d Overrides", err, len(all.Items))
	}
}

// TestOverride breaks the glass as somebody on call, and tries it with other rights.
func TestOverride(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ro, _ := waiting(w)
	alice := someone(w, "alice", "kuberik-approver")
	carol := someone(w, "carol", "kuberik-break-glass")
	args := []string{"override", "app@1.1.0", "--bypass", "gates", "--reason", "INC-1: it is down"}

	expect(t, "as an approver", alice.runs(args...), exit.Refused, "may not create overrides", "ClusterRole kuberik-break-glass")
	expect(t, "for too long", carol.runs(append(args, "--for", "25h")...), exit.Usage, "it is from 1s to 24h")
	expect(t, "dry run", carol.runs(append(args, "--dry-run=server")...), exit.OK, "RolloutGate manager", "nothing was stored")
	expect(t, "on call", carol.runs(args...), exit.OK, "It goes past:", "RolloutGate manager", "override/", "1.1.0 goes out now")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	if e := ro.Status.History[0]; len(e.Overrides) != 1 || e.Overrides[0].User != carol.name || e.Overrides[0].Reason != "INC-1: it is down" {
		t.Errorf("the history says %+v", e)
	}
	w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleaseAvailable)
	expect(t, "afterwards", carol.runs(args...), exit.No, "does not wait")
}

// TestRolloutVerbs runs every verb that patches a Rollout as somebody who may edit, and as a viewer and an approver, who
// may not.
func TestRolloutVerbs(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ro, _ := waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	alice := someone(w, "alice", "kuberik-approver")
	bob := someone(w, "bob", "kuberik-view", "kuberik-edit")
	because := []string{"--reason", "because of a test"}
	with := func(args ...string) []string { return append(args, because...) }

	for _, args := range [][]string{
		with("deploy", "app@1.1.0"), with("pin", "app@1.1.0"), {"suspend", "app"}, {"resume", "app"}, {"unpin", "app"}, {"reconcile", "app"},
		with("quarantine", "app@1.1.0"),
	} {
		for _, who := range []person{viewer, alice} {
			expect(t, strings.Join(args, " "), who.runs(args...), exit.Refused, who.name+" may not patch rollouts in "+w.Namespace, "ClusterRole kuberik-edit")
		}
	}

	expect(t, "suspend", bob.runs("suspend", "app"), exit.OK, "is suspended")
	w.AwaitPhase(ro, v1alpha1.PhaseSuspended, "1.0.0")
	expect(t, "suspend again", bob.runs("suspend", "app"), exit.OK, "unchanged")
	expect(t, "resume", bob.runs("resume", "app", "-o", "name"), exit.OK, "rollout/app")
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	expect(t, "reconcile", bob.runs("reconcile", "app"), exit.OK, "annotated")
	expect(t, "reconcile with source", bob.runs("reconcile", "app", "--with-source"), exit.Refused, "imagepolicies.image.toolkit.fluxcd.io")

	expect(t, "quarantine", bob.runs(with("quarantine", "app@1.1.0")...), exit.OK, "not promoted")
	w.Await(ro, "1.1.0 is quarantined", func() error { return isolated(ro, "1.1.0") })
	if q := ro.Status.Quarantined[0]; q.Reason != "because of a test ("+bob.name+")" {
		t.Errorf("the quarantine says %+v", q)
	}
	expect(t, "deploy in quarantine", bob.runs(with("deploy", "app@1.1.0")...), exit.No, "is quarantined")
	expect(t, "lift, as a viewer", viewer.runs(with("lift", "app@1.1.0")...), exit.Refused, "may not patch rollouts")
	expect(t, "lift", bob.runs(with("lift", "app@1.1.0")...), exit.OK, "may be deployed automatically again")
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	expect(t, "lift again", bob.runs(with("lift", "app@1.1.0")...), exit.No, "is not quarantined")

	expect(t, "deploy", bob.runs(with("deploy", "app@1.1.0")...), exit.OK, "It goes past:", "RolloutGate manager")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	if e := ro.Status.History[0]; *e.Message != "because of a test" || e.TriggeredBy.Name != bob.name || e.Cause != v1alpha1.CauseForceDeploy {
		t.Errorf("the history says %+v", e)
	}
	expect(t, "deploy again", bob.runs(with("deploy", "app@1.1.0")...), exit.No, "what runs already")
	expect(t, "retry", bob.runs(with("retry", "app")...), exit.No, "has not failed")
	expect(t, "rollback, as a viewer", viewer.runs(with("rollback", "app")...), exit.Refused, "may not patch rollouts")
	expect(t, "rollback", bob.runs(with("rollback", "app")...), exit.OK, "to    1.0.0")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")

	expect(t, "pin", bob.runs(with("pin", "app@1.1.0")...), exit.OK, "spec.wantedVersion is 1.1.0")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	expect(t, "deploy under a pin", bob.runs(with("deploy", "app@1.0.0")...), exit.No, "spec.wantedVersion pins 1.1.0")
	expect(t, "unpin", bob.runs("unpin", "app"), exit.OK, "the pin to 1.1.0 is removed")
	w.Await(ro, "is not pinned", func() error {
		if ro.Spec.WantedVersion != nil {
			return errors.New("it is pinned")
		}
		return nil
	})
}

// TestRetry runs a release that failed once more.
func TestRetry(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	f := w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app", env.Bake("", "1s"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	f.Hold()
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseFailed, "1.1.0")
	f.Release()
	bob := someone(w, "bob", "kuberik-view", "kuberik-edit")
	viewer := someone(w, "viewer", "kuberik-view")
	expect(t, "as a viewer", viewer.runs("retry", "app", "--reason", "Flux is back"), exit.Refused, "may not patch rollouts")
	expect(t, "without a reason", bob.runs("retry", "app"), exit.Usage, "--reason is missing")
	expect(t, "retry", bob.runs("retry", "app", "--reason", "Flux is back"), exit.OK, "1.1.0 runs again")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
}

func isolated(ro *v1alpha1.Rollout, tag string) error {
	if slices.ContainsFunc(ro.Status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.Tag == tag }) {
		return nil
	}
	return fmt.Errorf("%s is not quarantined", tag)
}
