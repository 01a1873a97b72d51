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

var errPlace = errors.New("the place cannot be reached")

// pair is two clusters, staging and production, whose environments meet at a place.
type pair struct {
	rng                 Rand
	staging, production *side
	place               *memory.Service
	ledger              *ledger
	// unreliable is what may go wrong on the way to the place.
	unreliable, slow, outages, forgers bool
	down, quiet                        bool
	patience, soak                     time.Duration
	faulty                             string
	promoted                           int
}

// side is one cluster with a controller of environments in it, as small as it can be.
type side struct {
	*World
	p       *pair
	env     *environments.Environment
	actor   string
	backend *memory.Backend
	// news are what the place has said, of which the controller sees a late version.
	snapshot lane[heardNews]
}

// heardNews is an answer of the place, and the facts that it may be made of.
type heardNews struct {
	environment.Snapshot
	facts []facts
}

// Now and Since are the clock of the place, which is that of production.
func (p *pair) Now() time.Time                  { return p.production.wall }
func (p *pair) Since(t time.Time) time.Duration { return p.Now().Sub(t) }

func newPair(seed uint64, o options) *pair {
	p := &pair{rng: Rand{state: seed ^ 0x5eed}, faulty: o.faulty}
	p.ledger = newLedger(p)
	p.place = memory.NewService(p)
	p.place.Interrupt(p.interrupt)
	r := &p.rng
	p.unreliable, p.slow, p.outages, p.forgers = r.oneIn(2), r.oneIn(2), r.oneIn(3), r.oneIn(2)
	p.patience = pick(r, []time.Duration{0, 10 * time.Minute, 2 * time.Minute})
	p.soak = pick(r, []time.Duration{0, 0, 20 * time.Second})
	p.staging, p.production = p.side("staging", r.next(), o), p.side("production", r.next(), o)
	p.production.env.Spec.Relationship = &environments.Relationship{Environment: "staging", Type: environments.After}
	p.production.setGate(nil)
	return p
}

func (p *pair) side(name string, seed uint64, o options) *side {
	s := &side{World: newWorld(seed, o.chain), p: p, actor: "kuberik"}
	if o.trace > 0 {
		s.trace = &trace{keep: o.trace}
	}
	s.env = &environments.Environment{
		ObjectMeta: metav1.ObjectMeta{Name: "app", UID: types.UID("env-" + name)},
		Spec:       environments.EnvironmentSpec{RolloutRef: corev1.LocalObjectReference{Name: rolloutName}, Name: "shop", Environment: name},
	}
	s.backend = p.place.Backend(s.actor)
	s.paired = true
	s.populate()
	return s
}

// interrupt loses what is asked of the place, or its answer.
func (p *pair) interrupt(memory.Effect) (i memory.Interruption) {
	switch {
	case p.quiet:
	case p.down, p.unreliable && p.rng.oneIn(12):
		i.Before = errPlace
	case p.unreliable && p.rng.oneIn(12):
		i.After = errPlace
	}
	return i
}

// step lets one thing happen.
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
		p.staging.goBack()
	}
	s, other := p.staging, p.production
	if r.oneIn(2) {
		s, other = other, s
	}
	before := s.mono
	if r.oneIn(4) {
		s.control()
	} else {
		s.live()
	}
	other.Advance(s.mono - before)
	p.ledger.look()
}

// goBack deploys again what ran before the newest release, and may bring a newer one right after it.
func (s *side) goBack() {
	history := s.rollout.live().status.History
	if len(history) < 2 || *history[0].BakeStatus != string(v1alpha1.BakeSucceeded) {
		return
	}
	s.annotate(v1alpha1.AnnotationForceDeploy, history[1+s.rng.below(len(history)-1)].Version.Tag)
	if s.rng.oneIn(2) {
		s.push(good)
	}
}

// live lets one thing happen in a cluster, as in the worlds that are alone, but for the gate of the environment.
func (s *side) live() {
	s.Counts.Steps++
	s.pass()
	s.expire()
	r := &s.rng
	switch n := r.below(100); {
	case n < 45:
		s.shell.pass()
	case n < 60:
		s.catchUp()
		s.snapshot.lag = max(0, s.snapshot.lag-r.below(3))
	case n < 78:
		s.runThings()
	case n < 84:
		s.publish()
	case n < 90:
		s.mischief()
	case n < 94:
		s.meddle()
	default:
		s.person()
	}
}

// expire marks the verdicts that are over, in every version that a pass may see: the monitor takes an open one for open.
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

// meddle lets people change gates: those of others as they like, that of the environment as far as they can.
func (s *side) meddle() {
	r := &s.rng
	i := slices.IndexFunc(s.gates.live(), ofEnvironment)
	switch {
	case !s.faults.Gates:
	case i < 0:
		s.gatekeeping()
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
			if !ofEnvironment(g) && r.oneIn(2) {
				s.turnGate(j)
			}
		}
	}
}

func ofEnvironment(g *v1alpha1.RolloutGate) bool { return len(g.OwnerReferences) > 0 }

