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
	// maxRounds is how often two quiet clusters may have to look at each other before the newest release is everywhere.
	maxRounds = 40
)

// promotionFaults are what a faulty controller of environments makes of what it knows; the monitor has to notice each.
var promotionFaults = map[string]func(*environment.Evaluation){
	"trusts old news": nil, // keepOpen
	"takes deploying for Available": told(func(d *environment.Deployment, _ v1alpha1.VersionInfo) {
		if d.State == v1alpha1.BakeDeploying || d.State == v1alpha1.BakeInProgress {
			d.State = v1alpha1.BakeSucceeded
		}
	}),
	"ignores digests": told(func(d *environment.Deployment, candidate v1alpha1.VersionInfo) {
		if d.Version.Tag == candidate.Tag {
			d.Version.Digest = candidate.Digest
		}
	}),
	"counts time after a replacement": told(func(d *environment.Deployment, _ v1alpha1.VersionInfo) { d.At = d.At.Add(time.Hour) }),
	"forgets returns":                 forgetReturns,
	"believes everybody":              told(func(d *environment.Deployment, _ v1alpha1.VersionInfo) { d.UntrustedReason = "" }),
	"needs no environment":            func(s *environment.Evaluation) { s.Upstreams = nil },
}

// told changes each deployment in the news; for each candidate once.
func told(change func(*environment.Deployment, v1alpha1.VersionInfo)) func(*environment.Evaluation) {
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

// forgetReturns leaves out what upstream went back to, unless it runs there now.
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

// keepOpen keeps open what was.
func keepOpen(list, old []v1alpha1.GateVerdict) {
	for i := range list {
		for _, o := range old {
			if o.Release == list[i].Release && o.Digest == list[i].Digest && o.State == v1alpha1.GateOpen {
				list[i].State = v1alpha1.GateOpen
			}
		}
	}
}

// facts are how staging stood in one version of its Rollout.
type facts struct {
	rv          int64
	quarantined []v1alpha1.ReleaseIdentity
	// newest is the newest deployment.
	newest int64
}

// ledger is what the monitor of a pair knows, from the records of the two Rollouts and from nobody else.
type ledger struct {
	p      *pair
	broken string
	// available says in which version of staging's Rollout a digest was first Available, here what was Available in production.
	available map[string]int64
	// loose are the tags of what was Available in staging and has no digest on record: nothing but a revision tells what it was.
	loose map[string]bool
	here  map[string]bool
	// deployed are the digests of staging's deployments, decided when they were decided, and since when they were Available.
	deployed       map[int64]string
	decided, since map[int64]time.Time
	past           []facts
	// known is the version that was published last, whole.
	known  int64
	handed map[int64]bool
}

func newLedger(p *pair) *ledger {
	return &ledger{
		p: p, available: map[string]int64{}, loose: map[string]bool{}, here: map[string]bool{}, handed: map[int64]bool{},
		deployed: map[int64]string{}, decided: map[int64]time.Time{}, since: map[int64]time.Time{},
	}
}

func (l *ledger) breaks(format string, args ...any) {
	if l.broken == "" {
		l.broken = fmt.Sprintf(format, args...)
		l.p.production.note("BROKEN", "%s", l.broken)
	}
}

// look notes what is on record in both clusters, and judges what production has handed to Flux.
func (l *ledger) look() {
	for _, s := range []*side{l.p.staging, l.p.production} {
		if s.mon.broken != "" {
			l.breaks("%s: %s", s.env.Spec.Environment, s.mon.broken)
		}
	}
	l.note(l.p.staging.rollout.live())
	history := l.p.production.rollout.live().status.History
	for i := range slices.Backward(history) {
		e := &history[i]
		if id := number(e); l.p.production.mon.handed[id] && !l.handed[id] {
			l.handed[id] = true
			l.judgeHandOver(e)
		}
	}
	for i := range history {
		if *history[i].BakeStatus == string(v1alpha1.BakeSucceeded) {
			l.here[history[i].Version.Digest] = true
		}
	}
}

func (l *ledger) note(ro *Rollout) {
	if n := len(l.past); n > 0 && l.past[n-1].rv == ro.rv {
		return
	}
	f := facts{rv: ro.rv}
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
			l.loose[e.Version.Tag] = true
		}
	}
}

