package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/release"
)

// shell is a controller as small as it can be: it observes, lets the core decide, acts, and stores what the core projects.
type shell struct {
	w     *World
	chain release.Chain
	// faulty turns a duty of the shell off, to see whether the monitor notices.
	faulty string

	// What it remembers; lost when it dies.
	bake  bakeClock
	again time.Duration // when to look again, on the clock that only runs; negative: only when something changes
	dirty bool          // whether it has to look at once
}

// bakeClock is how long the process has seen a bake run.
type bakeClock struct {
	key   string
	base  time.Duration
	since time.Duration
}

func newShell(w *World, chain release.Chain) *shell {
	return &shell{w: w, chain: chain, again: -1, dirty: true}
}

// restart is what is left of a process that died.
func (s *shell) restart() {
	s.bake, s.again, s.dirty = bakeClock{}, -1, true
	s.w.Counts.Crashes++
	s.w.mon.restarted()
	s.w.note("crash")
}

// pass is one reconciliation. It reports whether it changed anything outside itself.
func (s *shell) pass() bool {
	w := s.w
	w.Counts.Passes++
	s.dirty, s.again = false, -1
	ro := w.rollout.cached()
	obs := s.observe(ro)
	w.mon.passBegins(obs)
	dec := s.decide(obs)
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
	if err != nil {
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
	if bakeOf(next) != bakeOf(obs.Status) && (err == nil || errors.Is(err, errLost)) {
		s.bake = bakeClock{key: bakeOf(next), since: s.w.mono} // only what is on record, or may be
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
	if len(ro.status.History) > 0 {
		obs.BakedFor = s.seeBake(*ro.status)
	}
	s.observeTargets(&obs)
	if ro.spec.HealthCheckSelector != nil {
		s.observeHealth(&obs)
	}
	return obs
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
		target.Reached = asked && t.settled() && t.Problem == "" && target.Carries(want) && !other
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

// seeBake is how long the bake has run. A process that finds a bake that it has not seen start has only the clock to go by.
func (s *shell) seeBake(status v1alpha1.RolloutStatus) *time.Duration {
	key := bakeOf(status)
	if key == "" {
		return nil
	}
	if s.bake.key != key {
		base := max(0, s.w.wall.Sub(status.History[0].BakeStartTime.Time))
		s.bake = bakeClock{key: key, base: base, since: s.w.mono}
	}
	baked := s.bake.base + s.w.mono - s.bake.since
	return &baked
}

// bakeOf names the bake that runs, or is "".
func bakeOf(status v1alpha1.RolloutStatus) string {
	if len(status.History) == 0 || status.History[0].BakeStartTime == nil || status.History[0].BakeEndTime != nil {
		return ""
	}
	e := &status.History[0]
	return fmt.Sprintf("%s %d", release.Token(rolloutUID, e), e.BakeStartTime.Unix())
}
