package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/memory"
	"github.com/kuberik/kuberik/internal/gate"
)

const promotionGate = "production-after-staging"

var errUnreachable = errors.New("the place cannot be reached")

// pair is two clusters, staging and production, whose Environments share a backend.
type pair struct {
	rng                 Rand
	staging, production *side
	service             *memory.Service
	ledger              *ledger
	// Faults of the backend.
	unreliable, slow, outages, forgers bool
	down, stable                       bool
	maxAge, soak                       time.Duration
	faulty                             string
	promoted                           int
}

// side is one cluster with a minimal Environment controller.
type side struct {
	*Cluster
	p       *pair
	env     *environments.Environment
	actor   string
	backend *memory.Backend
	// snapshot is what was read from the backend. The controller may see a late version.
	snapshot store[snapshotRead]
}

// snapshotRead is a snapshot with the states of staging that it may show.
type snapshotRead struct {
	environment.Snapshot
	states []stagingState
}

// Now and Since implement the clock of the backend, which is that of production.
func (p *pair) Now() time.Time                  { return p.production.wall }
func (p *pair) Since(t time.Time) time.Duration { return p.Now().Sub(t) }

func newPair(seed uint64, o options) *pair {
	p := &pair{rng: Rand{state: seed ^ 0x5eed}, faulty: o.faulty}
	p.ledger = newLedger(p)
	p.service = memory.NewService(p)
	p.service.Interrupt(p.interrupt)
	r := &p.rng
	p.unreliable, p.slow, p.outages, p.forgers = r.oneIn(2), r.oneIn(2), r.oneIn(3), r.oneIn(2)
	p.maxAge = pick(r, []time.Duration{0, 10 * time.Minute, 2 * time.Minute})
	p.soak = pick(r, []time.Duration{0, 0, 20 * time.Second})
	p.staging, p.production = p.side("staging", r.next(), o), p.side("production", r.next(), o)
	p.production.env.Spec.Relationship = &environments.Relationship{Environment: "staging", Type: environments.After}
	p.production.setGate(nil)
	return p
}

func (p *pair) side(name string, seed uint64, o options) *side {
	s := &side{Cluster: newCluster(seed, o.chain), p: p, actor: "kuberik"}
	if o.trace > 0 {
		s.trace = &trace{keep: o.trace}
	}
	s.env = &environments.Environment{
		ObjectMeta: metav1.ObjectMeta{Name: "app", UID: types.UID("env-" + name)},
		Spec:       environments.EnvironmentSpec{RolloutRef: corev1.LocalObjectReference{Name: rolloutName}, Name: "shop", Environment: name},
	}
	s.backend = p.service.Backend(s.actor)
	s.paired = true
	s.populate()
	return s
}

// interrupt makes a request to the backend fail, before or after its effect.
func (p *pair) interrupt(memory.Effect) (i memory.Interruption) {
	switch {
	case p.stable:
	case p.down, p.unreliable && p.rng.oneIn(12):
		i.Before = errUnreachable
	case p.unreliable && p.rng.oneIn(12):
		i.After = errUnreachable
	}
	return i
}

// step runs one random event.
func (p *pair) step() {
	r := &p.rng
	if p.outages && r.oneIn(40) {
		p.down = !p.down
	}
	if p.forgers && r.oneIn(30) {
		p.forge()
	}
	if r.oneIn(80) && p.staging.tags > 0 {
		p.staging.annotate(v1alpha1.AnnotationForceDeploy, p.staging.someKnownTag())
	}
	if r.oneIn(60) {
		p.staging.redeployOlder()
	}
	s, other := p.staging, p.production
	if r.oneIn(2) {
		s, other = other, s
	}
	before := s.mono
	if r.oneIn(4) {
		s.reconcileEnvironment()
	} else {
		s.stepCluster()
	}
	other.Advance(s.mono - before)
	p.ledger.observe()
}

// redeployOlder deploys an older version again, sometimes followed by a new release.
func (s *side) redeployOlder() {
	history := s.rollout.live().status.History
	if len(history) < 2 || *history[0].BakeStatus != string(v1alpha1.BakeSucceeded) {
		return
	}
	s.annotate(v1alpha1.AnnotationForceDeploy, history[1+s.rng.below(len(history)-1)].Version.Tag)
	if s.rng.oneIn(2) {
		s.push(good)
	}
}

