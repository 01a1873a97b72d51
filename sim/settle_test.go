package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// maxSettlePasses is the most reconciliations that a simulation without faults may need to settle.
const maxSettlePasses = 400

// settle ends the faults and the actions of people. Gates and health stay as they are. The Rollout has to reach the
// state that they imply, and then write nothing more.
func (w *Cluster) settle() {
	w.stopFaults()
	passes, moments := 0, 0
	for w.advanceToNextEvent() {
		if moments++; moments > 1_000_000 {
			w.mon.violate(10, "the simulation does not settle")
			return
		}
		if !w.controller.queued && w.controller.requeueAt != w.mono {
			continue
		}
		if passes++; passes > maxSettlePasses {
			w.mon.violate(10, "not settled after %d passes", passes)
			return
		}
		w.controller.reconcile()
		if w.mon.violation != "" {
			return
		}
	}
	w.mon.checkSettled()
	rv, handOvers := w.rollout.live().rv, w.Counts.HandOvers
	for range 2 {
		w.controller.queued = false
		if w.controller.reconcile() || w.rollout.live().rv != rv || w.Counts.HandOvers != handOvers || w.controller.queued {
			w.mon.violate(11, "it acts again although nothing has changed")
		}
		if w.controller.requeueAt >= 0 {
			w.mon.violate(10, "it requeues at %s", w.controller.requeueAt)
		}
	}
}

// stopFaults ends the faults.
func (w *Cluster) stopFaults() {
	r := &w.rng
	w.note("settle")
	w.stable, w.externalUnhealthy = true, false
	w.healthMode = pick(r, []healthMode{allHealthy, allHealthy, allUnhealthy, neverHealthy})
	if w.healthMode == allUnhealthy {
		w.externalUnhealthy = true
	}
	for _, t := range w.targets.live() {
		w.editTarget(t.id(), func(t *Target) { t.suspend(false); t.Problem = "" })
	}
	if len(w.targets.live()) == 0 {
		w.newTarget()
	}
	if !w.digestRng.oneIn(4) {
		w.reportDigest()
	}
	w.deployByTag()
	if !r.oneIn(3) {
		w.push(good)
	}
	w.setGates(r.oneIn(3))
	w.editUserObjects(func(p *userObjects) { *p = userObjects{} })
	for _, l := range w.stores() {
		l.catchUp(maxLag)
	}
	w.controller.queued = true
}

// deployByTag makes the targets take the tag alone if the newest deployment has no digest, as a person would.
func (w *Cluster) deployByTag() {
	h := w.rollout.live().status.History
	pin := w.rollout.live().spec.WantedVersion
	if pin == nil && (len(h) == 0 || h[0].Version.Digest != "" || w.willGetDigest(&h[0])) {
		return
	}
	for _, t := range w.targets.live() {
		w.editTarget(t.id(), func(t *Target) { t.Form = version.FormTag })
	}
}

// willGetDigest reports whether a deployment without a digest gets it from the policy before it is handed over.
func (w *Cluster) willGetDigest(e *v1alpha1.DeploymentHistoryEntry) bool {
	p := w.policy.live()
	return inFlight(e) && e.PausedTime == nil && !w.mon.isOnAnyTarget(e) && legal(p) && p.Problem == "" && p.Tag == e.Version.Tag && p.Digest != ""
}

// contentLost reports whether a target that reports its content would fetch other content for the tag of a deployment.
func (w *Cluster) contentLost(h *v1alpha1.DeploymentHistoryEntry) bool {
	return h.Version.Digest != "" && w.contents[h.Version.Digest] != w.content(h.Version.Tag) &&
		slices.ContainsFunc(w.targets.live(), func(t Target) bool { return verified(t) && !byDigest(t) })
}

