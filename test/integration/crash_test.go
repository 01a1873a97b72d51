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

// scenario is a sequence of steps for one Rollout. Every step waits for its effect, so that the final state does not
// depend on crashes of the controllers.
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

// scenarios returns the scenarios. 1.1.0 fails in all of them until it is fixed.
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

// crashPoint is a point at which the controllers crash: the nth write to a resource, before or after it took effect.
type crashPoint struct {
	resource string
	nth      int
	fault    env.Fault
}

func (c crashPoint) String() string {
	return fmt.Sprintf("%s %s write %d", map[env.Fault]string{env.Before: "before", env.After: "after"}[c.fault], c.resource, c.nth)
}

// run runs a scenario, with or without a cut, and returns the final state and the writes.
func (s scenario) run(t *testing.T, at *crashPoint, want map[string]any) (map[string]any, []env.Call) {
	t.Helper()
	p := &play{World: env.New(t)}
	first := p.Run()
	settle := func() {}
	if at != nil {
		settle = p.restart(first, *at)
	}
	p.flux = p.SimulateFlux()
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
	p.ro = p.Rollout("app", env.WithHealthChecks, func(ro *v1alpha1.Rollout) {
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
		p.Eventually("the final state is that of the run without crashes", func() error {
			if diff := cmp.Diff(want, p.end()); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	} else if err := first.AwaitIdle(p.Ctx(), 700*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return p.end(), first.Wire.Writes()
}

// restart crashes the controllers at a cut and starts them again. The returned function waits until they run, or
// cancels the cut.
func (p *play) restart(m *env.Manager, at crashPoint) (settle func()) {
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

// end returns the final state without times and other values that differ between runs.
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
		"kustomization": k.Spec, "request": k.Annotations, "rollout": ro.Status, "annotations": ro.Annotations, "check": check.Status,
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

// retried matches the token of a retried deployment, which contains the time.
var retried = regexp.MustCompile(`(<uid>/[0-9]+/)[0-9]{9,}`)

// mask removes times, and evidence, which depends on the time of the last probe.
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

// everyCrashPoint is an environment variable for a complete sweep: about six hundred runs, five minutes on two cores. Without
// it, every write to a Rollout and a sample of the other writes are cut, a different sample in each scenario.
const everyCrashPoint = "KUBERIK_TEST_EVERY_CUT"

// TestCrashAtEveryWriteEndsInTheSameState crashes the controllers at the writes of every scenario.
func TestCrashAtEveryWriteEndsInTheSameState(t *testing.T) {
	t.Parallel()
	for n, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want, writes := s.run(t, nil, nil)
			for i, at := range crashPoints(writes) {
				if os.Getenv(everyCrashPoint) == "" && at.resource != "rollouts" && i%10 != n%10 {
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

// crashPoints returns every point at which the controllers can crash. Events are not part of the state.
func crashPoints(writes []env.Call) []crashPoint {
	count := map[string]int{}
	var list []crashPoint
	for _, w := range writes {
		if w.Resource == "events" {
			continue
		}
		count[w.Resource]++
		for _, fault := range []env.Fault{env.Before, env.After} {
			list = append(list, crashPoint{w.Resource, count[w.Resource], fault})
		}
	}
	return list
}