// stepCluster runs one random event in a cluster, as Cluster.step does, except that the gate of the Environment has special rules.
func (s *side) stepCluster() {
	s.Counts.Steps++
	s.passTime()
	s.expire()
	r := &s.rng
	switch n := r.below(100); {
	case n < 45:
		s.controller.reconcile()
	case n < 60:
		s.catchUp()
		s.snapshot.lag = max(0, s.snapshot.lag-r.below(3))
	case n < 78:
		s.runThings()
	case n < 84:
		s.publish()
	case n < 90:
		s.disturb()
	case n < 94:
		s.changeOwnGate()
	default:
		s.userAction()
	}
}

// expire closes verdicts that have expired in every cached version, because the monitor does not read their times.
func (s *side) expire() {
	for i, gates := range s.gates.past {
		for j, g := range gates {
			for k, v := range g.Status.Verdicts {
				if v.State == v1alpha1.GateOpen && v.Until != nil && !v.Until.After(s.wall) {
					s.gates.past[i] = slices.Clone(s.gates.past[i])
					g = g.DeepCopy()
					g.Status.Verdicts[k].State = v1alpha1.GatePending
					s.gates.past[i][j] = g
				}
			}
		}
	}
}

// changeOwnGate lets people change gates, including the gate of the Environment.
func (s *side) changeOwnGate() {
	r := &s.rng
	i := slices.IndexFunc(s.gates.live(), isOwnGate)
	switch {
	case !s.faults.Gates:
	case i < 0:
		s.changeGates()
	case r.oneIn(4):
		s.setGate(nil)
		s.note("gate", "that of the environment is deleted")
	case r.oneIn(2) && s.promotion() != nil:
		yes, tag := !r.oneIn(4), s.someTag()
		s.editGate(i, func(g *v1alpha1.RolloutGate) {
			pick(r, []func(){
				func() { g.Spec.Passing = &yes },
				func() { g.Spec.AllowedVersions = &[]string{tag} },
				func() { g.Spec.Class = "example.com/ci" },
			})()
		})
	case len(s.gates.live()) < 3:
		s.newGate()
	default:
		for j, g := range s.gates.live() {
			if !isOwnGate(g) && r.oneIn(2) {
				s.changeGate(j)
			}
		}
	}
}

func isOwnGate(g *v1alpha1.RolloutGate) bool { return len(g.OwnerReferences) > 0 }

// promotion returns the gate of the Environment, or nil.
func (s *side) promotion() *v1alpha1.RolloutGate {
	for _, g := range s.gates.live() {
		if g.Name == promotionGate {
			return g
		}
	}
	return nil
}

// setGate stores the gate of the Environment, or its placeholder if it is nil.
func (s *side) setGate(g *v1alpha1.RolloutGate) {
	if g == nil {
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: rolloutName}}
		g = gate.Placeholder(ro, "Environment", s.env.Name, s.env.UID)
	}
	if s.p.stable {
		padVerdicts(g)
	}
	s.editGates(func(list []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
		return append(slices.DeleteFunc(list, isOwnGate), g)
	})
}

// padVerdicts adds verdicts so that the settled cluster does not wait for more: a gate with fewer verdicts than
// releases is due.
func padVerdicts(g *v1alpha1.RolloutGate) {
	for len(g.Status.Verdicts) < 60 {
		g.Status.Verdicts = append(g.Status.Verdicts, v1alpha1.GateVerdict{State: v1alpha1.GateClosed})
	}
}

// forge lets an untrusted login report that the newest release of production is Available in staging.
func (p *pair) forge() {
	id := int64(p.rng.below(5))
	v := v1alpha1.VersionInfo{Tag: p.production.policy.live().Tag, Digest: p.production.policy.live().Digest}
	if v.Digest == "" {
		return
	}
	// The result does not matter: a forger can try again.
	ignored := p.service.Backend("mallory").Publish(context.Background(), environment.State{
		Application: "shop", Environment: "staging", Deployments: []environment.Deployment{{
			Key: fmt.Sprintf("%s/%d", p.staging.env.UID, id), ID: id, Version: v, State: v1alpha1.BakeSucceeded, At: p.Now(), AvailableSince: p.Now(),
		}},
	})
	p.production.note("forger", "%s is Available in staging: %v", v.Tag, ignored)
}