// setGates opens or closes all gates.
func (w *Cluster) setGates(closed bool) {
	for i := range w.gates.live() {
		w.editGate(i, func(g *v1alpha1.RolloutGate) {
			open := !closed
			g.Spec.Passing, g.Spec.AllowedVersions, g.Spec.Approvals = &open, nil, nil
			w.answerGate(g)
		})
	}
	w.note("settle", "gates closed: %v, health: %s", closed, w.healthMode)
}

// advanceToNextEvent advances the time to the next event. It returns false if there is none.
func (w *Cluster) advanceToNextEvent() bool {
	if w.controller.queued {
		return true
	}
	if w.busy() {
		w.Advance(time.Second)
		if w.runAll() {
			w.controller.queued = true
		}
		if w.controller.requeueAt >= 0 && w.controller.requeueAt <= w.mono {
			w.controller.requeueAt = w.mono
		}
		return true
	}
	if w.controller.requeueAt < 0 {
		return false
	}
	w.Advance(max(0, w.controller.requeueAt-w.mono))
	w.controller.requeueAt = w.mono
	return true
}

// busy reports whether Flux, a check or a gate has something to do.
func (w *Cluster) busy() bool {
	if len(w.flux) > 0 {
		return true
	}
	for _, t := range w.targets.live() {
		if w.fluxHasWork(t) || w.mono-t.AppliedAt < 3*time.Second {
			return true
		}
	}
	for _, c := range w.checks.live() {
		state, revision := w.probeResult(c)
		if state != c.State || revision != c.Revision || c.Target == "" && (w.stale(c) || w.waitsForClock(c)) {
			return true
		}
	}
	return slices.ContainsFunc(w.gates.live(), w.lacksVerdicts)
}

// fluxHasWork reports whether Flux has a change to reconcile, or a failure that would succeed now.
func (w *Cluster) fluxHasWork(t Target) bool {
	return !t.settled() || !t.OK && w.healthMode != neverHealthy && t.Value != ""
}

// waitsForClock reports whether a check of another class waits because the clock was set back after the deployment.
func (w *Cluster) waitsForClock(c Check) bool {
	h := w.rollout.live().status.History
	return len(h) > 0 && c.State != v1alpha1.HealthPending && c.Since.Before(release.Cutoff(&h[0]))
}

// lacksVerdicts reports whether a gate of another class has no verdict for a known release.
func (w *Cluster) lacksVerdicts(g *v1alpha1.RolloutGate) bool {
	return g.Spec.Class != "" && len(g.Status.Verdicts) < len(w.rollout.live().status.AvailableReleases)
}

// runAll runs everything that is due for one second. It reports whether anything changed.
func (w *Cluster) runAll() bool {
	before := w.targets.count + w.checks.count + w.gates.count
	for _, t := range w.targets.live() {
		if w.flux[t.id()] != nil || w.fluxHasWork(t) {
			w.fluxStep(t.id())
		}
	}
	for i := range w.checks.live() {
		w.probe(i)
	}
	for i, g := range w.gates.live() {
		if w.lacksVerdicts(g) {
			w.editGate(i, w.answerGate)
		}
	}
	return w.targets.count+w.checks.count+w.gates.count != before
}

// checkSettled checks that the Rollout has settled in the state that the cluster implies.
func (m *monitor) checkSettled() {
	w := m.w
	ro := w.rollout.live()
	st := ro.status
	m.checkTargets(ro)
	switch {
	case ro.spec.Suspend:
		m.expectSettled(st.Phase == v1alpha1.PhaseSuspended, "it is suspended")
		return
	case invalid(ro.spec):
		m.expectSettled(len(st.BlockedBy) > 0 && st.BlockedBy[0].Reason == v1alpha1.ReasonInvalidSpec, "its spec is invalid")
		return
	}
	m.checkCleanup(ro)
	m.checkBlockers(ro)
	m.checkDigests(ro)
	if pin := ro.spec.WantedVersion; pin != nil {
		m.expectSettled(len(st.History) > 0 && st.History[0].Version.Tag == *pin, "it is pinned to %s", *pin)
	}
	if len(st.History) == 0 {
		m.checkCandidates(ro, nil)
		return
	}
	h := &st.History[0]
	if inFlight(h) {
		m.checkInFlight(ro, h)
		return
	}
	if ro.spec.WantedVersion == nil {
		m.checkCandidates(ro, h)
		m.checkMissedRollback(ro, h)
	}
}

