package environment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	open    = v1alpha1.GateOpen
	closed  = v1alpha1.GateClosed
	pending = v1alpha1.GatePending

	succeeded = v1alpha1.BakeSucceeded
	failing   = v1alpha1.BakeFailed
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publishStaging(entry(2, "2.0.0", v1alpha1.BakeDeploying), entry(1, "1.0.0", succeeded))
	f.mustReconcile()
	f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
	f.expectVerdict("2.0.0", closed, environment.ReasonNotAvailableUpstream)
	if v := f.verdict("1.0.0"); v.Digest != "sha256:1.0.0" || v.Until != nil {
		t.Errorf("got %+v", v)
	}
	f.expectReady("Synced", false)
	if f.self.Status.RolloutGateRef == nil || f.self.Status.RolloutGateRef.Name != f.gate().Name ||
		!metav1.IsControlledBy(f.gate(), f.self) {
		t.Errorf("the gate is %+v", f.gate())
	}
}

// TestGateIsClosedBeforeTheFirstRead: the gate is created before the backend was read, and opens for nothing.
func TestGateIsClosedBeforeTheFirstRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.neverRead, f.readErr = true, errBroken
	if _, err := f.reconcile(); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	f.expectVerdict("1.0.0", pending, environment.ReasonNewsOutdated)
	f.expectReady("BackendFails", false)
	if v := gate.Evaluate(f.gate(), version.Identity(release("0.0.1")), gate.Context{Now: noon}); v.Open() {
		t.Errorf("a release without a verdict: %+v", v)
	}
	if f.log[0] != "create gate" {
		t.Errorf("it wrote %v", f.log)
	}
}

func TestGateIsRestored(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, tc := range map[string]struct {
		edit   func(*v1alpha1.RolloutGate)
		closed bool
	}{
		"opened":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Passing = &yes }},
		"closed":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Passing = &no }, closed: true},
		"listed":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.AllowedVersions = &[]string{"2.0.0"} }},
		"another class":  {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Class = "example.com/open" }},
		"manual":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Class, g.Spec.Passing = "", &yes }},
		"other Rollout":  {edit: func(g *v1alpha1.RolloutGate) { g.Spec.RolloutRef.Name = "other" }},
		"without owners": {edit: func(g *v1alpha1.RolloutGate) { g.OwnerReferences = nil }},
		"renamed":        {edit: func(g *v1alpha1.RolloutGate) { g.Annotations = nil }},
		"unchanged":      {edit: func(*v1alpha1.RolloutGate) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.mustReconcile()
			want := f.gate()
			g := f.gate()
			tc.edit(g)
			if err := f.client.Update(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			f.mustReconcile()
			got := f.gate()
			if isClosed := !ptr.Deref(got.Spec.Passing, true); isClosed != tc.closed {
				t.Errorf("passing is %v", got.Spec.Passing)
			}
			got.Spec.Passing = nil
			if diff := gocmp.Diff(want.Spec, got.Spec); diff != "" || !metav1.IsControlledBy(got, f.self) ||
				got.Annotations[v1alpha1.AnnotationGatePrettyName] == "" {
				t.Errorf("it is not restored (-want +got):\n%s%v", diff, got.ObjectMeta)
			}
		})
	}
}

