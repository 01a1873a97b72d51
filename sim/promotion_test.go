package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/release"
)

const (
	shortPairs = 150
	longPairs  = 2000
	pairSteps  = 400
	// maxRounds limits how often both clusters reconcile until the newest release runs in both.
	maxRounds = 40
)

// promotionFaults are defects of the Environment controller that the monitor has to notice.
var promotionFaults = map[string]func(*environment.Evaluation){
	"trusts an old snapshot": nil, // see keepOpen
	"treats deploying as Available": changeDeployments(func(d *environment.Deployment, _ v1alpha1.VersionInfo) {
		if d.State == v1alpha1.BakeDeploying || d.State == v1alpha1.BakeInProgress {
			d.State = v1alpha1.BakeSucceeded
		}
	}),
	"ignores digests": changeDeployments(func(d *environment.Deployment, candidate v1alpha1.VersionInfo) {
		if d.Version.Tag == candidate.Tag {
			d.Version.Digest = candidate.Digest
		}
	}),
	"counts time after a replacement": changeDeployments(func(d *environment.Deployment, _ v1alpha1.VersionInfo) { d.At = d.At.Add(time.Hour) }),
	"forgets returns":                 forgetReturns,
	"trusts every login":              changeDeployments(func(d *environment.Deployment, _ v1alpha1.VersionInfo) { d.UntrustedReason = "" }),
	"has no upstream":                 func(s *environment.Evaluation) { s.Upstreams = nil },
}

// changeDeployments changes each deployment of the snapshot, once for each candidate.
func changeDeployments(change func(*environment.Deployment, v1alpha1.VersionInfo)) func(*environment.Evaluation) {
	return func(s *environment.Evaluation) {
		s.Snapshot.Environments = slices.Clone(s.Snapshot.Environments)
		for i := range s.Snapshot.Environments {
			list := slices.Clone(s.Snapshot.Environments[i].Deployments)
			for j := range list {
				change(&list[j], v1alpha1.VersionInfo{})
				for _, c := range s.Rollout.Status.ReleaseCandidates {
					change(&list[j], c)
				}
			}
			s.Snapshot.Environments[i].Deployments = list
		}
	}
}

// forgetReturns removes deployments of a version that was deployed before, except the newest deployment.
func forgetReturns(s *environment.Evaluation) {
	s.Snapshot.Environments = slices.Clone(s.Snapshot.Environments)
	for i := range s.Snapshot.Environments {
		list := s.Snapshot.Environments[i].Deployments
		var kept []environment.Deployment
		for j, d := range list {
			returned := slices.ContainsFunc(list[j+1:], func(e environment.Deployment) bool { return e.Version.Digest == d.Version.Digest })
			if j == 0 || !returned {
				kept = append(kept, d)
			}
		}
		s.Snapshot.Environments[i].Deployments = kept
	}
}

// keepOpen keeps open verdicts open.
func keepOpen(list, old []v1alpha1.GateVerdict) {
	for i := range list {
		for _, o := range old {
			if o.Release == list[i].Release && o.Digest == list[i].Digest && o.State == v1alpha1.GateOpen {
				list[i].State = v1alpha1.GateOpen
			}
		}
	}
}

// stagingState is the state of staging in one version of its Rollout.
type stagingState struct {
	rv          int64
	quarantined []v1alpha1.ReleaseIdentity
	// newest is the ID of the newest deployment.
	newest int64
}

// ledger is what the monitor of a pair knows, from the two Rollouts only.
type ledger struct {
	p         *pair
	violation string
	// available maps digests to the version of staging's Rollout in which they were first Available.
	// availableInProduction are the digests that were Available in production.
	available map[string]int64
	// withoutDigest are the tags that were Available in staging without a digest. Only their revisions identify them.
	withoutDigest         map[string]bool
	availableInProduction map[string]bool
	// For each deployment of staging: its digest, when it was decided, and when it became Available.
	deployed       map[int64]string
	decided, since map[int64]time.Time
	past           []stagingState
	// publishedRV is the resource version that was last published without an error.
	publishedRV int64
	reachedFlux map[int64]bool
}