// told notes that a version of staging was published without an error.
func (l *ledger) told(ro *Rollout) { l.known = max(l.known, ro.rv) }

// window is how staging may stand, as far as anybody who reads now can know.
func (l *ledger) window() []facts {
	i := len(l.past) - 1
	for i > 0 && l.past[i].rv > l.known {
		i--
	}
	return l.past[max(i, 0):]
}

// judgeHandOver is S13: what comes to production by itself has been Available in staging, digest by digest.
func (l *ledger) judgeHandOver(e *v1alpha1.DeploymentHistoryEntry) {
	past := slices.ContainsFunc(e.BypassedGates, func(g string) bool { return g == "*" || g == promotionGate || strings.HasPrefix(g, "environment/") })
	overridden := slices.ContainsFunc(e.Overrides, func(o v1alpha1.UsedOverride) bool { return slices.Contains(o.Bypass, v1alpha1.BypassGates) })
	_, there := l.available[e.Version.Digest]
	switch {
	case chosen(e), past, overridden:
	case l.here[e.Version.Digest], l.loose[e.Version.Tag]:
	case !there || e.Version.Digest == "":
		l.breaks("S13: %s (%s) was handed to Flux in production, and was never Available in staging", e.Version.Tag, e.Cause)
	default:
		l.p.promoted++
	}
}

// judgeVerdicts: nothing is open that was not Available in staging, that the last news had quarantined or gone back from , or that
// was replaced there before it had run for the soak (invariant 14).
func (l *ledger) judgeVerdicts(verdicts []v1alpha1.GateVerdict, heard heardNews) {
	for _, v := range verdicts {
		if v.State != v1alpha1.GateOpen || l.here[v.Digest] || l.loose[v.Release] {
			continue
		}
		if !slices.ContainsFunc(heard.facts, func(f facts) bool { return l.fine(f, v) }) {
			l.breaks("%s is open in production, and staging says otherwise", v.Release)
		}
	}
}

// fine says whether a release might have gone on, as staging stood.
func (l *ledger) fine(f facts, v v1alpha1.GateVerdict) bool {
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

// wentBack is invariant 14: an environment that deploys again what it ran before a release has gone back from it, until it deploys the release again.
func (l *ledger) wentBack(at, newest int64) bool {
	for id := at + 1; id <= newest; id++ {
		if back := l.deployed[id]; back != "" && back != l.deployed[at] && l.deployedUpTo(back, at) > 0 {
			return true
		}
	}
	return false
}

// deployedUpTo is the newest deployment of a digest that is no newer than another; 0 if there is none.
func (l *ledger) deployedUpTo(digest string, newest int64) int64 {
	for id := newest; id > 0; id-- {
		if l.deployed[id] == digest {
			return id
		}
	}
	return 0
}

// settle lets both clusters fall quiet, brings one more release, and expects it everywhere.
func (p *pair) settle() {
	p.quiet, p.down = true, false
	for _, s := range []*side{p.staging, p.production} {
		s.calmDown()
	}
	p.converge() // what people asked for last is done first
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
			p.ledger.breaks("%s is not Available in %s after all", tag, s.env.Spec.Environment)
		}
		most := map[bool]int{true: 2, false: 1}[p.forgers] // a stranger may use the key
		for i := range h {
			if key := fmt.Sprintf("%s/%d", s.env.UID, number(&h[i])); p.place.Deployments(key) > most {
				p.ledger.breaks("S17: %s was published %d times", key, p.place.Deployments(key))
			}
		}
	}
}

// converge lets two quiet clusters look at each other until neither changes.
func (p *pair) converge() {
	for range maxRounds {
		changed := false
		for _, s := range []*side{p.staging, p.production} {
			changed = s.control() || changed
			changed = s.rest() || changed
		}
		soaking := p.production.soaking()
		if p.ledger.broken != "" || !changed && soaking == 0 {
			return
		}
		if !changed {
			p.production.Advance(soaking) // the clocks may be days apart
		}
	}
}

// soaking is how long the newest release has to wait for time alone.
func (s *side) soaking() time.Duration {
	for _, v := range s.promotion().Status.Verdicts {
		if v.Release == s.policy.live().Tag && v.Reason == environment.ReasonSoaking && v.Until != nil {
			return v.Until.Sub(s.wall)
		}
	}
	return 0
}