// reconcileEnvironment runs one reconciliation of the Environment. It reports whether it changed anything.
func (s *side) reconcileEnvironment() bool {
	changed, err := s.publishAndEvaluate()
	if errors.Is(err, errCrash) {
		s.controller.restart() // both controllers are one process
		s.backend, s.snapshot = s.p.service.Backend(s.actor), store[snapshotRead]{}
	}
	return changed || err != nil
}

func (s *side) publishAndEvaluate() (bool, error) {
	cached := s.rollout.cached()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: s.env.UID}, Spec: *cached.spec, Status: *cached.status}
	writes := s.p.service.Writes()
	// A state may be published twice.
	for range 1 + map[bool]int{true: 1}[!s.p.stable && s.rng.oneIn(5)] {
		err := s.controller.effect("publish", func() error { return s.backend.Publish(context.Background(), environment.StateOf(s.env, ro)) })
		switch {
		case errors.Is(err, errCrash):
			return true, err
		case err == nil && s == s.p.staging:
			s.p.ledger.notePublished(cached)
		}
	}
	if s != s.p.production {
		return s.p.service.Writes() != writes, nil
	}
	s.read()
	g, err := s.ensureGate()
	if err != nil || g == nil {
		return true, err
	}
	wrote, err := s.writeVerdicts(g, ro)
	return wrote || s.p.service.Writes() != writes, err
}

// read reads the backend. The snapshot may reach the controller late.
func (s *side) read() {
	snapshot, err := s.backend.Read(context.Background(), "shop")
	if err != nil {
		return
	}
	s.snapshot.set(snapshotRead{snapshot, s.p.ledger.possibleStates()}, s.p.slow && !s.p.stable && s.rng.oneIn(2))
}

// ensureGate creates or corrects the gate. It returns nil if another reconciliation has to follow.
func (s *side) ensureGate() (*v1alpha1.RolloutGate, error) {
	g := s.promotion()
	next := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: promotionGate, UID: "gate", Generation: 1}}
	if g != nil {
		next = g.DeepCopy()
	} else {
		controls := true
		next.OwnerReferences = []metav1.OwnerReference{{Kind: "Environment", Name: s.env.Name, UID: s.env.UID, Controller: &controls}}
	}
	environment.SetGateSpec(&next.Spec, rolloutName)
	if g != nil && equality.Semantic.DeepEqual(g.Spec, next.Spec) {
		return g, nil
	}
	if g != nil {
		next.Generation++
	}
	err := s.controller.effect("gate", func() error {
		s.setGate(next)
		return nil
	})
	return nil, err
}

// writeVerdicts writes the verdicts.
func (s *side) writeVerdicts(g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout) (bool, error) {
	var read snapshotRead
	if s.snapshot.count > 0 {
		read = s.snapshot.cached()
	}
	evaluation := environment.Evaluation{
		Rollout: ro, Upstreams: []environment.Upstream{{Environment: "staging", MinAvailableFor: s.p.soak}}, Snapshot: read.Snapshot, MaxAge: s.p.maxAge, Now: s.wall,
	}
	if distort := promotionFaults[s.p.faulty]; distort != nil {
		distort(&evaluation)
	}
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts, _ = evaluation.Verdicts(g.Status.Verdicts)
	if s.p.faulty == "trusts an old snapshot" {
		keepOpen(next.Status.Verdicts, g.Status.Verdicts)
	}
	if s.p.stable {
		padVerdicts(next)
	}
	if equality.Semantic.DeepEqual(next.Status, g.Status) {
		return false, nil
	}
	return true, s.controller.effect("verdicts", func() error {
		s.setGate(next)
		s.p.ledger.checkVerdicts(next.Status.Verdicts, read)
		return nil
	})
}