// promotion is the gate of the environment, or nil.
func (s *side) promotion() *v1alpha1.RolloutGate {
	for _, g := range s.gates.live() {
		if g.Name == promotionGate {
			return g
		}
	}
	return nil
}

// setGate puts the gate of the environment in place. Without one, what reads gates finds that one is missing.
func (s *side) setGate(g *v1alpha1.RolloutGate) {
	if g == nil {
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: rolloutName}}
		g = gate.Placeholder(ro, "Environment", s.env.Name, s.env.UID)
	}
	if s.p.quiet {
		fill(g)
	}
	s.editGates(func(list []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
		return append(slices.DeleteFunc(list, ofEnvironment), g)
	})
}

// fill adds verdicts on releases that there are none of: in a quiet world, a gate that says less than there are releases is answered for.
func fill(g *v1alpha1.RolloutGate) {
	for len(g.Status.Verdicts) < 60 {
		g.Status.Verdicts = append(g.Status.Verdicts, v1alpha1.GateVerdict{State: v1alpha1.GateClosed})
	}
}

// forge lets a stranger say that the newest release of production is Available in staging.
func (p *pair) forge() {
	id := int64(p.rng.below(5))
	v := v1alpha1.VersionInfo{Tag: p.production.policy.live().Tag, Digest: p.production.policy.live().Digest}
	if v.Digest == "" {
		return
	}
	// What becomes of it is no matter: whoever forges can try again.
	ignored := p.place.Backend("mallory").Publish(context.Background(), environment.State{
		Application: "shop", Environment: "staging", Deployments: []environment.Deployment{{
			Key: fmt.Sprintf("%s/%d", p.staging.env.UID, id), ID: id, Version: v, State: v1alpha1.BakeSucceeded, At: p.Now(), AvailableSince: p.Now(),
		}},
	})
	p.production.note("forger", "%s is Available in staging: %v", v.Tag, ignored)
}

// control is one look of the controller of environments. It reports whether it changed anything.
func (s *side) control() bool {
	changed, err := s.look()
	if errors.Is(err, errCrash) {
		s.shell.restart() // they are one process
		s.backend, s.snapshot = s.p.place.Backend(s.actor), lane[heardNews]{}
	}
	return changed || err != nil
}

func (s *side) look() (bool, error) {
	cached := s.rollout.cached()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: s.env.UID}, Spec: *cached.spec, Status: *cached.status}
	writes := s.p.place.Writes()
	// Something may be delivered twice.
	for range 1 + map[bool]int{true: 1}[!s.p.quiet && s.rng.oneIn(5)] {
		err := s.shell.effect("publish", func() error { return s.backend.Publish(context.Background(), environment.StateOf(s.env, ro)) })
		switch {
		case errors.Is(err, errCrash):
			return true, err
		case err == nil && s == s.p.staging:
			s.p.ledger.told(cached)
		}
	}
	if s != s.p.production {
		return s.p.place.Writes() != writes, nil
	}
	s.read()
	g, err := s.keepGate()
	if err != nil || g == nil {
		return true, err
	}
	wrote, err := s.judgeReleases(g, ro)
	return wrote || s.p.place.Writes() != writes, err
}

// read asks the place. What it says may arrive late.
func (s *side) read() {
	snapshot, err := s.backend.Read(context.Background(), "shop")
	if err != nil {
		return
	}
	s.snapshot.set(heardNews{snapshot, s.p.ledger.window()}, s.p.slow && !s.p.quiet && s.rng.oneIn(2))
}

// keepGate makes the gate what it has to be, from what a cache may know of it. It returns nil if that has to be done again.
func (s *side) keepGate() (*v1alpha1.RolloutGate, error) {
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
	err := s.shell.effect("gate", func() error {
		s.setGate(next)
		return nil
	})
	return nil, err
}

// judgeReleases writes the verdicts.
func (s *side) judgeReleases(g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout) (bool, error) {
	var heard heardNews
	if s.snapshot.count > 0 {
		heard = s.snapshot.cached()
	}
	evaluation := environment.Evaluation{
		Rollout: ro, Upstreams: []environment.Upstream{{Environment: "staging", MinAvailableFor: s.p.soak}}, Snapshot: heard.Snapshot, MaxAge: s.p.patience, Now: s.wall,
	}
	if distort := promotionFaults[s.p.faulty]; distort != nil {
		distort(&evaluation)
	}
	next := g.DeepCopy()
	next.Status.ObservedGeneration = g.Generation
	next.Status.Verdicts, _ = evaluation.Verdicts(g.Status.Verdicts)
	if s.p.faulty == "trusts old news" {
		keepOpen(next.Status.Verdicts, g.Status.Verdicts)
	}
	if s.p.quiet {
		fill(next)
	}
	if equality.Semantic.DeepEqual(next.Status, g.Status) {
		return false, nil
	}
	return true, s.shell.effect("verdicts", func() error {
		s.setGate(next)
		s.p.ledger.judgeVerdicts(next.Status.Verdicts, heard)
		return nil
	})
}
