package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// scenario is what happens to one Rollout. Every step waits for its effect, so that the end is the same however often the
// controllers die on the way.
type scenario struct {
	name  string
	edit  func(*v1alpha1.Rollout)
	steps []step
}

type step struct {
	do    func(*play)
	phase v1alpha1.Phase
	tag   string
}

// play is one run of a scenario.
type play struct {
	*env.World
	ro    *v1alpha1.Rollout
	gate  *v1alpha1.RolloutGate
	flux  *env.Flux
	fixed atomic.Bool
}

func selects(tag string) func(*play) {
	return func(p *play) { p.Select("app", tag, env.Digest(tag)) }
}

func annotates(pairs ...string) func(*play) {
	return func(p *play) { p.Annotate(p.ro, pairs...) }
}

// scenarios: 1.1.0 fails in all of them, until it is fixed.
func scenarios() []scenario {
	return []scenario{
		{name: "two releases", steps: []step{
			{selects("1.2.0"), v1alpha1.PhaseAvailable, "1.2.0"}, {selects("1.3.0"), v1alpha1.PhaseAvailable, "1.3.0"},
		}},
		{name: "force-deploy, then an automatic release", steps: []step{
			{selects("1.2.0"), v1alpha1.PhaseAvailable, "1.2.0"},
			{annotates(v1alpha1.AnnotationForceDeploy, "1.0.0", v1alpha1.AnnotationDeployUser, "maria", v1alpha1.AnnotationDeployMessage, "back"), v1alpha1.PhaseAvailable, "1.0.0"},
			{selects("1.3.0"), v1alpha1.PhaseAvailable, "1.3.0"},
		}},
		{name: "bypass-gates", steps: []step{
			{func(p *play) {
				p.Patch(p.gate, `{"spec":{"passing":null}}`)
				p.Await(p.gate, "is seen to be shut", func() error {
					if p.gate.Status.ObservedGeneration != p.gate.Generation {
						return errors.New("it is not")
					}
					return nil
				})
				p.Select("app", "1.2.0", env.Digest("1.2.0"))
				p.AwaitBlocked(p.ro, "RolloutGate", "AwaitingApproval")
				p.Annotate(p.ro, v1alpha1.AnnotationBypassGates, "1.2.0")
			}, v1alpha1.PhaseAvailable, "1.2.0"},
			{func(p *play) {
				p.Select("app", "1.3.0", env.Digest("1.3.0"))
				p.AwaitBlocked(p.ro, "RolloutGate", "AwaitingApproval")
			}, v1alpha1.PhaseAvailable, "1.2.0"},
		}},
		{name: "fail, then unblock", steps: []step{
			{selects("1.1.0"), v1alpha1.PhaseFailed, "1.1.0"},
			{func(p *play) {
				p.Select("app", "1.2.0", env.Digest("1.2.0"))
				p.Annotate(p.ro, v1alpha1.AnnotationUnblockFailed, "true")
			}, v1alpha1.PhaseAvailable, "1.2.0"},
		}},
		{name: "fail, then retry", steps: []step{
			{selects("1.1.0"), v1alpha1.PhaseFailed, "1.1.0"},
			{func(p *play) {
				p.fixed.Store(true)
				p.Annotate(p.ro, v1alpha1.AnnotationRetry, "1")
			}, v1alpha1.PhaseAvailable, "1.1.0"},
		}},
		{name: "roll back", edit: func(ro *v1alpha1.Rollout) { ro.Spec.OnFailure = v1alpha1.OnFailureRollback }, steps: []step{
			{func(p *play) {
				p.Select("app", "1.1.0", env.Digest("1.1.0"))
				p.Await(p.ro, "has gone back", func() error {
					if len(p.ro.Status.History) != 3 {
						return errors.New("it has not")
					}
					return nil
				})
			}, v1alpha1.PhaseAvailable, "1.0.0"},
		}},
		{name: "a gate closes while Flux works", steps: []step{
			{func(p *play) {
				p.flux.Hold()
				p.Select("app", "1.2.0", env.Digest("1.2.0"))
				p.Await(&kustomizev1.Kustomization{ObjectMeta: p.Meta("app")}, "exists", func() error { return nil })
			}, v1alpha1.PhaseDeploying, "1.2.0"},
			{func(p *play) {
				p.Patch(p.gate, `{"spec":{"passing":false}}`)
				p.flux.Release()
			}, v1alpha1.PhaseAvailable, "1.2.0"},
		}},
	}
}

// cut is one point at which the controllers die: at the nth write to a resource, before or after it took effect.
type cut struct {
	resource string
	nth      int
	fault    env.Fault
}

func (c cut) String() string {
	return fmt.Sprintf("%s %s write %d", map[env.Fault]string{env.Before: "before", env.After: "after"}[c.fault], c.resource, c.nth)
}

