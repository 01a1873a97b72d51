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

// maxSilence is how long the API server may be silent before the time is not counted as observed.
const maxSilence = 5 * time.Second

var spanKey = types.NamespacedName{Namespace: "default", Name: rolloutName}

// controller is a minimal Rollout controller: it observes, decides with the core, acts, and stores the projected
// status.
type controller struct {
	w     *Cluster
	chain release.Chain
	// faulty is the name of a brokenController; empty for a correct one.
	faulty string

	// State of the process; lost in a crash.
	seen      *observed.Clock
	spans     *observed.Spans
	requeueAt time.Duration // on the monotonic clock; negative: only after a change
	queued    bool          // whether a reconciliation is due now
	fresh     bool          // whether the last reconciliation stored a status
}

func newController(w *Cluster, chain release.Chain) *controller {
	s := &controller{w: w, chain: chain}
	s.begin()
	return s
}

// begin starts a new process, which has observed nothing.
func (s *controller) begin() {
	s.seen = observed.NewClock(maxSilence)
	s.spans, s.requeueAt, s.queued, s.fresh = observed.NewSpans(s.seen), -1, true, false
}

// restart replaces a crashed process.
func (s *controller) restart() {
	s.begin()
	s.w.Counts.Crashes++
	s.w.mon.onRestart()
	s.w.note("crash")
}

// reconcile runs one reconciliation. It reports whether it changed anything in the cluster.
func (s *controller) reconcile() bool {
	w := s.w
	w.Counts.Passes++
	s.queued, s.requeueAt = false, -1
	if !w.gateControllerLags() {
		w.bindGates()
	}
	ro := w.rollout.cached()
	obs := s.observe(ro)
	w.mon.onReconcile(obs)
	dec := s.decide(obs)
	if dec.Rereads && s.faulty != "fails without a reread" {
		w.targets.catchUp(maxLag)
		w.checks.catchUp(maxLag)
		obs.Targets, obs.Health = nil, release.Health{}
		s.observeTargetsAndHealth(&obs)
		dec = s.decide(obs)
	}
	if pin, ok := pinOf(dec); ok && pin.First && s.faulty != "trusts cached gates" {
		obs.Gates = w.gates.live()
		obs.Approvals, obs.Overrides = w.userObjects.live().approvals, w.userObjects.live().overrides
		w.mon.onGatesReread(obs)
		dec = s.decide(obs)
	}
	acted, rv, err := s.act(ro, dec)
	if errors.Is(err, errCrash) {
		s.restart()
		return true
	}
	stored := false
	if err == nil && s.fresh && onlyHandsOver(dec) {
		s.queued = true // the watch reports the target that was written
	} else {
		stored, err = s.store(obs, dec, rv, err)
	}
	if errors.Is(err, errCrash) {
		s.restart()
		return true
	}
	s.fresh = stored && err == nil
	if err != nil || w.bindGates() {
		s.queued = true
	}
	if !dec.Again.IsZero() {
		s.requeueAt = w.mono + max(0, dec.Again.Sub(w.wall))
	}
	return acted || stored
}