// TestStatusOfOthersIsNoEvidence: the status of an upstream Environment neither promotes a release nor sets a URL.
func TestStatusOfOthersIsNoEvidence(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	staging := &environments.Environment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "staging"}, Spec: f.self.Spec,
	}
	staging.Spec.Environment, staging.Spec.Relationship = "staging", nil
	staging.Annotations = map[string]string{environments.AnnotationURL: "https://staging.example.com/"}
	staging.Status.CurrentTag, staging.Status.CurrentState = "1.0.0", succeeded
	staging.Status.EnvironmentInfos = []environments.EnvironmentInfo{{
		Environment: "staging", EnvironmentURL: "https://evil.example.com/",
		History: []v1alpha1.DeploymentHistoryEntry{entry(1, "1.0.0", succeeded)},
	}}
	if err := f.client.Create(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Status().Update(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	b := cluster.Backend{Client: f.client, Namespace: "ns", Clock: f.clock}
	f.controller.backends = singleBackend{b}
	f.mustReconcile()
	f.expectVerdict("1.0.0", closed, environment.ReasonNotDeployedUpstream)
	for _, i := range f.self.Status.EnvironmentInfos {
		if i.Environment == "staging" && (i.EnvironmentURL != "https://staging.example.com/" || len(i.History) > 0) {
			t.Errorf("it shows %+v", i)
		}
	}
}

// singleBackend opens the same backend for all Environments.
type singleBackend struct{ environment.Backend }

func (o singleBackend) For(context.Context, *environments.Environment) (environment.Backend, error) {
	return o, nil
}

func TestDeletedGateIsCreatedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publishStaging(entry(1, "1.0.0", succeeded))
	f.mustReconcile()
	if err := f.client.Delete(t.Context(), f.gate()); err != nil {
		t.Fatal(err)
	}
	f.mustReconcile()
	f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
}

// createGate creates a gate.
func (f *fixture) createGate(name string, edit func(*v1alpha1.RolloutGate)) *v1alpha1.RolloutGate {
	f.t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	g.Spec.RolloutRef.Name = "app"
	edit(g)
	if err := f.client.Create(f.t.Context(), g); err != nil {
		f.t.Fatal(err)
	}
	g.UID = types.UID("uid of " + name)
	if err := f.client.Update(f.t.Context(), g); err != nil {
		f.t.Fatal(err)
	}
	f.get(g)
	return g
}

func ownedByAnother(g *v1alpha1.RolloutGate) {
	controls, yes := true, true
	g.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x", Controller: &controls},
	}
	g.Spec.Passing = &yes
}

// TestForeignGateOfTheSameNameIsNotChanged: it may have another owner, or belong to a user.
func TestForeignGateOfTheSameNameIsNotChanged(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.RolloutGate){
		"controlled": ownedByAnother,
		"of a user":  func(g *v1alpha1.RolloutGate) { g.Spec.Passing = new(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			before := f.createGate("production-after-staging", edit)
			f.publishStaging(entry(1, "1.0.0", succeeded))
			f.mustReconcile()
			f.expectReady("Synced", false)
			after := before.DeepCopy()
			if f.get(after); !gocmp.Equal(before, after) {
				t.Errorf("the foreign gate was changed: %s", gocmp.Diff(before, after))
			}
			own := f.ownGates()
			if len(own) != 1 || !strings.HasPrefix(own[0].Name, "production-after-staging-") ||
				len(own[0].Status.Verdicts) == 0 {
				t.Errorf("its gates are %+v", own)
			}
			if err := f.client.Delete(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			f.mustReconcile()
			if own := f.ownGates(); len(own) != 1 || own[0].Name != "production-after-staging" {
				t.Errorf("once the name is free, its gates are %+v", own)
			}
		})
	}
}

func TestBothGateNamesAreTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	taken := f.createGate("production-after-staging", ownedByAnother)
	second := f.createGate(version.UniqueName("production-after-staging", "Environment/app"), ownedByAnother)
	f.mustReconcile()
	f.expectReady("GateTaken", true)
	for _, g := range []*v1alpha1.RolloutGate{taken, second} {
		if !f.get(g) || g.Spec.Passing == nil || len(g.Status.Verdicts) > 0 || f.self.Status.RolloutGateRef != nil ||
			slices.Contains(f.log, "patch gate") {
			t.Errorf("the foreign gate was changed: %+v", g)
		}
	}
	f.edit(func(s *environments.EnvironmentSpec) { s.Relationship = nil })
	f.mustReconcile()
	if !f.get(taken) || !f.get(second) {
		t.Error("a foreign gate was deleted")
	}
}

