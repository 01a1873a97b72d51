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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	w := newWorld(t)
	w.staging(entry(2, "2.0.0", v1alpha1.BakeDeploying), entry(1, "1.0.0", succeeded))
	w.settle()
	w.want("1.0.0", open, environment.ReasonPromoted)
	w.want("2.0.0", closed, environment.ReasonNotAvailableUpstream)
	if v := w.says("1.0.0"); v.Digest != "sha256:1.0.0" || v.Until != nil {
		t.Errorf("it says %+v", v)
	}
	w.reports("Synced", false)
	if w.self.Status.RolloutGateRef == nil || w.self.Status.RolloutGateRef.Name != w.gate().Name || !metav1.IsControlledBy(w.gate(), w.self) {
		t.Errorf("the gate is %+v", w.gate())
	}
}

// TestD26GateIsShutBeforeAnythingIsKnown: the gate is made before the backend is heard, and admits nothing until then.
func TestD26GateIsShutBeforeAnythingIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.silent, w.readErr = true, errBroken
	if _, err := w.reconcile(); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	w.want("1.0.0", pending, environment.ReasonNewsOutdated)
	w.reports("BackendFails", false)
	if v := gate.Evaluate(w.gate(), version.Identity(release("0.0.1")), gate.Context{Now: noon}); v.Open() {
		t.Errorf("a release that nobody has judged: %+v", v)
	}
	if w.log[0] != "create gate" {
		t.Errorf("it wrote %v", w.log)
	}
}

func TestGateIsPutBack(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, tc := range map[string]struct {
		edit func(*v1alpha1.RolloutGate)
		shut bool
	}{
		"opened":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Passing = &yes }},
		"closed":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Passing = &no }, shut: true},
		"listed":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.AllowedVersions = &[]string{"2.0.0"} }},
		"another class":  {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Class = "example.com/open" }},
		"manual":         {edit: func(g *v1alpha1.RolloutGate) { g.Spec.Class, g.Spec.Passing = "", &yes }},
		"another's":      {edit: func(g *v1alpha1.RolloutGate) { g.Spec.RolloutRef.Name = "other" }},
		"without owners": {edit: func(g *v1alpha1.RolloutGate) { g.OwnerReferences = nil }},
		"renamed":        {edit: func(g *v1alpha1.RolloutGate) { g.Annotations = nil }},
		"judged":         {edit: func(*v1alpha1.RolloutGate) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.settle()
			want := w.gate()
			g := w.gate()
			tc.edit(g)
			if err := w.client.Update(t.Context(), g); err != nil {
				t.Fatal(err)
			}
			w.settle()
			got := w.gate()
			if shut := got.Spec.Passing != nil && !*got.Spec.Passing; shut != tc.shut {
				t.Errorf("passing is %v", got.Spec.Passing)
			}
			got.Spec.Passing = nil
			if diff := gocmp.Diff(want.Spec, got.Spec); diff != "" || !metav1.IsControlledBy(got, w.self) || got.Annotations[v1alpha1.AnnotationGatePrettyName] == "" {
				t.Errorf("it is not put back (-want +got):\n%s%v", diff, got.ObjectMeta)
			}
		})
	}
}

// TestStatusOfOthersIsNoEvidence: who may patch the status of an Environment upstream neither promotes a release nor chooses a URL.
func TestStatusOfOthersIsNoEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	staging := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "staging"}, Spec: w.self.Spec}
	staging.Spec.Environment, staging.Spec.Relationship = "staging", nil
	staging.Annotations = map[string]string{environments.AnnotationURL: "https://staging.example.com/"}
	staging.Status.CurrentTag, staging.Status.CurrentState = "1.0.0", string(succeeded)
	staging.Status.EnvironmentInfos = []environments.EnvironmentInfo{{
		Environment: "staging", EnvironmentURL: "https://evil.example.com/",
		History: []v1alpha1.DeploymentHistoryEntry{entry(1, "1.0.0", succeeded)},
	}}
	if err := w.client.Create(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Status().Update(t.Context(), staging); err != nil {
		t.Fatal(err)
	}
	b := cluster.Backend{Client: w.client, Namespace: "ns", Clock: w.clock}
	w.controller.backends = only{b}
	w.settle()
	w.want("1.0.0", closed, environment.ReasonNotDeployedUpstream)
	for _, i := range w.self.Status.EnvironmentInfos {
		if i.Environment == "staging" && (i.EnvironmentURL != "https://staging.example.com/" || len(i.History) > 0) {
			t.Errorf("it shows %+v", i)
		}
	}
}

