package sim

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/observed"
	"github.com/kuberik/kuberik/internal/release"
)

// unobserved is how long the API server may be silent before the time does not count.
const unobserved = 5 * time.Second

var spanKey = types.NamespacedName{Namespace: "default", Name: rolloutName}

// shell is a controller as small as it can be: it observes, lets the core decide, acts, and stores what the core projects.
type shell struct {
	w     *World
	chain release.Chain
	// faulty turns a duty of the shell off, to see whether the monitor notices.
	faulty string

	// What it remembers; lost when it dies.
	seen  *observed.Clock
	spans *observed.Spans
	again time.Duration // when to look again, on the clock that only runs; negative: only when something changes
	dirty bool          // whether it has to look at once
}

func newShell(w *World, chain release.Chain) *shell {
	s := &shell{w: w, chain: chain}
	s.begin()
	return s
}

// begin is a new process, which has observed nothing.
func (s *shell) begin() {
	s.seen = observed.NewClock(unobserved)
	s.spans, s.again, s.dirty = observed.NewSpans(s.seen), -1, true
}

// restart is what is left of a process that died.
func (s *shell) restart() {
	s.begin()
	s.w.Counts.Crashes++
	s.w.mon.restarted()
	s.w.note("crash")
}

// pass is one reconciliation. It reports whether it changed anything outside itself.
func (s *shell) pass() bool {
	w := s.w
	w.Counts.Passes++
	s.dirty, s.again = false, -1
	if !w.late() {
		w.bindGates()
	}
	ro := w.rollout.cached()
	obs := s.observe(ro)
	w.mon.passBegins(obs)
	dec := s.decide(obs)
	if dec.Rereads && s.faulty != "fails on the cache" {
		w.targets.catchUp(maxLag)
		w.checks.catchUp(maxLag)
		obs.Targets, obs.Health = nil, release.Health{}
		s.observeWorld(&obs)
		dec = s.decide(obs)
	}
	if pin, ok := pinOf(dec); ok && pin.First && s.faulty != "trusts cached gates" {
		obs.Gates = w.gates.live()
		obs.Approvals, obs.Overrides = w.people.live().approvals, w.people.live().overrides
		w.mon.gatesReread(obs)
		dec = s.decide(obs)
	}
	acted, rv, err := s.act(ro, dec)
	if errors.Is(err, errCrash) {
		s.restart()
		return true
	}
	stored, err := s.store(obs, dec, rv, err)
	if errors.Is(err, errCrash) {
		s.restart()
		return true
	}
	if err != nil || w.bindGates() {
		s.dirty = true
	}
	if !dec.Again.IsZero() {
		s.again = w.mono + max(0, dec.Again.Sub(w.wall))
	}
	return acted || stored
}

func (s *shell) decide(obs release.Observation) release.Decision {
	s.w.Counts.Decisions++
	fault := distortions[s.faulty]
	if fault.sees != nil {
		fault.sees(&obs)
	}
	dec := s.chain.Decide(obs)
	if fault.does != nil {
		fault.does(obs, &dec)
	}
	s.w.note(dec.Rule)
	return dec
}

func pinOf(d release.Decision) (release.Pin, bool) {
	for _, a := range d.Actions {
		if p, ok := a.(release.Pin); ok {
			return p, true
		}
	}
	return release.Pin{}, false
}

// act performs the outward actions.
func (s *shell) act(ro *Rollout, dec release.Decision) (acted bool, rv int64, err error) {
	rv = ro.rv
	for _, a := range dec.Actions {
		var failed error
		switch a := a.(type) {
		case release.Pin:
			var did bool
			did, failed = s.pin(ro, a)
			acted = acted || did
		case release.ClearAnnotations:
			failed = s.effect("clear", func() error { return s.w.removeAnnotations(rv, a.Handled) })
			if failed == nil {
				acted, rv = true, rv+1
			}
		}
		if errors.Is(failed, errCrash) {
			return acted, rv, failed
		}
		err = errors.Join(err, failed)
	}
	return acted, rv, err
}

// pin hands a version to Flux: one patch for each target that does not carry it.
func (s *shell) pin(ro *Rollout, pin release.Pin) (bool, error) {
	w := s.w
	if w.rollout.live().rv != ro.rv && s.faulty != "trusts the cached Rollout" {
		return false, errConflict
	}
	acted := false
	var err error
	for _, t := range w.targets.cached() {
		want := t.Form.Of(pin.Version)
		if want == "" || t.Value == want && t.Token == pin.Token {
			continue
		}
		failed := s.effect("pin", func() error {
			if !w.editTarget(t.id(), func(live *Target) {
				if live.Value != want {
					live.Value, live.Gen = want, live.Gen+1
				}
				live.Token = pin.Token
			}) {
				return fmt.Errorf("%s is gone", t.id())
			}
			w.Counts.HandOvers++
			w.note("pin", "%s to %s", t.id(), pin.Version.Tag)
			w.mon.handedOver(pin)
			return nil
		})
		if errors.Is(failed, errCrash) {
			return true, failed
		}
		acted = acted || failed == nil
		err = errors.Join(err, failed)
	}
	return acted, err
}