// ownGates returns the gates that the Environment controls.
func (f *fixture) ownGates() []v1alpha1.RolloutGate {
	f.t.Helper()
	var list v1alpha1.RolloutGateList
	if err := f.client.List(f.t.Context(), &list); err != nil {
		f.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(g v1alpha1.RolloutGate) bool { return !metav1.IsControlledBy(&g, f.self) })
}

// TestEarlierGatesAreReplaced: the gates of the public controller and of earlier versions are deleted once the new one
// has verdicts.
func TestEarlierGatesAreReplaced(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		gate   string
		edit   func(*v1alpha1.RolloutGate)
		closed bool
	}{
		"public": {
			"ghd-x7k2p", func(g *v1alpha1.RolloutGate) { g.Spec.Passing, g.Spec.AllowedVersions = new(true), &[]string{} },
			false,
		},
		"public, listed": {
			"ghd-x7k2p",
			func(g *v1alpha1.RolloutGate) { g.Spec.Passing, g.Spec.AllowedVersions = new(true), &[]string{"9.9.9"} }, false,
		},
		"public, closed": {"ghd-x7k2p", func(g *v1alpha1.RolloutGate) { g.Spec.Passing = new(false) }, true},
		"earlier version": {
			version.UniqueName("app-environment", "Environment/app"),
			func(g *v1alpha1.RolloutGate) { g.Spec.Class = v1alpha1.GateClassEnvironment }, false,
		},
		"another name": {"production-after-qa", func(g *v1alpha1.RolloutGate) {
			g.Spec.Class, g.Spec.Passing = v1alpha1.GateClassEnvironment, new(false)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.get(f.self)
			old := f.createGate(tc.gate, func(g *v1alpha1.RolloutGate) {
				tc.edit(g)
				if err := controllerutil.SetControllerReference(f.self, g, f.client.Scheme()); err != nil {
					t.Fatal(err)
				}
			})
			f.publishStaging(entry(1, "1.0.0", succeeded))
			f.mustReconcile()
			if want := []string{"create gate", "status gate", "delete gate"}; !slices.Equal(f.log[:3], want) {
				t.Errorf("it wrote %v, want %v first", f.log, want)
			}
			if f.get(old) {
				t.Error("the old gate was not deleted")
			}
			g := f.gate()
			if g == nil || g.Name != "production-after-staging" || g.Spec.Class != v1alpha1.GateClassEnvironment ||
				g.Spec.AllowedVersions != nil {
				t.Fatalf("the gate is %+v", g)
			}
			if isClosed := !ptr.Deref(g.Spec.Passing, true); isClosed != tc.closed {
				t.Errorf("the new gate is closed: %t", isClosed)
			}
			f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
			if f.mustReconcile(); len(f.log) > 0 {
				t.Errorf("the next reconcile wrote %v", f.log)
			}
		})
	}
}

func TestEarlierGateStaysUntilTheNewOneHasVerdicts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.get(f.self)
	old := f.createGate("ghd-x7k2p", func(g *v1alpha1.RolloutGate) {
		g.Status.Verdicts = []v1alpha1.GateVerdict{
			{
				Release: "0.1.0", Digest: "sha256:0.1.0", State: closed, Reason: environment.ReasonQuarantinedUpstream,
				Message: "it lost orders",
			},
		}
		if err := controllerutil.SetControllerReference(f.self, g, f.client.Scheme()); err != nil {
			t.Fatal(err)
		}
	})
	f.setHistory(entry(1, "0.1.0", succeeded))
	f.neverRead, f.readErr = true, errBroken
	f.failStatus = true
	if _, err := f.reconcile(); err == nil || !f.get(old) {
		t.Errorf("the old gate was deleted although the new one has no verdicts: %v", err)
	}
	f.failStatus = false
	if _, err := f.reconcile(); !errors.Is(err, errBroken) || f.get(old) {
		t.Errorf("the old gate was not deleted: %v", err)
	}
	f.expectVerdict("0.1.0", closed, environment.ReasonQuarantinedUpstream)
}