// checkBlockers checks invariant 16: the status says why the selected version does not run.
func (m *monitor) checkBlockers(ro *Rollout) {
	p := m.w.policy.live()
	runs := ""
	for i := range ro.status.History {
		if e := &ro.status.History[i]; m.reachedFlux[number(e)] {
			runs = e.Version.Tag
			if e.Version.Digest != "" && p.Digest != "" && e.Version.Digest != p.Digest {
				runs += " of another digest"
			}
			break
		}
	}
	if ro.spec.WantedVersion != nil && (!legal(p) || p.Problem != "") {
		return // the pin decides which version runs
	}
	if (!legal(p) || p.Problem != "" || runs != p.Tag) && ro.status.BlockedBy == nil {
		m.violate(16, "it settles at %q, the policy selects %q, and no blocker says why", runs, p.Tag)
	}
}

// checkDigests checks invariant 20: a release has the digest that the policy reports, and so does a deployment before
// it is handed over.
func (m *monitor) checkDigests(ro *Rollout) {
	p := m.w.policy.live()
	if !legal(p) || p.Digest == "" {
		return
	}
	for _, v := range ro.status.AvailableReleases {
		if v.Tag == p.Tag && v.Digest == "" {
			m.violate(20, "the policy reports the digest of %s, and the release has none", v.Tag)
		}
	}
	if len(ro.status.History) > 0 {
		if h := &ro.status.History[0]; h.Version.Tag == p.Tag && h.Version.Digest == "" && m.w.willGetDigest(h) {
			m.violate(20, "the policy reports the digest of %s, and it is to be handed over without", p.Tag)
		}
	}
}

// checkMissedRollback checks that a failed release is rolled back if the spec says so and nothing prevents it.
func (m *monitor) checkMissedRollback(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	if !failed(h) || manual(h) || h.Cause == v1alpha1.CauseRollback || ro.spec.OnFailure != v1alpha1.OnFailureRollback ||
		!m.reachedFlux[number(h)] || !m.isOnAnyTarget(h) {
		return
	}
	for _, e := range ro.status.History {
		id := identity(e.Version)
		if *e.BakeStatus == string(v1alpha1.BakeSucceeded) && id != identity(h.Version) && !m.failed[id] {
			m.expectSettled(ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), e.Version) ||
				!m.w.userObjects.live().open(m.w.gates.live(), id) || m.hasRollbackFloor(ro), "%s could be rolled back to", id.Tag)
			return
		}
	}
}

// hasRollbackFloor reports whether the spec or an image sets a floor.
func (m *monitor) hasRollbackFloor(ro *Rollout) bool {
	return ro.spec.RollbackFloor != "" || slices.ContainsFunc(m.w.details.live(), func(d release.Details) bool { return d.RollbackFloor != "" })
}