// calmDown lets a cluster fall quiet, and be well.
func (s *side) calmDown() {
	own := slices.IndexFunc(s.gates.live(), ofEnvironment)
	s.editGates(func(l []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate { return slices.DeleteFunc(l, ofEnvironment) })
	s.calm()
	s.mood, s.red = moodHealthy, false
	s.closeOrOpen(false)
	s.editSpec(func(spec *v1alpha1.RolloutSpec) {
		bake := v1alpha1.Duration("15s")
		*spec = v1alpha1.RolloutSpec{ReleasesImagePolicy: spec.ReleasesImagePolicy, BakeTime: &bake, AfterFailure: v1alpha1.AfterFailureAllowNewer}
	})
	if own >= 0 {
		s.setGate(nil) // somebody may have shut it: it is made again
	}
	s.snapshot.lag = 0
}

// unblock lets a person decide about a release that waits for one.
func (s *side) unblock() {
	if h := s.rollout.live().status.History; len(h) > 0 && h[0].PausedTime != nil {
		s.annotate(v1alpha1.AnnotationUnblockFailed, "true")
	}
}

// rest lets a quiet cluster come to rest. It reports whether it did anything.
func (s *side) rest() bool {
	s.shell.dirty = true
	rv := s.rollout.live().rv
	for passes := 0; passes < maxQuietPasses && s.advance(); {
		if !s.shell.dirty && s.shell.again != s.mono {
			continue
		}
		passes++
		s.expire()
		s.shell.pass()
		s.p.ledger.look()
	}
	return s.rollout.live().rv != rv
}

// runPair lets one seed happen to two clusters.
func runPair(seed uint64, o options) (p *pair) {
	p = newPair(seed, o)
	for range o.chaos {
		if p.step(); p.ledger.broken != "" {
			return p
		}
	}
	p.settle()
	return p
}

// TestPromotion runs pairs of clusters in which everything goes wrong.
func TestPromotion(t *testing.T) {
	t.Parallel()
	if *seed >= 0 {
		p := runPair(uint64(*seed), options{chain: release.Rules(), chaos: pairSteps, trace: 4000})
		t.Log(p.story())
		if p.ledger.broken != "" {
			t.Fatal(p.ledger.broken)
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
	broken := map[int]string{}
	each(n, func(i int) {
		p := runPair(uint64(i), options{chain: release.Rules(), chaos: pairSteps})
		promoted.Add(int64(p.promoted))
		deployments.Add(int64(p.production.Counts.Deployments))
		if p.ledger.broken != "" {
			mu.Lock()
			defer mu.Unlock()
			broken[i] = p.ledger.broken
		}
	})
	t.Logf("%d pairs: %d deployments in production, %d of them promoted, in %s", n, deployments.Load(), promoted.Load(), time.Since(begin).Round(time.Millisecond))
	if promoted.Load() < int64(n) {
		t.Errorf("only %d releases were promoted", promoted.Load())
	}
	shown := 0
	for i, what := range broken {
		if shown++; shown <= 5 {
			t.Errorf("seed %d: %s\nrun it again: go test ./sim -run TestPromotion$ -seed=%d -v", i, what, i)
		}
	}
	if shown > 5 {
		t.Errorf("and %d more", shown-5)
	}
}

// TestMonitorNoticesFaultyPromotion breaks the promotion on purpose.
func TestMonitorNoticesFaultyPromotion(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for name := range promotionFaults {
		found := ""
		for s := range uint64(400) {
			if p := runPair(s, options{chain: release.Rules(), chaos: 4 * pairSteps, faulty: name}); p.ledger.broken != "" {
				found = fmt.Sprintf("pair %d: %s", s, p.ledger.broken)
				break
			}
		}
		t.Logf("%-32s %s", name, found)
		if found == "" {
			t.Errorf("nothing notices a controller that %s", name)
		}
	}
}

// story is what happened in both clusters.
func (p *pair) story() string {
	p.staging.dump()
	p.production.dump()
	for _, g := range p.production.gates.live() {
		p.production.note("gate", "%s %+v %+v", g.Name, g.Spec, g.Status)
	}
	return "staging\n" + strings.Join(p.staging.trace.lines, "\n") + "\nproduction\n" + strings.Join(p.production.trace.lines, "\n")
}