func TestNoGateWithoutUpstreams(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mustReconcile()
	f.edit(func(s *environments.EnvironmentSpec) { s.Relationship = nil })
	f.mustReconcile()
	if f.gate() != nil || f.self.Status.RolloutGateRef != nil {
		t.Errorf("the gate is %+v", f.gate())
	}
	f.expectReady("Synced", false)
	f.mustReconcile()
	if len(f.log) > 0 {
		t.Errorf("it wrote %v", f.log)
	}
}

func TestDeletedEnvironmentIsIgnored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.get(f.self)
	f.self.DeletionTimestamp = &metav1.Time{Time: noon}
	if result, err := f.controller.Reconcile(t.Context(), f.self); err != nil || !result.IsZero() || len(f.log) > 0 {
		t.Errorf("got %+v, %v, %v", result, err, f.log)
	}
}

// TestRollbackToAReleaseThatWasAvailableHere is possible whatever the backend returns, unless the release is
// quarantined upstream.
func TestRollbackToAReleaseThatWasAvailableHere(t *testing.T) {
	t.Parallel()
	quarantine := []v1alpha1.Quarantine{{ReleaseIdentity: version.Identity(release("0.1.0")), Reason: "it lost orders"}}
	for name, tc := range map[string]struct {
		edit   func(*fixture)
		state  v1alpha1.GateState
		reason string
	}{
		"unknown upstream": {func(*fixture) {}, open, environment.ReasonPromoted},
		"not deployed there": {
			func(f *fixture) { f.publishStaging(entry(1, "1.0.0", succeeded)) }, open, environment.ReasonPromoted,
		},
		"failed there": {
			func(f *fixture) { f.publishStaging(entry(1, "0.1.0", failing)) }, open, environment.ReasonPromoted,
		},
		"rolled back there": {func(f *fixture) {
			f.publishStaging(entry(3, "0.0.1", succeeded), entry(2, "0.1.0", succeeded), entry(1, "0.0.1", succeeded))
		}, open, environment.ReasonPromoted},
		"never read": {func(f *fixture) { f.neverRead = true }, open, environment.ReasonPromoted},
		"refused": {
			func(f *fixture) { f.forErr = &environment.RefusedError{Err: errBroken} }, open, environment.ReasonPromoted,
		},
		"quarantined there": {
			func(f *fixture) { f.publishOther("staging", quarantine, entry(1, "0.1.0", failing)) }, closed,
			environment.ReasonQuarantinedUpstream,
		},
		"quarantined before a restart": {func(f *fixture) {
			f.publishOther("staging", quarantine, entry(1, "0.1.0", failing))
			f.mustReconcile()
			f.neverRead = true
		}, closed, environment.ReasonQuarantinedUpstream},
		"failed here": {
			func(f *fixture) { f.setHistory(entry(1, "0.1.0", failing)) }, closed, environment.ReasonUnknownEnvironment,
		},
		"another image": {func(f *fixture) {
			e := entry(1, "0.1.0", succeeded)
			e.Version.Digest = "sha256:other"
			f.setHistory(entry(2, "0.1.0", failing), e)
		}, closed, environment.ReasonUnknownEnvironment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.setHistory(entry(2, "0.2.0", v1alpha1.BakeInProgress), entry(1, "0.1.0", succeeded))
			tc.edit(f)
			f.mustReconcile()
			if v := f.verdict("0.1.0"); v.State != tc.state || v.Reason != tc.reason {
				t.Errorf("got %+v", v)
			}
			if f.verdict("2.0.0").State == open {
				t.Error("a release that never ran is open")
			}
		})
	}
}

// TestVerdictsOfReleasesWithoutDigest: a verdict for a tag without a digest does not open the gate for a digest, which
// may be that of another image.
func TestVerdictsOfReleasesWithoutDigest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := entry(1, "1.0.0", succeeded)
	e.Version.Digest = ""
	f.setHistory(e)
	f.mustReconcile()
	for digest, want := range map[string]bool{"": true, "sha256:1.0.0": false, "sha256:other": false} {
		v := gate.Evaluate(f.gate(), v1alpha1.ReleaseIdentity{Tag: "1.0.0", Digest: digest}, gate.Context{Now: noon})
		if v.Open() != want {
			t.Errorf("%q: got %+v", digest, v)
		}
	}
}