// checkCleanup checks that one-time requests are used up, and that the status is complete and within its limits.
func (m *monitor) checkCleanup(ro *Rollout) {
	st := ro.status
	m.expectSettled(len(st.HandledAnnotations) == 0, "one-shot annotations are left")
	for _, key := range []string{v1alpha1.AnnotationForceDeploy, v1alpha1.AnnotationRetry} {
		_, left := ro.annotations[key]
		m.expectSettled(!left, "%s is still set", key)
	}
	if v, left := ro.annotations[v1alpha1.AnnotationLiftQuarantine]; left {
		m.expectSettled(!strings.Contains(v, " "), "the request to lift %q is still set", v)
	}
	if p := m.w.policy.live(); legal(p) {
		m.expectSettled(m.order[m.selectedRelease(p)] > 0, "%s was not discovered", p.Tag)
	}
	for _, v := range st.AvailableReleases {
		for _, d := range m.w.details.live() {
			m.expectSettled(d.Release != identity(v) || v.Revision != nil && *v.Revision == d.Revision, "the details of %s are known", v.Tag)
		}
	}
	limit := 10
	if l := ro.spec.VersionHistoryLimit; l != nil {
		limit = int(*l)
	}
	if n := len(st.History); n > limit {
		newer := slices.ContainsFunc(st.History[:n-1], func(e v1alpha1.DeploymentHistoryEntry) bool { return m.reachedFlux[number(&e)] })
		m.expectSettled(*st.History[n-1].BakeStatus == string(v1alpha1.BakeSucceeded) || !newer, "it keeps %d deployments instead of %d", n, limit)
	}
}

func (m *monitor) expectSettled(ok bool, format string, args ...any) {
	if !ok {
		st := m.w.rollout.live().status
		head := "nothing"
		if len(st.History) > 0 {
			h := &st.History[0]
			head = fmt.Sprintf("%s (%s, %s)", h.Version.Tag, h.Cause, *h.BakeStatus)
		}
		m.violate(10, "settles at %s %s, although %s", st.Phase, head, fmt.Sprintf(format, args...))
	}
}

// checkTargets checks invariant 9.
func (m *monitor) checkTargets(ro *Rollout) {
	if ro.spec.Suspend || invalid(ro.spec) || ro.status.CurrentVersion == "" {
		return
	}
	runs := m.runningVersion(ro)
	if h := &ro.status.History[0]; !m.isOnAnyTarget(h) && h.Version.Tag == runs.Tag && ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), h.Version) {
		return // it was never handed over, and will not be
	}
	for _, t := range m.w.targets.live() {
		if want := targetValue(t, runs); want != "" && t.Value != want {
			m.violate(9, "%s carries %q, and the Rollout says %s (%s)", t.id(), t.Value, ro.status.CurrentVersion, want)
		}
	}
}

// runningVersion returns the version that was handed over last according to the Rollout. A retry that was not handed over does not
// count, although its first attempt was: the target of that attempt was deleted.
func (m *monitor) runningVersion(ro *Rollout) v1alpha1.VersionInfo {
	for i := range ro.status.History {
		e := &ro.status.History[i]
		kept := i == 0 && inFlight(e) && e.InterruptedTime != nil && e.BakeStartTime == nil && !m.isOnAnyTarget(e)
		if e.Version.Tag == ro.status.CurrentVersion && m.reachedFlux[number(e)] && !kept {
			return e.Version
		}
	}
	return v1alpha1.VersionInfo{Tag: ro.status.CurrentVersion}
}

// targetValue returns the value that a target should have for a version; empty if it needs a digest that the version
// lacks.
func targetValue(t Target, v v1alpha1.VersionInfo) string {
	switch {
	case t.Form == "" || t.Form == "tag":
		return v.Tag
	case v.Digest == "":
		return ""
	case t.Form == "digest":
		return v.Digest
	}
	return v.Tag + "@" + v.Digest
}

func invalid(s *v1alpha1.RolloutSpec) bool {
	for _, d := range []*v1alpha1.Duration{s.BakeTime, s.DeployTimeout} {
		if d != nil && len(*d) > 3 {
			return true
		}
		if d != nil && *d == "-1s" {
			return true
		}
	}
	return s.WantedVersion != nil && !legalTag(*s.WantedVersion)
}

func legalTag(tag string) bool { return tag != "" && tag != "../evil" && tag != "no tag" }

func legal(p release.Policy) bool { return legalTag(p.Tag) && p.Digest != "md5:1" }