// run plays a scenario, with a cut or none, and returns how it ended and what was written.
func (s scenario) run(t *testing.T, at *cut, want map[string]any) (map[string]any, []env.Call) {
	t.Helper()
	p := &play{World: env.New(t)}
	first := p.Run()
	settle := func() {}
	if at != nil {
		settle = p.restart(first, *at)
	}
	p.flux = p.PlayFlux()
	p.flux.Do(func(k *kustomizev1.Kustomization) {
		env.Inventory("v1", p.Namespace+"_settings__ConfigMap")(k)
		if carries(k, "VERSION", "1.1.0")() == nil && !p.fixed.Load() {
			env.FailedWith(meta.HealthCheckFailedReason)(k)
		}
	})
	p.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}})
	p.Kustomization("app", map[string]string{"VERSION": "app", "SIDECAR": "app"})
	p.Check("app", v1alpha1.HealthClassKustomization, "app")
	p.gate = p.Gate("gate", "app", func(g *v1alpha1.RolloutGateSpec) {
		open := true
		g.Passing = &open
	})
	p.Policy("app", "1.0.0")
	p.ro = p.Rollout("app", env.Judged, func(ro *v1alpha1.Rollout) {
		if s.edit != nil {
			s.edit(ro)
		}
	})
	p.AwaitPhase(p.ro, v1alpha1.PhaseAvailable, "1.0.0")
	for _, step := range s.steps {
		step.do(p)
		p.AwaitPhase(p.ro, step.phase, step.tag)
	}
	settle()
	if want != nil {
		p.Eventually("it ends like the run that nobody disturbed", func() error {
			if diff := cmp.Diff(want, p.end()); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	} else if err := first.AwaitQuiet(p.Ctx(), 700*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return p.end(), first.Wire.Writes()
}

// restart lets the controllers die at a cut, and starts them again. What it returns waits until they run, or calls it off.
func (p *play) restart(m *env.Manager, at cut) (settle func()) {
	hit := make(chan struct{})
	var mu sync.Mutex
	seen, dead := 0, false
	m.Wire.SetFault(func(c env.Call) env.Fault {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return env.Before
		}
		if !c.Writes() || c.Resource != at.resource {
			return env.Pass
		}
		if seen++; seen < at.nth {
			return env.Pass
		}
		dead = true
		close(hit)
		return at.fault
	})
	done, off := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-hit:
		case <-off:
			return
		}
		if err := m.Stop(); err != nil {
			p.T.Error(err)
		}
		p.Run()
	}()
	settle = sync.OnceFunc(func() {
		mu.Lock()
		if !dead {
			seen = -1 << 30
			close(off)
		}
		mu.Unlock()
		<-done
	})
	p.T.Cleanup(settle) // where the test fails before
	return settle
}

// end is the state of everything, without times and what else differs from run to run.
func (p *play) end() map[string]any {
	p.T.Helper()
	k := &kustomizev1.Kustomization{ObjectMeta: p.Meta("app")}
	ro, check := &v1alpha1.Rollout{ObjectMeta: p.Meta("app")}, &v1alpha1.HealthCheck{ObjectMeta: p.Meta("app")}
	gate := &v1alpha1.RolloutGate{ObjectMeta: p.Meta("gate")}
	p.Get(k)
	p.Get(ro)
	p.Get(check)
	p.Get(gate)
	var list v1alpha1.ReleaseList
	if err := p.Admin.List(p.Ctx(), &list, inNamespace(p.World)); err != nil {
		p.T.Fatal(err)
	}
	releases := map[string]any{}
	for _, rel := range list.Items {
		rel.Status.Gates = nil
		releases[rel.Name] = map[string]any{"spec": rel.Spec, "status": rel.Status}
	}
	all := map[string]any{
		"kustomization": k.Spec, "asked": k.Annotations, "rollout": ro.Status, "annotations": ro.Annotations, "check": check.Status,
		"gate": gate.Status, "releases": releases,
	}
	text, err := json.Marshal(all)
	if err != nil {
		p.T.Fatal(err)
	}
	var masked map[string]any
	plain := strings.NewReplacer(string(ro.UID), "<uid>", p.Namespace, "<namespace>").Replace(string(text))
	if err := json.Unmarshal([]byte(retried.ReplaceAllString(plain, "$1<time>")), &masked); err != nil {
		p.T.Fatal(err)
	}
	mask(masked)
	return masked
}

// retried is the name of a deployment that was run again, which holds when.
var retried = regexp.MustCompile(`(<uid>/[0-9]+/)[0-9]{9,}`)

// mask takes out times, and evidence: that is as old as the last look at it.
func mask(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok {
				if _, err := time.Parse(time.RFC3339, text); err == nil {
					delete(v, key)
				}
			}
			if key == "observedRevision" || key == "checks" {
				delete(v, key)
			}
			mask(value)
		}
	case []any:
		for _, value := range v {
			mask(value)
		}
	}
}

// everyCut, if it is set in the environment, makes the sweep complete: about six hundred runs, five minutes of two cores.
// Without it, every write to a Rollout and a sample of the others are cut, another one in each scenario.
const everyCut = "KUBERIK_TEST_EVERY_CUT"

// TestCrashAtEveryWrite lets the controllers die at the writes of every scenario.
func TestCrashAtEveryWriteEndsInTheSameState(t *testing.T) {
	t.Parallel()
	for n, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want, writes := s.run(t, nil, nil)
			for i, at := range cuts(writes) {
				if os.Getenv(everyCut) == "" && at.resource != "rollouts" && i%10 != n%10 {
					continue
				}
				t.Run(at.String(), func(t *testing.T) {
					t.Parallel()
					s.run(t, &at, want)
				})
			}
		})
	}
}

// cuts lists every point at which the controllers can die. Events are no part of the state.
func cuts(writes []env.Call) []cut {
	count := map[string]int{}
	var list []cut
	for _, w := range writes {
		if w.Resource == "events" {
			continue
		}
		count[w.Resource]++
		for _, fault := range []env.Fault{env.Before, env.After} {
			list = append(list, cut{w.Resource, count[w.Resource], fault})
		}
	}
	return list
}