func TestManyCandidates(t *testing.T) {
	t.Parallel()
	for selection, first := range map[v1alpha1.Selection]string{
		v1alpha1.SelectLatest: "99.0.0", v1alpha1.SelectEvery: "0.0.0",
	} {
		f := newFixture(t)
		f.get(f.rollout)
		f.rollout.Spec.Selection = selection
		if err := f.client.Update(t.Context(), f.rollout); err != nil {
			t.Fatal(err)
		}
		f.rollout.Status.ReleaseCandidates = nil
		for i := range 100 {
			f.rollout.Status.ReleaseCandidates = append(f.rollout.Status.ReleaseCandidates, release(fmt.Sprintf("%d.0.0", 99-i)))
		}
		f.rollout.Status.History = []v1alpha1.DeploymentHistoryEntry{entry(1, "0.1.0", succeeded)}
		if err := f.client.Status().Update(t.Context(), f.rollout); err != nil {
			t.Fatal(err)
		}
		f.mustReconcile()
		if n := len(f.gate().Status.Verdicts); n != 21 || f.verdict(first).State != closed {
			t.Errorf("%s: %d verdicts, %s is %+v", selection, n, first, f.verdict(first))
		}
	}
}

// TestVerdictExpires: an open verdict has an end, which is extended when half of the time is over, as long as the
// backend can be read.
func TestVerdictExpires(t *testing.T) {
	t.Parallel()
	f := newFixture(t, outsideBackend)
	f.publishStaging(entry(1, "1.0.0", succeeded))
	f.mustReconcile()
	if until := f.verdict("1.0.0").Until; until == nil || !until.Equal(&metav1.Time{Time: noon.Add(minMaxAge)}) {
		t.Errorf("it is open until %v", until)
	}
	writes := 0
	for range 60 {
		f.clock.SetTime(f.clock.Now().Add(time.Minute))
		if result := f.mustReconcile(); result.RequeueAfter != time.Minute {
			t.Errorf("requeued after %s", result.RequeueAfter)
		}
		f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
		if until := f.verdict("1.0.0").Until.Time; until.Before(f.clock.Now().Add(minMaxAge / 2)) {
			t.Errorf("at %s it is open until %s", f.clock.Now(), until)
		}
		writes += len(f.log)
	}
	if writes > 12 {
		t.Errorf("it wrote %d times in an hour", writes)
	}
	f.readErr = errBroken
	lastRead := f.clock.Now()
	for age := time.Duration(0); age < minMaxAge; age += time.Minute {
		f.clock.SetTime(lastRead.Add(age))
		if _, err := f.reconcile(); !errors.Is(err, errBroken) {
			t.Fatalf("got %v", err)
		}
		f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
	}
	f.clock.SetTime(lastRead.Add(minMaxAge))
	if _, err := f.reconcile(); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	f.expectVerdict("1.0.0", pending, environment.ReasonNewsOutdated)
	f.readErr = nil
	f.mustReconcile()
	f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
}

func TestNoWritesWithoutChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publishStaging(entry(1, "1.0.0", succeeded))
	f.setHistory(entry(1, "0.1.0", succeeded))
	f.mustReconcile()
	for range 3 {
		f.clock.SetTime(f.clock.Now().Add(time.Hour))
		if result := f.mustReconcile(); len(f.log) > 0 || !result.IsZero() {
			t.Errorf("it wrote %v, and is requeued after %s", f.log, result.RequeueAfter)
		}
	}
}