// store writes the projected status, once.
func (s *shell) store(obs release.Observation, dec release.Decision, rv int64, failed error) (bool, error) {
	if errors.Is(failed, errConflict) {
		return false, failed
	}
	next := release.Project(obs, dec, failed)
	if !release.Changed(obs.Status, next) {
		return false, failed
	}
	err := s.effect("status", func() error { return s.w.writeStatus(rv, &next) })
	if err == nil || errors.Is(err, errLost) {
		s.elapsed(obs.Spec, next) // a span that begins is seen at once
	}
	if errors.Is(err, errConflict) {
		s.w.Counts.Conflicts++
	}
	return err == nil, errors.Join(failed, err)
}

// effect does one thing that reaches outside. The process may die before or after it, the server may refuse it, and the answer
// may be lost on its way back.
func (s *shell) effect(kind string, do func() error) error {
	w := s.w
	chaos := !w.quiet
	if chaos && w.faults.Crash && w.rng.oneIn(60) {
		return errCrash
	}
	if chaos && w.faults.WriteErrors && w.rng.oneIn(25) {
		w.note("error", "%s is refused", kind)
		return errRefused
	}
	if err := do(); err != nil {
		return err
	}
	if chaos && w.faults.Crash && w.rng.oneIn(60) {
		return errCrash
	}
	if chaos && w.faults.WriteErrors && w.rng.oneIn(25) {
		return errLost
	}
	return nil
}

// observe reads the caches.
func (s *shell) observe(ro *Rollout) release.Observation {
	w := s.w
	obs := release.Observation{
		Now: w.wall, SettleUntil: w.settled, UID: rolloutUID, Name: rolloutName, Generation: ro.generation, Annotations: ro.annotations,
		Spec: *ro.spec, Status: *ro.status, Policy: w.policy.cached(), Gates: w.gates.cached(), Details: w.details.cached(),
		Approvals: w.people.cached().approvals, Overrides: w.people.cached().overrides,
	}
	obs.Elapsed = s.elapsed(obs.Spec, obs.Status)
	s.observeWorld(&obs)
	s.spans.SetPaused(spanKey, release.NotSetUp(obs.Targets))
	return obs
}

// elapsed is how much of what is measured was observed.
func (s *shell) elapsed(spec v1alpha1.RolloutSpec, status v1alpha1.RolloutStatus) *time.Duration {
	span, ok := release.Span(spec, status)
	if !ok {
		s.spans.Forget(spanKey)
		return nil
	}
	elapsed := s.spans.Elapsed(spanKey, span, s.w.wall, s.w.now())
	return &elapsed
}

// observeWorld reads what the targets and the checks say.
func (s *shell) observeWorld(obs *release.Observation) {
	s.observeTargets(obs)
	if obs.Spec.HealthCheckSelector != nil {
		s.observeHealth(obs)
	}
}

func (s *shell) observeTargets(obs *release.Observation) {
	token, want := "none", v1alpha1.VersionInfo{}
	if len(obs.Status.History) > 0 {
		want = obs.Status.History[0].Version
		token = release.Token(rolloutUID, &obs.Status.History[0])
	}
	for _, t := range s.w.targets.cached() {
		asked := t.Token == token
		target := release.Target{
			Kind: t.Kind, Name: t.Name, Variable: t.Variable, Form: t.Form, Value: t.Value, Verified: verified(t), Asked: asked,
			Problem: t.Problem, Suspended: t.Suspended, Message: t.Message,
		}
		other := verified(t) && t.OK && want.Digest != "" && s.w.contents[want.Digest] != t.Applied // the registry serves something else
		settled := t.settled() || s.faulty == "takes observed for applied" && t.observed()
		target.Reached = asked && settled && t.Problem == "" && target.Carries(want) && !other
		target.Applied = target.Reached && t.OK
		obs.Targets = append(obs.Targets, target)
	}
}

// verified reports whether Flux says which content it fetched.
func verified(t Target) bool { return t.Own && t.Kind == "OCIRepository" }

func (s *shell) observeHealth(obs *release.Observation) {
	w := s.w
	switch {
	case !w.quiet && w.faults.HealthLost && w.rng.oneIn(40):
		obs.Health.Problem = "the health checks cannot be listed"
		return
	case len(w.checks.cached()) == 0:
		obs.Health.Problem = "spec.healthCheckSelector selects no HealthCheck"
		return
	}
	asked := true
	for _, t := range obs.Targets {
		asked = asked && t.Asked
	}
	for _, c := range w.checks.cached() {
		r := health.Report{
			Name: c.Name, Namespace: "default", State: health.Normal(c.State), Message: c.Message, Revision: c.Revision,
			Since: c.Since, LastError: c.LastError, ByRevision: c.Target != "",
		}
		switch c.Target {
		case "":
			r.Current = len(obs.Status.History) > 0 && !c.Since.Before(release.Cutoff(&obs.Status.History[0]))
		default:
			r.Current = asked && w.revisionOf(c.Target) == c.Revision && c.Revision != ""
		}
		obs.Health.Reports = append(obs.Health.Reports, r)
	}
}

// revisionOf a target, as the cache has it.
func (w *World) revisionOf(id string) string {
	for _, t := range w.targets.cached() {
		if t.id() == id && t.HandledGen == t.Gen {
			return t.revision()
		}
	}
	return ""
}