func (s *controller) decide(obs release.Observation) release.Decision {
	s.w.Counts.Decisions++
	fault := brokenControllers[s.faulty]
	if fault.changeObservation != nil {
		fault.changeObservation(&obs)
	}
	dec := s.chain.Decide(obs)
	if fault.changeDecision != nil {
		fault.changeDecision(obs, &dec)
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

// onlyHandsOver reports whether nothing has to be stored of a decision after the intent was stored.
func onlyHandsOver(d release.Decision) bool {
	pin, ok := pinOf(d)
	return ok && !pin.Drift && len(d.Notices) == 0
}

// act performs the actions that change other objects.
func (s *controller) act(ro *Rollout, dec release.Decision) (acted bool, rv int64, err error) {
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

// pin hands a version to Flux, with one patch for each target that does not have it yet.
func (s *controller) pin(ro *Rollout, pin release.Pin) (bool, error) {
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
			w.mon.onHandOver(pin)
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

// store writes the projected status once.
func (s *controller) store(obs release.Observation, dec release.Decision, rv int64, failed error) (bool, error) {
	if errors.Is(failed, errConflict) {
		return false, failed
	}
	next := release.Project(obs, dec, failed)
	if !release.Changed(obs.Status, next) {
		return false, failed
	}
	err := s.effect("status", func() error { return s.w.writeStatus(rv, &next) })
	if err == nil || errors.Is(err, errLost) {
		s.elapsed(obs.Spec, next) // a new span starts now
	}
	if errors.Is(err, errConflict) {
		s.w.Counts.Conflicts++
	}
	return err == nil, errors.Join(failed, err)
}

// effect makes one write. The process may crash before or after it, the server may refuse it, and the response may be
// lost.
func (s *controller) effect(kind string, do func() error) error {
	w := s.w
	chaos := !w.stable
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
func (s *controller) observe(ro *Rollout) release.Observation {
	w := s.w
	obs := release.Observation{
		Now: w.wall, SettleUntil: w.settled, UID: rolloutUID, Name: rolloutName, Generation: ro.generation, Annotations: ro.annotations,
		Spec: *ro.spec, Status: *ro.status, Policy: w.policy.cached(), Gates: w.gates.cached(), Details: w.details.cached(),
		Approvals: w.userObjects.cached().approvals, Overrides: w.userObjects.cached().overrides,
	}
	obs.Elapsed = s.elapsed(obs.Spec, obs.Status)
	s.observeTargetsAndHealth(&obs)
	s.spans.SetPaused(spanKey, release.NotSetUp(obs.Targets))
	return obs
}

// elapsed returns the observed time of the current span.
func (s *controller) elapsed(spec v1alpha1.RolloutSpec, status v1alpha1.RolloutStatus) *time.Duration {
	span, ok := release.Span(spec, status)
	if !ok {
		s.spans.Forget(spanKey)
		return nil
	}
	elapsed := s.spans.Elapsed(spanKey, span, s.w.wall, s.w.now())
	return &elapsed
}

// observeTargetsAndHealth reads the targets and the checks.
func (s *controller) observeTargetsAndHealth(obs *release.Observation) {
	s.observeTargets(obs)
	if obs.Spec.HealthCheckSelector != nil {
		s.observeHealth(obs)
	}
}

func (s *controller) observeTargets(obs *release.Observation) {
	token, want := "none", v1alpha1.VersionInfo{}
	if len(obs.Status.History) > 0 {
		want = obs.Status.History[0].Version
		token = release.Token(rolloutUID, &obs.Status.History[0])
	}
	for _, t := range s.w.targets.cached() {
		requested := t.Token == token
		target := release.Target{
			Kind: t.Kind, Name: t.Name, Variable: t.Variable, Form: t.Form, Value: t.Value, Verified: verified(t), Asked: requested,
			Problem: t.Problem, Suspended: t.Suspended, Message: t.Message,
		}
		other := verified(t) && t.OK && want.Digest != "" && s.w.contents[want.Digest] != t.Applied // the registry serves other content
		settled := t.settled() || s.faulty == "treats observed as applied" && t.observed()
		target.Reached = requested && settled && t.Problem == "" && target.Carries(want) && !other
		target.Applied = target.Reached && t.OK
		obs.Targets = append(obs.Targets, target)
	}
}

// verified reports whether Flux reports which content it fetched.
func verified(t Target) bool { return t.Own && t.Kind == "OCIRepository" }

func (s *controller) observeHealth(obs *release.Observation) {
	w := s.w
	switch {
	case !w.stable && w.faults.HealthLost && w.rng.oneIn(40):
		obs.Health.Problem = "the health checks cannot be listed"
		return
	case len(w.checks.cached()) == 0:
		obs.Health.Problem = "spec.healthCheckSelector selects no HealthCheck"
		return
	}
	requested := true
	for _, t := range obs.Targets {
		requested = requested && t.Asked
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
			r.Current = requested && w.revisionOf(c.Target) == c.Revision && c.Revision != ""
		}
		obs.Health.Reports = append(obs.Health.Reports, r)
	}
}

// revisionOf returns the revision of a target in the cache.
func (w *Cluster) revisionOf(id string) string {
	for _, t := range w.targets.cached() {
		if t.id() == id && t.HandledGen == t.Gen {
			return t.revision()
		}
	}
	return ""
}