func TestSoakingEndsOnTime(t *testing.T) {
	t.Parallel()
	hour := v1alpha1.Duration("1h")
	f := newFixture(t, func(e *environments.Environment) {
		e.Spec.DependsOn = []environments.Dependency{{Environment: "staging", MinAvailableFor: &hour}}
	})
	f.publishStaging(entry(100, "1.0.0", succeeded)) // Available half a minute after noon
	f.clock.SetTime(noon.Add(time.Minute))
	if result := f.mustReconcile(); result.RequeueAfter != time.Hour-30*time.Second {
		t.Errorf("requeued after %s", result.RequeueAfter)
	}
	f.expectVerdict("1.0.0", pending, environment.ReasonSoaking)
	f.clock.SetTime(noon.Add(time.Hour + 30*time.Second))
	f.mustReconcile()
	f.expectVerdict("1.0.0", open, environment.ReasonPromoted)
}

func TestResultsOfTheBackend(t *testing.T) {
	t.Parallel()
	wait := &environment.WaitError{Until: noon.Add(7 * time.Minute), Err: errBroken}
	one := &environment.DeploymentError{ID: 3, Err: errors.New("the revision is unknown")}
	refused := &environment.RefusedError{Err: errors.New("the token is not valid")}
	for name, tc := range map[string]struct {
		edit    func(*fixture)
		reason  string
		stalled bool
		message string
		requeue time.Duration
		fails   bool
		// open is whether the gate is open for 1.0.0.
		open bool
	}{
		"no error": {func(*fixture) {}, "Synced", false, "takes releases after staging", time.Minute, false, true},
		"untrusted logins": {func(f *fixture) {
			d := environment.Deployment{Key: "uid-6/1", ID: 1, Version: release("v6.6.6"), State: v1alpha1.BakeSucceeded}
			s := environment.State{Application: "shop", Environment: "staging", Deployments: []environment.Deployment{d}}
			if err := f.service.Backend("mallory").Publish(f.t.Context(), s); err != nil {
				f.t.Fatal(err)
			}
		}, "Synced", false, "takes releases after staging; deployments by untrusted logins, which do not count: 1", time.Minute, false, true},
		"wait": {
			func(f *fixture) { f.publishErr = wait }, "BackendWaits", false, "until 2030-03-01T12:07:00Z", 7 * time.Minute,
			false, true,
		},
		"wait when it reads": {
			func(f *fixture) { f.neverRead, f.readErr = true, wait }, "BackendWaits", false, "until 2030-03-01T12:07:00Z",
			7 * time.Minute, false, false,
		},
		"wait for a second": {
			func(f *fixture) { f.publishErr = &environment.WaitError{Until: noon.Add(time.Second), Err: errBroken} },
			"BackendWaits", false, "12:00:01Z", time.Minute, false, true,
		},
		"fail, then wait": {
			func(f *fixture) { f.publishErr, f.neverRead, f.readErr = errBroken, true, wait }, "BackendWaits", false, "until",
			7 * time.Minute, false, false,
		},
		"wait, then fail": {
			func(f *fixture) { f.publishErr, f.neverRead, f.readErr = wait, true, errBroken }, "BackendWaits", false, "until",
			7 * time.Minute, false, false,
		},
		"cannot publish": {
			func(f *fixture) { f.publishErr = errBroken }, "BackendFails", false, "broken on purpose", 0, true, true,
		},
		"one deployment": {
			func(f *fixture) { f.publishErr = one }, "DeploymentRefused", false, "deployment 3: the revision is unknown",
			time.Minute, false, true,
		},
		"deployments and more": {
			func(f *fixture) { f.publishErr = errors.Join(one, errBroken) }, "BackendFails", false, "broken on purpose", 0, true,
			true,
		},
		"refused": {
			func(f *fixture) { f.forErr = refused }, "BackendRefuses", true, "the token is not valid", time.Minute, false, false,
		},
		"refused when it publishes": {
			func(f *fixture) { f.publishErr = refused }, "BackendRefuses", true, "the token is not valid", time.Minute, false,
			false,
		},
		"refused when it reads": {
			func(f *fixture) { f.neverRead, f.readErr = true, refused }, "BackendRefuses", true, "the token is not valid",
			time.Minute, false, false,
		},
		"cannot be opened": {
			func(f *fixture) { f.forErr = errBroken }, "BackendFails", false, "broken on purpose", 0, true, false,
		},
		"no name": {
			func(f *fixture) { f.edit(func(s *environments.EnvironmentSpec) { s.Environment = "" }) }, "NoName", true,
			"spec.environment is missing", time.Minute, false, false,
		},
		"no Rollout": {
			func(f *fixture) { f.edit(func(s *environments.EnvironmentSpec) { s.RolloutRef.Name = "x" }) }, "RolloutNotFound",
			true, "Rollout x does not exist", time.Minute, false, false,
		},
		"no duration": {
			func(f *fixture) { f.edit(badDuration) }, "InvalidSpec", true, "spec.dependsOn[0].minAvailableFor", time.Minute,
			false, false,
		},
		"no interval": {
			func(f *fixture) { f.edit(interval("soon")) }, "InvalidSpec", true, "spec.requeueInterval", 10 * time.Second, false,
			false,
		},
		"a longer interval": {
			func(f *fixture) { f.edit(interval("5m")) }, "Synced", false, "", 5 * time.Minute, false, true,
		},
		"the shortest interval": {
			func(f *fixture) { f.edit(interval("10ms")) }, "Synced", false, "", 10 * time.Second, false, true,
		},
		"a cycle": {func(f *fixture) {
			f.edit(func(s *environments.EnvironmentSpec) { s.Relationship.Environment = "production" })
		}, "Cycle", true, "production after production", time.Minute, false, false},
		"a cycle with the other": {
			cycle, "Cycle", true, "production after staging after production", time.Minute, false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, outsideBackend)
			f.publishStaging(entry(1, "1.0.0", succeeded))
			f.mustReconcile()
			tc.edit(f)
			result, err := f.reconcile()
			f.expectReady(tc.reason, tc.stalled)
			if message := f.condition(v1alpha1.ConditionReady).Message; !strings.Contains(message, tc.message) {
				t.Errorf("the message is %q", message)
			}
			if result.RequeueAfter != tc.requeue || (err != nil) != tc.fails {
				t.Errorf("requeued after %s, with %v", result.RequeueAfter, err)
			}
			if got := f.verdict("1.0.0"); (got.State == open) != tc.open {
				t.Errorf("the verdict is %+v", got)
			}
		})
	}
}

