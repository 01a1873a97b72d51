package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/test/env"
)

// stage is a namespace with a Rollout and its Environment.
type stage struct {
	*env.World
	flux    *env.Flux
	rollout *v1alpha1.Rollout
	self    *environments.Environment
}

// stages creates a namespace for each environment, in one group, with one controller for all of them.
func stages(t *testing.T, names ...string) map[string]*stage {
	t.Helper()
	list := map[string]*stage{}
	var namespaces []string
	var first *env.World
	for _, name := range names {
		w := env.New(t)
		first = w
		list[name] = &stage{World: w}
		namespaces = append(namespaces, w.Namespace)
	}
	for name, s := range list {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
		s.Patch(ns, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, cluster.LabelGroup, namespaces[0]))
		s.self = &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: environments.EnvironmentSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: name,
		}}
	}
	first.Run(func(s *controller.Settings) { s.Namespaces = namespaces })
	for _, s := range list {
		s.flux = s.SimulateFlux()
	}
	return list
}

// start creates the objects of an environment and makes it discover 1.0.0.
func (s *stage) start(edits ...func(*environments.EnvironmentSpec)) {
	s.T.Helper()
	s.Policy("app", "1.0.0")
	s.launch(edits...)
}

// launch creates the objects of an environment.
func (s *stage) launch(edits ...func(*environments.EnvironmentSpec)) {
	s.T.Helper()
	for _, edit := range edits {
		edit(&s.self.Spec)
	}
	s.Create(s.self)
	s.ByDigest(s.Kustomization("app", map[string]string{"VERSION": "app"}))
	s.rollout = s.World.Rollout("app")
}

func after(names ...string) func(*environments.EnvironmentSpec) {
	return func(s *environments.EnvironmentSpec) {
		for _, name := range names {
			s.DependsOn = append(s.DependsOn, environments.Dependency{Environment: name})
		}
	}
}