// only is the one backend that there is.
type only struct{ environment.Backend }

func (o only) For(context.Context, *environments.Environment) (environment.Backend, error) {
	return o, nil
}

func TestDeletedGateIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.staging(entry(1, "1.0.0", succeeded))
	w.settle()
	if err := w.client.Delete(t.Context(), w.gate()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want("1.0.0", open, environment.ReasonPromoted)
}

// taken makes a gate with a name that the Environment would use.
func (w *world) taken(name string, edit func(*v1alpha1.RolloutGate)) *v1alpha1.RolloutGate {
	w.t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	g.Spec.RolloutRef.Name = "app"
	edit(g)
	if err := w.client.Create(w.t.Context(), g); err != nil {
		w.t.Fatal(err)
	}
	g.UID = types.UID("uid of " + name)
	if err := w.client.Update(w.t.Context(), g); err != nil {
		w.t.Fatal(err)
	}
	w.get(g)
	return g
}

func ofAnother(g *v1alpha1.RolloutGate) {
	controls, yes := true, true
	g.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x", Controller: &controls}}
	g.Spec.Passing = &yes
}

// TestGateNameThatIsTaken: a gate of somebody else is left alone, whether it has an owner or a person made it.
func TestGateNameThatIsTaken(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.RolloutGate){
		"controlled": ofAnother,
		"a person's": func(g *v1alpha1.RolloutGate) { g.Spec.Passing = new(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.taken("production-after-staging", edit)
			w.staging(entry(1, "1.0.0", succeeded))
			w.settle()
			w.reports("Synced", false)
			after := before.DeepCopy()
			if w.get(after); !gocmp.Equal(before, after) {
				t.Errorf("it changed what is not its own: %s", gocmp.Diff(before, after))
			}
			own := w.kept()
			if len(own) != 1 || !strings.HasPrefix(own[0].Name, "production-after-staging-") || len(own[0].Status.Verdicts) == 0 {
				t.Errorf("it keeps %+v", own)
			}
			if err := w.client.Delete(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			w.settle()
			if own := w.kept(); len(own) != 1 || own[0].Name != "production-after-staging" {
				t.Errorf("once the name is free it keeps %+v", own)
			}
		})
	}
}

func TestGateOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	taken := w.taken("production-after-staging", ofAnother)
	second := w.taken(version.UniqueName("production-after-staging", "Environment/app"), ofAnother)
	w.settle()
	w.reports("GateTaken", true)
	for _, g := range []*v1alpha1.RolloutGate{taken, second} {
		if !w.get(g) || g.Spec.Passing == nil || len(g.Status.Verdicts) > 0 || w.self.Status.RolloutGateRef != nil || slices.Contains(w.log, "patch gate") {
			t.Errorf("it took %+v", g)
		}
	}
	w.edit(func(s *environments.EnvironmentSpec) { s.Relationship = nil })
	w.settle()
	if !w.get(taken) || !w.get(second) {
		t.Error("it deleted what is not its own")
	}
}

// kept lists the gates that the Environment controls.
func (w *world) kept() []v1alpha1.RolloutGate {
	w.t.Helper()
	var list v1alpha1.RolloutGateList
	if err := w.client.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(g v1alpha1.RolloutGate) bool { return !metav1.IsControlledBy(&g, w.self) })
}