// checkInFlight checks that a deployment stays in flight only if something holds it that does not end by itself.
func (m *monitor) checkInFlight(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	w := m.w
	switch {
	case h.PausedTime != nil:
	case h.Version.Digest == "" && slices.ContainsFunc(w.targets.live(), byDigest): // not every target can take it
	case w.contentLost(h): // the registry serves other content
	case ambiguous(w.targets.live(), ro.status, w.policy.live(), h.Version) && !m.isOnAnyTarget(h):
	case !m.reachedFlux[number(h)] || !m.isOnAnyTarget(h): // its only target may have been deleted
		p := w.policy.live()
		lost := !legal(p) || p.Problem != "" || !mayBeSame(identity(h.Version), m.selectedRelease(p))
		held := !manual(h) && (lost || len(m.closedGates(w.gates.live(), w.userObjects.live(), h)) > 0 || m.hasUnhealthyChecks(ro))
		m.expectSettled(held, "no gate holds %s", h.Version.Tag)
	case ro.spec.DeployTimeout != nil:
		m.expectSettled(false, "deployTimeout should have ended that")
	case w.healthMode == allHealthy:
		m.expectSettled(m.hasUnhealthyChecks(ro), "everything is healthy")
	case w.healthMode == allUnhealthy:
		m.expectSettled(m.hasUnhealthyChecks(ro) && !m.causedFailure(ro, h), "its checks are unhealthy")
	}
}

// causedFailure reports whether a check is unhealthy because of a deployment that Flux has applied.
func (m *monitor) causedFailure(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, h)
	tried := !slices.ContainsFunc(m.w.targets.live(), func(t Target) bool { return t.Token != token || !t.settled() })
	return tried && !h.Recovery && slices.ContainsFunc(m.w.checks.live(), func(c Check) bool {
		return c.State == v1alpha1.HealthUnhealthy && !c.Since.Before(release.Cutoff(h)) && (c.Target == "" || m.w.revisionOf(c.Target) == c.Revision)
	})
}

// hasUnhealthyChecks reports whether a selected check is not healthy.
func (m *monitor) hasUnhealthyChecks(ro *Rollout) bool {
	return ro.spec.HealthCheckSelector != nil && (len(m.w.checks.live()) == 0 ||
		slices.ContainsFunc(m.w.checks.live(), func(c Check) bool { return c.State != v1alpha1.HealthHealthy }))
}

// checkCandidates checks that no release waits that could be deployed.
func (m *monitor) checkCandidates(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	if h == nil && ro.spec.HealthCheckSelector != nil && len(m.w.checks.live()) == 0 {
		return // no check would evaluate it
	}
	from := 0
	if h != nil {
		from = m.order[identity(h.Version)]
		if manual(h) {
			from = m.knownWhenDecided[number(h)]
		}
		if h.Cause == v1alpha1.CauseRollback {
			for _, e := range ro.status.History {
				if number(&e) == *h.RollbackOf {
					from = m.order[identity(e.Version)]
				}
			}
		}
		if h.Version.Digest == "" { // it may be any release of its tag
			from = max(from, m.newestOf(h.Version.Tag))
		}
		halted := failed(h) || h.Cause == v1alpha1.CauseRollback
		if halted && ro.spec.AfterFailure != v1alpha1.AfterFailureAllowNewer {
			return
		}
		if m.hasUnhealthyChecks(ro) {
			return
		}
	}
	waiting := false
	for _, v := range ro.status.AvailableReleases {
		id := identity(v)
		isolated := slices.ContainsFunc(ro.status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.ReleaseIdentity == id })
		m.obs.Policy = m.w.policy.live()
		if m.order[id] > from && !isolated && legal(m.obs.Policy) && m.obs.Policy.Problem == "" && !m.isNotSelected(ro, id) && !ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), v) {
			m.expectSettled(!m.w.userObjects.live().open(m.w.gates.live(), id), "%s could be deployed", id.Tag)
			waiting = true
		}
	}
	m.expectSettled(!waiting || len(ro.status.BlockedBy) > 0, "a release waits, and no blocker says for what")
}