func newLedger(p *pair) *ledger {
	return &ledger{
		p: p, available: map[string]int64{}, withoutDigest: map[string]bool{}, availableInProduction: map[string]bool{}, reachedFlux: map[int64]bool{},
		deployed: map[int64]string{}, decided: map[int64]time.Time{}, since: map[int64]time.Time{},
	}
}

func (l *ledger) violate(format string, args ...any) {
	if l.violation == "" {
		l.violation = fmt.Sprintf(format, args...)
		l.p.production.note("BROKEN", "%s", l.violation)
	}
}

// observe notes the statuses of both Rollouts, and checks what production has handed to Flux.
func (l *ledger) observe() {
	for _, s := range []*side{l.p.staging, l.p.production} {
		if s.mon.violation != "" {
			l.violate("%s: %s", s.env.Spec.Environment, s.mon.violation)
		}
	}
	l.note(l.p.staging.rollout.live())
	history := l.p.production.rollout.live().status.History
	for i := range slices.Backward(history) {
		e := &history[i]
		if id := number(e); l.p.production.mon.reachedFlux[id] && !l.reachedFlux[id] {
			l.reachedFlux[id] = true
			l.checkFirstHandOver(e)
		}
	}
	for i := range history {
		if *history[i].BakeStatus == string(v1alpha1.BakeSucceeded) {
			l.availableInProduction[history[i].Version.Digest] = true
		}
	}
}

func (l *ledger) note(ro *Rollout) {
	if n := len(l.past); n > 0 && l.past[n-1].rv == ro.rv {
		return
	}
	f := stagingState{rv: ro.rv}
	for _, q := range ro.status.Quarantined {
		f.quarantined = append(f.quarantined, q.ReleaseIdentity)
	}
	for i := range slices.Backward(ro.status.History) {
		e := &ro.status.History[i]
		l.deployed[number(e)], l.decided[number(e)], f.newest = e.Version.Digest, e.Timestamp.Time, number(e)
		if *e.BakeStatus == string(v1alpha1.BakeSucceeded) && e.BakeEndTime != nil {
			l.since[number(e)] = e.BakeEndTime.Time
		}
		if _, known := l.available[e.Version.Digest]; !known && *e.BakeStatus == string(v1alpha1.BakeSucceeded) {
			l.available[e.Version.Digest] = ro.rv
		}
	}
	l.past = append(l.past, f)
	for i := range ro.status.History {
		if e := &ro.status.History[i]; e.Version.Digest == "" && e.Version.Revision != nil && *e.BakeStatus == string(v1alpha1.BakeSucceeded) {
			l.withoutDigest[e.Version.Tag] = true
		}
	}
}

// notePublished notes that a version of staging was published without an error.
func (l *ledger) notePublished(ro *Rollout) { l.publishedRV = max(l.publishedRV, ro.rv) }

// possibleStates returns the states of staging that a reader may see now.
func (l *ledger) possibleStates() []stagingState {
	i := len(l.past) - 1
	for i > 0 && l.past[i].rv > l.publishedRV {
		i--
	}
	return l.past[max(i, 0):]
}

// checkFirstHandOver checks invariant S13: a digest that production deploys automatically was Available in staging.
func (l *ledger) checkFirstHandOver(e *v1alpha1.DeploymentHistoryEntry) {
	past := slices.ContainsFunc(e.BypassedGates, func(g string) bool { return g == "*" || g == promotionGate || strings.HasPrefix(g, "environment/") })
	overridden := slices.ContainsFunc(e.Overrides, func(o v1alpha1.UsedOverride) bool { return slices.Contains(o.Bypass, v1alpha1.BypassGates) })
	_, there := l.available[e.Version.Digest]
	switch {
	case manual(e), past, overridden:
	case l.availableInProduction[e.Version.Digest], l.withoutDigest[e.Version.Tag]:
	case !there || e.Version.Digest == "":
		l.violate("S13: %s (%s) was handed to Flux in production, and was never Available in staging", e.Version.Tag, e.Cause)
	default:
		l.p.promoted++
	}
}