// TestGatesOfBefore: what the public controller made, and what earlier versions named otherwise, is replaced, and at no time does no gate
// hold.
func TestGatesOfBefore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		gate string
		edit func(*v1alpha1.RolloutGate)
		shut bool
	}{
		"public":         {"ghd-x7k2p", func(g *v1alpha1.RolloutGate) { g.Spec.Passing, g.Spec.AllowedVersions = new(true), &[]string{} }, false},
		"public, listed": {"ghd-x7k2p", func(g *v1alpha1.RolloutGate) { g.Spec.Passing, g.Spec.AllowedVersions = new(true), &[]string{"9.9.9"} }, false},
		"public, shut":   {"ghd-x7k2p", func(g *v1alpha1.RolloutGate) { g.Spec.Passing = new(false) }, true},
		"of before":      {version.UniqueName("app-environment", "Environment/app"), func(g *v1alpha1.RolloutGate) { g.Spec.Class = v1alpha1.GateClassEnvironment }, false},
		"of another name": {"production-after-qa", func(g *v1alpha1.RolloutGate) {
			g.Spec.Class, g.Spec.Passing = v1alpha1.GateClassEnvironment, new(false)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.get(w.self)
			old := w.taken(tc.gate, func(g *v1alpha1.RolloutGate) {
				tc.edit(g)
				if err := controllerutil.SetControllerReference(w.self, g, w.client.Scheme()); err != nil {
					t.Fatal(err)
				}
			})
			w.staging(entry(1, "1.0.0", succeeded))
			w.settle()
			if want := []string{"create gate", "status gate", "delete gate"}; !slices.Equal(w.log[:3], want) {
				t.Errorf("it wrote %v, want %v first", w.log, want)
			}
			if w.get(old) {
				t.Error("the old gate stays")
			}
			g := w.gate()
			if g == nil || g.Name != "production-after-staging" || g.Spec.Class != v1alpha1.GateClassEnvironment || g.Spec.AllowedVersions != nil {
				t.Fatalf("the gate is %+v", g)
			}
			if shut := g.Spec.Passing != nil && !*g.Spec.Passing; shut != tc.shut {
				t.Errorf("the new gate is shut: %t", shut)
			}
			w.want("1.0.0", open, environment.ReasonPromoted)
			if w.settle(); len(w.log) > 0 {
				t.Errorf("then it wrote %v", w.log)
			}
		})
	}
}

// TestGateOfBeforeStays as long as the new one cannot be judged.
func TestGateOfBeforeStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get(w.self)
	old := w.taken("ghd-x7k2p", func(g *v1alpha1.RolloutGate) {
		g.Status.Verdicts = []v1alpha1.GateVerdict{{Release: "0.1.0", Digest: "sha256:0.1.0", State: closed, Reason: environment.ReasonQuarantinedUpstream, Message: "it lost orders"}}
		if err := controllerutil.SetControllerReference(w.self, g, w.client.Scheme()); err != nil {
			t.Fatal(err)
		}
	})
	w.ran(entry(1, "0.1.0", succeeded))
	w.silent, w.readErr = true, errBroken
	w.failStatus = true
	if _, err := w.reconcile(); err == nil || !w.get(old) {
		t.Errorf("the old gate is gone although the new one says nothing: %v", err)
	}
	w.failStatus = false
	if _, err := w.reconcile(); !errors.Is(err, errBroken) || w.get(old) {
		t.Errorf("the old gate stays: %v", err)
	}
	w.want("0.1.0", closed, environment.ReasonQuarantinedUpstream)
}

func TestWithoutRelationshipThereIsNoGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle()
	w.edit(func(s *environments.EnvironmentSpec) { s.Relationship = nil })
	w.settle()
	if w.gate() != nil || w.self.Status.RolloutGateRef != nil {
		t.Errorf("there is %+v", w.gate())
	}
	w.reports("Synced", false)
	w.settle()
	if len(w.log) > 0 {
		t.Errorf("it wrote %v", w.log)
	}
}

func TestDeletedEnvironmentIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get(w.self)
	w.self.DeletionTimestamp = &metav1.Time{Time: noon}
	if result, err := w.controller.Reconcile(t.Context(), w.self); err != nil || !result.IsZero() || len(w.log) > 0 {
		t.Errorf("got %+v, %v, %v", result, err, w.log)
	}
}