// ready returns the condition Ready of an Environment.
func ready(e *environments.Environment) metav1.Condition {
	if c := apimeta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func TestPromotionFromStagingToProduction(t *testing.T) {
	t.Parallel()
	s := stages(t, "staging", "production")
	staging, production := s["staging"], s["production"]
	production.start(after("staging"))
	blockedWith(production.World, production.rollout, "no environment staging of this application is known")

	staging.flux.Hold()
	staging.start()
	production.Await(production.rollout, "knows of staging", func() error {
		if b := production.rollout.Status.BlockedBy; len(b) != 1 || b[0].Kind != "RolloutGate" || b[0].Reason == "UnknownEnvironment" {
			return fmt.Errorf("it is blocked by %+v", b)
		}
		return nil
	})
	stays(production.World, production.rollout, 0)
	staging.flux.Release()
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.0.0")

	t.Run("the status says what runs where", func(t *testing.T) {
		production.Await(production.self, "shows both", func() error {
			st := production.self.Status
			if st.CurrentTag != "1.0.0" || st.CurrentState != "Succeeded" || len(st.EnvironmentInfos) != 2 || len(st.EnvironmentInfos[0].History) != 1 || len(st.EnvironmentInfos[1].History) != 1 {
				return errors.New("it does not")
			}
			return nil
		})
		st := production.self.Status
		if st.EnvironmentInfos[0].Environment != "staging" || *st.EnvironmentInfos[0].History[0].BakeStatus != "Succeeded" || st.RolloutGateRef == nil ||
			ready(production.self).Status != metav1.ConditionTrue || st.EnvironmentInfos[1].Relationship.Environment != "staging" {
			t.Errorf("it shows %+v", st)
		}
	})
	t.Run("a release that fails upstream stays there", func(t *testing.T) {
		staging.Patch(staging.rollout, `{"spec":{"deployTimeout":"1s"}}`)
		staging.flux.Hold()
		staging.Select("app", "1.1.0", env.Digest("1.1.0"))
		production.Select("app", "1.1.0", env.Digest("1.1.0"))
		staging.AwaitPhase(staging.rollout, v1alpha1.PhaseFailed, "1.1.0")
		staging.Patch(staging.rollout, `{"spec":{"deployTimeout":"1h"}}`) // the release after it may take its time
		blockedWith(production.World, production.rollout, "1.1.0 is quarantined in staging")
		stays(production.World, production.rollout, 1)
	})
	t.Run("a deleted or changed gate is restored", func(t *testing.T) {
		gate := &v1alpha1.RolloutGate{ObjectMeta: production.Meta(production.self.Status.RolloutGateRef.Name)}
		production.Get(gate)
		production.Patch(gate, `{"spec":{"class":null,"passing":true}}`)
		stays(production.World, production.rollout, 1)
		production.Delete(gate)
		production.Consistently(400*time.Millisecond, production.rollout, "stays held", func() error {
			if len(production.rollout.Status.History) != 1 {
				return errors.New("it was deployed")
			}
			return nil
		})
		production.Await(gate, "is there again", func() error {
			if gate.Spec.Class != v1alpha1.GateClassEnvironment || len(gate.Status.Verdicts) == 0 {
				return errors.New("it is not")
			}
			return nil
		})
	})
	t.Run("the release that fixes it is promoted", func(t *testing.T) {
		staging.Patch(staging.rollout, `{"spec":{"deployTimeout":null}}`)
		staging.flux.Release()
		staging.Select("app", "1.2.0", env.Digest("1.2.0"))
		production.Select("app", "1.2.0", env.Digest("1.2.0"))
		staging.AwaitBlocked(staging.rollout, "Rollout", v1alpha1.ReasonPreviousFailed)
		staging.Annotate(staging.rollout, v1alpha1.AnnotationUnblockFailed, "true")
		production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.2.0")
		wantTags(t, production.rollout, "1.2.0", "1.0.0")
	})
	t.Run("the same tag with another digest is another release", func(t *testing.T) {
		production.Select("app", "1.2.0", env.Digest("1.2.0, built again"))
		blockedWith(production.World, production.rollout, "1.2.0 was not deployed in staging")
		stays(production.World, production.rollout, 2)
	})
	t.Run("without the relationship there is no gate", func(t *testing.T) {
		production.Patch(production.self, `{"spec":{"dependsOn":null}}`)
		production.Await(production.rollout, "is deployed", func() error {
			if len(production.rollout.Status.History) != 3 {
				return errors.New("it is not")
			}
			return nil
		})
	})
}

func TestPromotionWaitsForAllAndForTime(t *testing.T) {
	t.Parallel()
	s := stages(t, "eu", "us", "global")
	s["us"].flux.Hold()
	for _, name := range []string{"eu", "us"} {
		s[name].start()
	}
	soak := v1alpha1.Duration("3s")
	s["global"].start(func(spec *environments.EnvironmentSpec) {
		spec.Relationship = &environments.Relationship{Environment: "us", Type: environments.Parallel}
		spec.DependsOn = []environments.Dependency{{Environment: "eu", MinAvailableFor: &soak}}
	})
	global := s["global"]
	s["eu"].AwaitPhase(s["eu"].rollout, v1alpha1.PhaseAvailable, "1.0.0")
	blockedWith(global.World, global.rollout, "1.0.0 is being deployed in us")
	s["us"].flux.Release()
	global.AwaitPhase(global.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	eu := s["eu"].rollout.Status.History[0].BakeEndTime
	if waited := global.rollout.Status.History[0].Timestamp.Sub(eu.Time); waited < 3*time.Second {
		t.Errorf("it went after %s", waited)
	}
}

func TestEnvironmentsThatCannotBeFollowedSaySo(t *testing.T) {
	t.Parallel()
	s := stages(t, "a", "b")
	s["a"].start(after("b"))
	s["b"].start(after("a"))
	for _, name := range []string{"a", "b"} {
		e := s[name]
		e.Await(e.self, "reports the cycle", func() error {
			if c := ready(e.self); c.Reason != "Cycle" || !strings.Contains(c.Message, "a") {
				return fmt.Errorf("its message is %s: %s", c.Reason, c.Message)
			}
			return nil
		})
		stays(e.World, e.rollout, 0)
	}
	w := s["a"].World
	nameless := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "nameless"}, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop",
	}}
	away := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "away"}, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "other", Environment: "x",
		Backend: &environments.Backend{Type: environments.BackendGitHub, Project: "o/r"},
	}}
	w.Create(nameless, away)
	for e, message := range map[*environments.Environment]string{
		nameless: "spec.environment is missing", away: "Secret github-token does not exist",
	} {
		w.Await(e, "reports the mistake", func() error {
			stalled := apimeta.IsStatusConditionTrue(e.Status.Conditions, v1alpha1.ConditionStalled)
			if c := ready(e); !stalled || !strings.Contains(c.Message, message) {
				return fmt.Errorf("its message is %s: %s", c.Reason, c.Message)
			}
			return nil
		})
	}
}