// checkVerdicts checks that no release is open that was not Available in staging, that staging had quarantined or
// replaced with an older one, or that was replaced before the end of the soak (invariant 14).
func (l *ledger) checkVerdicts(verdicts []v1alpha1.GateVerdict, read snapshotRead) {
	for _, v := range verdicts {
		if v.State != v1alpha1.GateOpen || l.availableInProduction[v.Digest] || l.withoutDigest[v.Release] {
			continue
		}
		if !slices.ContainsFunc(read.states, func(f stagingState) bool { return l.mayBeOpen(f, v) }) {
			l.violate("%s is open in production, and staging says otherwise", v.Release)
		}
	}
}

// mayBeOpen reports whether a release may be promoted from a state of staging.
func (l *ledger) mayBeOpen(f stagingState, v v1alpha1.GateVerdict) bool {
	since, there := l.available[v.Digest]
	if !there || since > l.past[len(l.past)-1].rv {
		return false
	}
	for _, q := range f.quarantined {
		if q.Digest == v.Digest && l.deployedUpTo(v.Digest, f.newest) > 0 {
			return false
		}
	}
	at := l.deployedUpTo(v.Digest, f.newest)
	return !l.wentBack(at, f.newest) && (at == f.newest || l.decided[at+1].Sub(l.since[at]) >= l.p.soak)
}

// wentBack reports whether an environment has deployed an older release again after deployment at (invariant 14).
func (l *ledger) wentBack(at, newest int64) bool {
	for id := at + 1; id <= newest; id++ {
		if digest := l.deployed[id]; digest != "" && digest != l.deployed[at] && l.deployedUpTo(digest, at) > 0 {
			return true
		}
	}
	return false
}

// deployedUpTo returns the newest deployment of a digest up to a given one; 0 if there is none.
func (l *ledger) deployedUpTo(digest string, newest int64) int64 {
	for id := newest; id > 0; id-- {
		if l.deployed[id] == digest {
			return id
		}
	}
	return 0
}

// settle ends the faults, pushes one more release, and checks that it becomes Available in both clusters.
func (p *pair) settle() {
	p.stable, p.down = true, false
	for _, s := range []*side{p.staging, p.production} {
		s.stabilize()
	}
	p.converge() // pending requests come first
	p.staging.unblock()
	p.production.unblock()
	p.converge()
	p.staging.tags = max(p.staging.tags, p.production.tags)
	p.production.tags = p.staging.tags
	tag := p.staging.push(good)
	p.production.push(good)
	p.converge()
	for _, s := range []*side{p.staging, p.production} {
		h := s.rollout.live().status.History
		if len(h) == 0 || h[0].Version.Tag != tag || *h[0].BakeStatus != string(v1alpha1.BakeSucceeded) {
			p.ledger.violate("%s does not become Available in %s", tag, s.env.Spec.Environment)
		}
		most := map[bool]int{true: 2, false: 1}[p.forgers] // an untrusted login may use the key
		for i := range h {
			if key := fmt.Sprintf("%s/%d", s.env.UID, number(&h[i])); p.service.Deployments(key) > most {
				p.ledger.violate("S17: %s was published %d times", key, p.service.Deployments(key))
			}
		}
	}
}

// converge reconciles both clusters until neither changes.
func (p *pair) converge() {
	for range maxRounds {
		changed := false
		for _, s := range []*side{p.staging, p.production} {
			changed = s.reconcileEnvironment() || changed
			changed = s.settleSide() || changed
		}
		soaking := p.production.soaking()
		if p.ledger.violation != "" || !changed && soaking == 0 {
			return
		}
		if !changed {
			p.production.Advance(soaking) // the clocks may differ by days
		}
	}
}

// soaking returns how long the newest release still has to soak.
func (s *side) soaking() time.Duration {
	for _, v := range s.promotion().Status.Verdicts {
		if v.Release == s.policy.live().Tag && v.Reason == environment.ReasonSoaking && v.Until != nil {
			return v.Until.Sub(s.wall)
		}
	}
	return 0
}