// TestWhatRanHere may be gone back to, whatever can be heard of others, unless it is quarantined there.
func TestWhatRanHere(t *testing.T) {
	t.Parallel()
	quarantine := []v1alpha1.Quarantine{{ReleaseIdentity: version.Identity(release("0.1.0")), Reason: "it lost orders"}}
	for name, tc := range map[string]struct {
		edit   func(*world)
		state  v1alpha1.GateState
		reason string
	}{
		"never there":     {func(*world) {}, open, environment.ReasonPromoted},
		"not in the news": {func(w *world) { w.staging(entry(1, "1.0.0", succeeded)) }, open, environment.ReasonPromoted},
		"failed there":    {func(w *world) { w.staging(entry(1, "0.1.0", failing)) }, open, environment.ReasonPromoted},
		"gone back from": {func(w *world) {
			w.staging(entry(3, "0.0.1", succeeded), entry(2, "0.1.0", succeeded), entry(1, "0.0.1", succeeded))
		}, open, environment.ReasonPromoted},
		"nothing heard":     {func(w *world) { w.silent = true }, open, environment.ReasonPromoted},
		"refused":           {func(w *world) { w.forErr = &environment.RefusedError{Err: errBroken} }, open, environment.ReasonPromoted},
		"quarantined there": {func(w *world) { w.other("staging", quarantine, entry(1, "0.1.0", failing)) }, closed, environment.ReasonQuarantinedUpstream},
		"quarantined, silent": {func(w *world) {
			w.other("staging", quarantine, entry(1, "0.1.0", failing))
			w.settle()
			w.silent = true
		}, closed, environment.ReasonQuarantinedUpstream},
		"failed here": {func(w *world) { w.ran(entry(1, "0.1.0", failing)) }, closed, environment.ReasonUnknownEnvironment},
		"another image": {func(w *world) {
			e := entry(1, "0.1.0", succeeded)
			e.Version.Digest = "sha256:other"
			w.ran(entry(2, "0.1.0", failing), e)
		}, closed, environment.ReasonUnknownEnvironment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ran(entry(2, "0.2.0", v1alpha1.BakeInProgress), entry(1, "0.1.0", succeeded))
			tc.edit(w)
			w.settle()
			if v := w.says("0.1.0"); v.State != tc.state || v.Reason != tc.reason {
				t.Errorf("got %+v", v)
			}
			if w.says("2.0.0").State == open {
				t.Error("what never ran anywhere may come")
			}
		})
	}
}

// TestVerdictsOfReleasesWithoutDigest: a gate is asked with the identity that is on record, which need not have a digest. That lets no image
// pass which has one: nobody knows whether it is the same.
func TestVerdictsOfReleasesWithoutDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := entry(1, "1.0.0", succeeded)
	e.Version.Digest = ""
	w.ran(e)
	w.settle()
	for digest, want := range map[string]bool{"": true, "sha256:1.0.0": false, "sha256:other": false} {
		v := gate.Evaluate(w.gate(), v1alpha1.ReleaseIdentity{Tag: "1.0.0", Digest: digest}, gate.Context{Now: noon})
		if v.Open() != want {
			t.Errorf("%q: got %+v", digest, v)
		}
	}
}

func TestManyCandidates(t *testing.T) {
	t.Parallel()
	for selection, first := range map[v1alpha1.Selection]string{v1alpha1.SelectLatest: "99.0.0", v1alpha1.SelectEvery: "0.0.0"} {
		w := newWorld(t)
		w.get(w.rollout)
		w.rollout.Spec.Selection = selection
		if err := w.client.Update(t.Context(), w.rollout); err != nil {
			t.Fatal(err)
		}
		w.rollout.Status.ReleaseCandidates = nil
		for i := range 100 {
			w.rollout.Status.ReleaseCandidates = append(w.rollout.Status.ReleaseCandidates, release(fmt.Sprintf("%d.0.0", 99-i)))
		}
		w.rollout.Status.History = []v1alpha1.DeploymentHistoryEntry{entry(1, "0.1.0", succeeded)}
		if err := w.client.Status().Update(t.Context(), w.rollout); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if n := len(w.gate().Status.Verdicts); n != 21 || w.says(first).State != closed {
			t.Errorf("%s: %d verdicts, %s is %+v", selection, n, first, w.says(first))
		}
	}
}