func badDuration(s *environments.EnvironmentSpec) {
	soon := v1alpha1.Duration("soon")
	s.DependsOn = []environments.Dependency{{Environment: "staging", MinAvailableFor: &soon}}
}

func interval(d string) func(*environments.EnvironmentSpec) {
	return func(s *environments.EnvironmentSpec) { s.RequeueInterval = &d }
}

// cycle makes staging depend on production.
func cycle(f *fixture) {
	f.t.Helper()
	e := &environments.Environment{Spec: environments.EnvironmentSpec{
		Name: "shop", Environment: "staging", Relationship: &environments.Relationship{
			Environment: "production", Type: environments.After,
		},
	}}
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: "s"}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{entry(2, "1.0.0", succeeded)}
	if err := f.backend.Publish(f.t.Context(), environment.StateOf(e, ro)); err != nil {
		f.t.Fatal(err)
	}
}

func keys(list []reconcile.Request) []string {
	var keys []string
	for _, r := range list {
		keys = append(keys, r.String())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestGateRepeatsItsVerdict is about the column MESSAGE of kubectl get gates, which is never blank: the message of the first verdict, or else
// what is wrong.
func TestGateRepeatsItsVerdict(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mustReconcile()
	g := f.gate()
	c := apimeta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || len(g.Status.Verdicts) == 0 || c.Status != metav1.ConditionTrue || c.Message != g.Status.Verdicts[0].Message {
		t.Errorf("the condition is %+v, and the verdicts are %+v", c, g.Status.Verdicts)
	}
}