// stabilize ends the faults in a cluster and makes it healthy.
func (s *side) stabilize() {
	own := slices.IndexFunc(s.gates.live(), isOwnGate)
	s.editGates(func(l []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate { return slices.DeleteFunc(l, isOwnGate) })
	s.stopFaults()
	s.healthMode, s.externalUnhealthy = allHealthy, false
	s.setGates(false)
	s.editSpec(func(spec *v1alpha1.RolloutSpec) {
		bake := v1alpha1.Duration("15s")
		*spec = v1alpha1.RolloutSpec{ReleasesImagePolicy: spec.ReleasesImagePolicy, BakeTime: &bake, AfterFailure: v1alpha1.AfterFailureAllowNewer}
	})
	if own >= 0 {
		s.setGate(nil) // a person may have closed it; it is created again
	}
	s.snapshot.lag = 0
}

// unblock lets a person decide about a paused release.
func (s *side) unblock() {
	if h := s.rollout.live().status.History; len(h) > 0 && h[0].PausedTime != nil {
		s.annotate(v1alpha1.AnnotationUnblockFailed, "true")
	}
}

// settleSide reconciles until nothing is due. It reports whether the Rollout changed.
func (s *side) settleSide() bool {
	s.controller.queued = true
	rv := s.rollout.live().rv
	for passes := 0; passes < maxSettlePasses && s.advanceToNextEvent(); {
		if !s.controller.queued && s.controller.requeueAt != s.mono {
			continue
		}
		passes++
		s.expire()
		s.controller.reconcile()
		s.p.ledger.observe()
	}
	return s.rollout.live().rv != rv
}

// runPair runs one seed in two clusters.
func runPair(seed uint64, o options) (p *pair) {
	p = newPair(seed, o)
	for range o.chaos {
		if p.step(); p.ledger.violation != "" {
			return p
		}
	}
	p.settle()
	return p
}

// TestPromotion runs pairs of clusters with random faults.
func TestPromotion(t *testing.T) {
	t.Parallel()
	if *seed >= 0 {
		p := runPair(uint64(*seed), options{chain: release.Rules(), chaos: pairSteps, trace: 4000})
		t.Log(p.traces())
		if p.ledger.violation != "" {
			t.Fatal(p.ledger.violation)
		}
		return
	}
	n := map[bool]int{true: shortPairs, false: longPairs}[testing.Short()]
	if *seeds > 0 {
		n = *seeds
	}
	begin := time.Now()
	var promoted, deployments atomic.Int64
	var mu sync.Mutex
	violation := map[int]string{}
	inParallel(n, func(i int) {
		p := runPair(uint64(i), options{chain: release.Rules(), chaos: pairSteps})
		promoted.Add(int64(p.promoted))
		deployments.Add(int64(p.production.Counts.Deployments))
		if p.ledger.violation != "" {
			mu.Lock()
			defer mu.Unlock()
			violation[i] = p.ledger.violation
		}
	})
	t.Logf("%d pairs: %d deployments in production, %d of them promoted, in %s", n, deployments.Load(), promoted.Load(), time.Since(begin).Round(time.Millisecond))
	if promoted.Load() < int64(n) {
		t.Errorf("only %d releases were promoted", promoted.Load())
	}
	shown := 0
	for i, what := range violation {
		if shown++; shown <= 5 {
			t.Errorf("seed %d: %s\nrun it again: go test ./sim -run TestPromotion$ -seed=%d -v", i, what, i)
		}
	}
	if shown > 5 {
		t.Errorf("and %d more", shown-5)
	}
}

// TestMonitorNoticesFaultyPromotion runs controllers with defects.
func TestMonitorNoticesFaultyPromotion(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for name := range promotionFaults {
		found := ""
		for s := range uint64(400) {
			if p := runPair(s, options{chain: release.Rules(), chaos: 4 * pairSteps, faulty: name}); p.ledger.violation != "" {
				found = fmt.Sprintf("pair %d: %s", s, p.ledger.violation)
				break
			}
		}
		t.Logf("%-32s %s", name, found)
		if found == "" {
			t.Errorf("nothing notices a controller that %s", name)
		}
	}
}

// traces returns the traces of both clusters.
func (p *pair) traces() string {
	p.staging.dump()
	p.production.dump()
	for _, g := range p.production.gates.live() {
		p.production.note("gate", "%s %+v %+v", g.Name, g.Spec, g.Status)
	}
	return "staging\n" + strings.Join(p.staging.trace.lines, "\n") + "\nproduction\n" + strings.Join(p.production.trace.lines, "\n")
}