// TestUntrustedEnvironmentsDoNotPromote: an Environment of another group, and a second one of the same name.
func TestUntrustedEnvironmentsDoNotPromote(t *testing.T) {
	t.Parallel()
	s := stages(t, "staging", "production")
	unrelated := env.New(t)
	unrelated.Patch(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unrelated.Namespace}}, fmt.Sprintf(`{"metadata":{"labels":{%q:"others"}}}`, cluster.LabelGroup))
	s["production"].start(after("staging"))
	production := s["production"]
	blockedWith(production.World, production.rollout, "no environment staging of this application is known")
	s["staging"].flux.Hold()
	s["staging"].start()
	s["staging"].AwaitPhase(s["staging"].rollout, v1alpha1.PhaseDeploying, "1.0.0")
	second := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "second"}, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: "staging",
	}}
	s["staging"].Create(second)
	s["staging"].flux.Release()
	blockedWith(production.World, production.rollout, "two Environments of this application are called staging")
	stays(production.World, production.rollout, 0)
	s["staging"].Delete(second)
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	if !slices.ContainsFunc(production.rollout.Status.Gates, func(g v1alpha1.RolloutGateStatusSummary) bool { return g.State == v1alpha1.GateOpen }) {
		t.Errorf("its gates say %+v", production.rollout.Status.Gates)
	}
}

// TestReplacedReleasesAreNotPromoted: a release stays unpromoted after upstream went back from it, and time after it
// was replaced does not count as soak.
func TestReplacedReleasesAreNotPromoted(t *testing.T) {
	t.Parallel()
	s := stages(t, "staging", "production")
	staging, production := s["staging"], s["production"]
	staging.start()
	production.start(after("staging"))
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	soak := func(d string) {
		production.Patch(production.self, fmt.Sprintf(`{"spec":{"dependsOn":[{"environment":"staging","minAvailableFor":%q}]}}`, d))
	}
	push := func(tag string) {
		production.Select("app", tag, env.Digest(tag))
		staging.Select("app", tag, env.Digest(tag))
	}
	production.Get(production.self)
	gate := &v1alpha1.RolloutGate{ObjectMeta: production.Meta(production.self.Status.RolloutGateRef.Name)}
	reports := func(tag, reason, text string) {
		t.Helper()
		production.Await(gate, "reports "+reason+" for "+tag, func() error {
			for _, v := range gate.Status.Verdicts {
				if v.Release == tag && v.Reason == reason && v.State != v1alpha1.GateOpen && strings.Contains(v.Message, text) {
					return nil
				}
			}
			return fmt.Errorf("its message is %+v", gate.Status.Verdicts)
		})
	}

	soak("1h") // so that nothing is promoted before it can be gone back from
	production.Await(production.self, "is followed", func() error {
		if production.self.Status.ObservedGeneration != production.self.Generation {
			return errors.New("it is not")
		}
		return nil
	})
	push("1.1.0")
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.1.0")
	staging.Annotate(staging.rollout, v1alpha1.AnnotationForceDeploy, "1.0.0")
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.0.0")
	reports("1.1.0", "RolledBackUpstream", "staging was rolled back from 1.1.0 to 1.0.0")

	staging.flux.Hold()
	push("1.2.0")
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseDeploying, "1.2.0")
	reports("1.2.0", "NotAvailableUpstream", "being deployed")
	reports("1.1.0", "RolledBackUpstream", "staging was rolled back from 1.1.0 to 1.0.0")
	staging.flux.Release()
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.2.0")
	push("1.3.0") // before 1.2.0 has run for long enough
	staging.AwaitPhase(staging.rollout, v1alpha1.PhaseAvailable, "1.3.0")
	reports("1.2.0", "Soaking", "before 1.3.0 replaced it")
	reports("1.1.0", "RolledBackUpstream", "staging was rolled back from 1.1.0 to 1.0.0")
	stays(production.World, production.rollout, 1)

	soak("0s")
	production.AwaitPhase(production.rollout, v1alpha1.PhaseAvailable, "1.3.0")
	wantTags(t, production.rollout, "1.3.0", "1.0.0")
}