// TestPatience: a verdict says until when it holds, is written anew when half of that is over, and ends with the news.
func TestPatience(t *testing.T) {
	t.Parallel()
	w := newWorld(t, outsideBackend)
	w.staging(entry(1, "1.0.0", succeeded))
	w.settle()
	if until := w.says("1.0.0").Until; until == nil || !until.Equal(&metav1.Time{Time: noon.Add(leastPatience)}) {
		t.Errorf("it holds until %v", until)
	}
	writes := 0
	for range 60 {
		w.clock.SetTime(w.clock.Now().Add(time.Minute))
		if result := w.settle(); result.RequeueAfter != time.Minute {
			t.Errorf("it looks again after %s", result.RequeueAfter)
		}
		w.want("1.0.0", open, environment.ReasonPromoted)
		if until := w.says("1.0.0").Until.Time; until.Before(w.clock.Now().Add(leastPatience / 2)) {
			t.Errorf("at %s it holds until %s", w.clock.Now(), until)
		}
		writes += len(w.log)
	}
	if writes > 12 {
		t.Errorf("it wrote %d times in an hour", writes)
	}
	w.readErr = errBroken
	heard := w.clock.Now()
	for w.clock.SetTime(heard); w.clock.Now().Before(heard.Add(leastPatience)); w.clock.SetTime(w.clock.Now().Add(time.Minute)) {
		if _, err := w.reconcile(); !errors.Is(err, errBroken) {
			t.Fatalf("got %v", err)
		}
		w.want("1.0.0", open, environment.ReasonPromoted)
	}
	if _, err := w.reconcile(); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	w.want("1.0.0", pending, environment.ReasonNewsOutdated)
	w.readErr = nil
	w.settle()
	w.want("1.0.0", open, environment.ReasonPromoted)
}

// TestRest: nothing is written while nothing changes.
func TestRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.staging(entry(1, "1.0.0", succeeded))
	w.ran(entry(1, "0.1.0", succeeded))
	w.settle()
	for range 3 {
		w.clock.SetTime(w.clock.Now().Add(time.Hour))
		if result := w.settle(); len(w.log) > 0 || !result.IsZero() {
			t.Errorf("it wrote %v, and looks again after %s", w.log, result.RequeueAfter)
		}
	}
}

func TestSoakingEndsAtTheSecond(t *testing.T) {
	t.Parallel()
	hour := v1alpha1.Duration("1h")
	w := newWorld(t, func(e *environments.Environment) {
		e.Spec.DependsOn = []environments.Dependency{{Environment: "staging", MinAvailableFor: &hour}}
	})
	w.staging(entry(100, "1.0.0", succeeded)) // Available half a minute after noon
	w.clock.SetTime(noon.Add(time.Minute))
	if result := w.settle(); result.RequeueAfter != time.Hour-30*time.Second {
		t.Errorf("it looks again after %s", result.RequeueAfter)
	}
	w.want("1.0.0", pending, environment.ReasonSoaking)
	w.clock.SetTime(noon.Add(time.Hour + 30*time.Second))
	w.settle()
	w.want("1.0.0", open, environment.ReasonPromoted)
}

func TestWhatTheBackendAnswers(t *testing.T) {
	t.Parallel()
	wait := &environment.WaitError{Until: noon.Add(7 * time.Minute), Err: errBroken}
	one := &environment.DeploymentError{ID: 3, Err: errors.New("nobody knows the revision")}
	refused := &environment.RefusedError{Err: errors.New("the token is not valid")}
	for name, tc := range map[string]struct {
		edit    func(*world)
		reason  string
		stalled bool
		says    string
		again   time.Duration
		fails   bool
		// open says whether 1.0.0 may come.
		open bool
	}{
		"all is well": {func(*world) {}, "Synced", false, "takes releases after staging", time.Minute, false, true},
		"untrusted logins": {func(w *world) {
			d := environment.Deployment{Key: "uid-6/1", ID: 1, Version: release("v6.6.6"), State: v1alpha1.BakeSucceeded}
			s := environment.State{Application: "shop", Environment: "staging", Deployments: []environment.Deployment{d}}
			if err := w.place.Backend("mallory").Publish(w.t.Context(), s); err != nil {
				w.t.Fatal(err)
			}
		}, "Synced", false, "takes releases after staging; deployments by untrusted logins, which do not count: 1", time.Minute, false, true},
		"wait":                  {func(w *world) { w.publishErr = wait }, "BackendWaits", false, "until 2030-03-01T12:07:00Z", 7 * time.Minute, false, true},
		"wait with the news":    {func(w *world) { w.silent, w.readErr = true, wait }, "BackendWaits", false, "until 2030-03-01T12:07:00Z", 7 * time.Minute, false, false},
		"wait a moment":         {func(w *world) { w.publishErr = &environment.WaitError{Until: noon.Add(time.Second), Err: errBroken} }, "BackendWaits", false, "12:00:01Z", time.Minute, false, true},
		"fail, then wait":       {func(w *world) { w.publishErr, w.silent, w.readErr = errBroken, true, wait }, "BackendWaits", false, "until", 7 * time.Minute, false, false},
		"wait, then fail":       {func(w *world) { w.publishErr, w.silent, w.readErr = wait, true, errBroken }, "BackendWaits", false, "until", 7 * time.Minute, false, false},
		"cannot publish":        {func(w *world) { w.publishErr = errBroken }, "BackendFails", false, "broken on purpose", 0, true, true},
		"one deployment":        {func(w *world) { w.publishErr = one }, "DeploymentRefused", false, "deployment 3: nobody knows the revision", time.Minute, false, true},
		"deployments and more":  {func(w *world) { w.publishErr = errors.Join(one, errBroken) }, "BackendFails", false, "broken on purpose", 0, true, true},
		"refused":               {func(w *world) { w.forErr = refused }, "BackendRefuses", true, "the token is not valid", time.Minute, false, false},
		"refused when publish":  {func(w *world) { w.publishErr = refused }, "BackendRefuses", true, "the token is not valid", time.Minute, false, false},
		"refused when it reads": {func(w *world) { w.silent, w.readErr = true, refused }, "BackendRefuses", true, "the token is not valid", time.Minute, false, false},
		"cannot be opened":      {func(w *world) { w.forErr = errBroken }, "BackendFails", false, "broken on purpose", 0, true, false},
		"no name":               {func(w *world) { w.edit(func(s *environments.EnvironmentSpec) { s.Environment = "" }) }, "NoName", true, "spec.environment is missing", time.Minute, false, false},
		"no Rollout":            {func(w *world) { w.edit(func(s *environments.EnvironmentSpec) { s.RolloutRef.Name = "x" }) }, "RolloutNotFound", true, "Rollout x does not exist", time.Minute, false, false},
		"no duration":           {func(w *world) { w.edit(badDuration) }, "InvalidSpec", true, "spec.dependsOn[0].minAvailableFor", time.Minute, false, false},
		"no interval":           {func(w *world) { w.edit(interval("soon")) }, "InvalidSpec", true, "spec.requeueInterval", 10 * time.Second, false, false},
		"a longer interval":     {func(w *world) { w.edit(interval("5m")) }, "Synced", false, "", 5 * time.Minute, false, true},
		"the shortest interval": {func(w *world) { w.edit(interval("10ms")) }, "Synced", false, "", 10 * time.Second, false, true},
		"a cycle": {func(w *world) {
			w.edit(func(s *environments.EnvironmentSpec) { s.Relationship.Environment = "production" })
		}, "Cycle", true, "production after production", time.Minute, false, false},
		"a cycle with the other": {cycle, "Cycle", true, "production after staging after production", time.Minute, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, outsideBackend)
			w.staging(entry(1, "1.0.0", succeeded))
			w.settle()
			tc.edit(w)
			result, err := w.reconcile()
			w.reports(tc.reason, tc.stalled)
			if message := w.condition(v1alpha1.ConditionReady).Message; !strings.Contains(message, tc.says) {
				t.Errorf("it says %q", message)
			}
			if result.RequeueAfter != tc.again || (err != nil) != tc.fails {
				t.Errorf("it looks again after %s, with %v", result.RequeueAfter, err)
			}
			if got := w.says("1.0.0"); (got.State == open) != tc.open {
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

// cycle makes staging come after production.
func cycle(w *world) {
	w.t.Helper()
	e := &environments.Environment{Spec: environments.EnvironmentSpec{
		Name: "shop", Environment: "staging", Relationship: &environments.Relationship{Environment: "production", Type: environments.After},
	}}
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: "s"}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{entry(2, "1.0.0", succeeded)}
	if err := w.backend.Publish(w.t.Context(), environment.Of(e, ro)); err != nil {
		w.t.Fatal(err)
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
