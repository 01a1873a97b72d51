package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
)

// monitor checks the invariants after every write. It keeps its own ledger and never asks the core.
type monitor struct {
	w *Cluster
	// violation describes the first invariant that did not hold.
	violation string

	// The releases by tag and digest: in which order they were discovered, which failed, and which were Available.
	order     map[v1alpha1.ReleaseIdentity]int
	last      int
	failed    map[v1alpha1.ReleaseIdentity]bool
	available map[v1alpha1.ReleaseIdentity]bool
	pushed    map[v1alpha1.ReleaseIdentity]bool
	// reachedFlux are the deployments that were handed over. knownWhenDecided is the newest release when each was
	// decided.
	reachedFlux      map[int64]bool
	knownWhenDecided map[int64]int
	// pinnedDeployments are the deployments whose version a person pinned. pinned is set once the current pin was counted.
	pinnedDeployments map[int64]bool
	pinned            bool
	// written is when each deployment was last handed to Flux.
	written map[int64]time.Duration
	// requests are the one-time requests of people, by annotation.
	requests map[string]*request
	// identifiedAs maps releases without a digest to the same releases with theirs.
	identifiedAs map[v1alpha1.ReleaseIdentity]v1alpha1.ReleaseIdentity
	// boundDigests are the digests of the tags of spec.allowedVersions, by gate and tag.
	boundDigests map[string]string

	// The current reconciliation.
	obs                      release.Observation
	gatesPos, userObjectsPos int

	bake bakeLedger
	wait waitLedger
	// unhealthyVersions are the versions of the list of checks in which one is not healthy.
	unhealthyVersions []unhealthyVersion
}

type request struct {
	value string
	used  bool
}

type unhealthyVersion struct {
	position int
	at       time.Duration
	check    string
}

// bakeLedger describes the current bake.
type bakeLedger struct {
	id               int64
	start            time.Time
	at               time.Duration
	position         int
	jumps            int
	processRestarted bool
	clockSetBack     bool
}

// waitLedger describes the current wait for a bake to start or to continue.
type waitLedger struct {
	token    string
	baking   bool
	start    time.Time
	observed time.Duration // observed time at the start, or when this process started
}

func newMonitor(w *Cluster) *monitor {
	return &monitor{
		w: w, order: map[v1alpha1.ReleaseIdentity]int{}, failed: map[v1alpha1.ReleaseIdentity]bool{},
		available: map[v1alpha1.ReleaseIdentity]bool{}, pushed: map[v1alpha1.ReleaseIdentity]bool{}, identifiedAs: map[v1alpha1.ReleaseIdentity]v1alpha1.ReleaseIdentity{},
		reachedFlux: map[int64]bool{}, pinnedDeployments: map[int64]bool{}, knownWhenDecided: map[int64]int{}, written: map[int64]time.Duration{}, requests: map[string]*request{},
	}
}

func (m *monitor) violate(invariant int, format string, args ...any) {
	if m.violation == "" {
		m.violation = fmt.Sprintf("invariant %d: ", invariant) + fmt.Sprintf(format, args...)
		m.w.note("BROKEN", "%s", m.violation)
	}
}

func (m *monitor) onPolicy(p release.Policy) {
	m.pushed[v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest}] = true
}

// onAnnotated notes a request. Nothing can be unblocked before it has failed.
func (m *monitor) onAnnotated(key, value string) {
	h := m.w.rollout.live().status.History
	void := key == v1alpha1.AnnotationUnblockFailed &&
		(len(h) == 0 || !failed(&h[0]) && h[0].PausedTime == nil && h[0].Cause != v1alpha1.CauseRollback)
	m.requests[key] = &request{value: value, used: void}
}

func (m *monitor) onRestart() {
	m.bake.processRestarted = true
	m.wait.observed = m.w.observed
}
func (m *monitor) wentBack() { m.bake.clockSetBack = true }

func (m *monitor) onReconcile(obs release.Observation) {
	m.obs, m.gatesPos, m.userObjectsPos = obs, m.w.gates.count-1, m.w.userObjects.count-1
}

func (m *monitor) onGatesReread(obs release.Observation) { m.obs = obs }

func (m *monitor) onChecksChanged() {
	for _, c := range m.w.checks.live() {
		if c.State != v1alpha1.HealthHealthy {
			m.unhealthyVersions = append(m.unhealthyVersions, unhealthyVersion{m.w.checks.count - 1, m.w.mono, c.Name})
			break
		}
	}
	if len(m.unhealthyVersions) > 2000 {
		m.unhealthyVersions = slices.Clone(m.unhealthyVersions[1000:])
	}
}

// useRequest reports whether there is an unused request, and marks it as used.
func (m *monitor) useRequest(key, value string) bool {
	a := m.requests[key]
	if a == nil || a.used || value != "" && a.value != value || m.w.rollout.live().annotations[key] != a.value {
		return false
	}
	a.used = true
	return true
}

func (m *monitor) onStatusWritten(old, now *Rollout) {
	m.checkLearnedDigests(old, now)
	for _, v := range now.status.AvailableReleases {
		id := identity(v)
		if !slices.ContainsFunc(old.status.AvailableReleases, func(v v1alpha1.VersionInfo) bool { return mayBeSame(identity(v), id) }) {
			m.last++ // a release that was trimmed and discovered again counts as new
			delete(m.identifiedAs, id)
			m.order[id] = m.last
			m.w.Counts.Releases++
			m.w.note("discover", "%s", v.Tag)
			if !m.pushed[id] {
				m.violate(12, "%v became a release, and no policy ever selected it", id)
			}
		}
	}
	m.traceStatus(old.status, now.status)
	m.checkLifts(old, now)
	m.checkAgreement(now)
	m.checkHistory(old.status.History, now.status.History)
	m.checkHistoryLength(old, len(old.status.History), len(now.status.History))
	if len(now.status.History) == 0 || m.violation != "" {
		return
	}
	head := &now.status.History[0]
	var before *v1alpha1.DeploymentHistoryEntry
	if len(old.status.History) > 0 && number(&old.status.History[0]) == number(head) {
		before = &old.status.History[0]
	}
	if before == nil {
		m.checkIntent(old, now)
	}
	m.checkStep(old, before, head)
	m.trackPin(old, head)
	m.trackBake(head)
	m.trackWait(head)
}

// checkLearnedDigests checks invariant 20: a release that gets its digest keeps its place and its failures.
func (m *monitor) checkLearnedDigests(old, now *Rollout) {
	for at, was := range old.status.AvailableReleases {
		if was.Digest != "" {
			continue
		}
		for i, is := range now.status.AvailableReleases {
			id := identity(is)
			if is.Tag != was.Tag || is.Digest == "" || m.order[id] > 0 {
				continue
			}
			if gone := len(old.status.AvailableReleases) - at; len(now.status.AvailableReleases)-i > gone+1 || len(now.status.AvailableReleases)-i < gone {
				m.violate(20, "%s got its digest, and another place among the releases", is.Tag)
			}
			if !m.pushed[id] {
				m.violate(12, "%v is no digest that anybody pushed", id)
			}
			m.identifiedAs[identity(was)] = id
			m.order[id] = m.order[identity(was)]
			m.failed[id] = m.failed[identity(was)]
			m.w.note("identify", "%s", is.Tag)
		}
	}
}

// trackPin notes the newest release when a person pinned the newest deployment.
func (m *monitor) trackPin(old *Rollout, head *v1alpha1.DeploymentHistoryEntry) {
	if old.spec.Suspend || invalid(old.spec) {
		return
	}
	pin := old.spec.WantedVersion
	on := pin != nil && *pin == head.Version.Tag
	if on && !m.pinned {
		m.pinnedDeployments[number(head)], m.knownWhenDecided[number(head)] = true, m.last
	}
	m.pinned = on
}

// checkLifts checks that a release leaves quarantine after a retry, a success or a request, and then with all of its
// tag.
func (m *monitor) checkLifts(before, after *Rollout) {
	lift := m.requests[v1alpha1.AnnotationLiftQuarantine]
	if lift == nil {
		return
	}
	tag, reason, _ := strings.Cut(lift.value, " ")
	isolated := func(ro *Rollout) bool {
		return slices.ContainsFunc(ro.status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.Tag == tag })
	}
	if reason == "" || !isolated(before) || isolated(after) || !m.useRequest(v1alpha1.AnnotationLiftQuarantine, "") {
		return
	}
	maps.DeleteFunc(m.failed, func(id v1alpha1.ReleaseIdentity, _ bool) bool { return id.Tag == tag })
}

// checkHistory checks invariants 1, 7 and 8.
func (m *monitor) checkHistory(old, now []v1alpha1.DeploymentHistoryEntry) {
	if len(old) > 0 && len(now) == 0 {
		m.violate(7, "the history is gone")
	}
	for i := range now {
		if i > 0 && inFlight(&now[i]) {
			m.violate(1, "deployment %d is in flight behind a newer one", number(&now[i]))
		}
		if i > 0 && number(&now[i]) >= number(&now[i-1]) {
			m.violate(7, "ids are %d after %d", number(&now[i]), number(&now[i-1]))
		}
	}
	if len(old) == 0 || len(now) == 0 {
		return
	}
	added := number(&now[0]) - number(&old[0])
	if added != 0 && added != 1 {
		m.violate(7, "the newest id went from %d to %d", number(&old[0]), number(&now[0]))
		return
	}
	for i := range min(len(old), len(now)-int(added)) {
		m.checkEntry(&old[i], &now[i+int(added)], i == 0)
	}
}

// checkHistoryLength checks that only the limit shortens the history.
func (m *monitor) checkHistoryLength(old *Rollout, before, after int) {
	limit := 10
	if l := old.spec.VersionHistoryLimit; l != nil {
		limit = int(*l)
	}
	if after < before && after < limit {
		m.violate(7, "%d of %d deployments are left, although %d are to be kept", after, before, limit)
	}
}

func (m *monitor) checkEntry(old, now *v1alpha1.DeploymentHistoryEntry, head bool) {
	switch {
	case number(old) == number(now) && old.Version.Tag == now.Version.Tag && old.Version.Digest == "" && now.Version.Digest != "":
		m.checkIdentified(old, head)
	case number(old) != number(now) || identity(old.Version) != identity(now.Version) || old.Cause != now.Cause:
		m.violate(7, "deployment %d of %s became %d of %s", number(old), old.Version.Tag, number(now), now.Version.Tag)
	case old.Version.Revision != nil && (now.Version.Revision == nil || *now.Version.Revision != *old.Version.Revision):
		m.violate(7, "deployment %d lost its details", number(old))
	case *old.BakeStatus == *now.BakeStatus:
	case !head:
		m.violate(8, "deployment %d, which is not the newest, went from %s to %s", number(old), *old.BakeStatus, *now.BakeStatus)
	case !inFlight(old) && retried(old, now):
	case !inFlight(old):
		m.violate(8, "deployment %d went from %s to %s without a retry", number(old), *old.BakeStatus, *now.BakeStatus)
	case *old.BakeStatus == string(v1alpha1.BakeInProgress) && *now.BakeStatus == string(v1alpha1.BakeDeploying) && !retried(old, now):
		m.violate(8, "deployment %d went back from baking to deploying", number(old))
	}
}

// clearFailure removes a release from the failed ones, also without its digest.
func (m *monitor) clearFailure(id v1alpha1.ReleaseIdentity) {
	maps.DeleteFunc(m.failed, func(other v1alpha1.ReleaseIdentity, _ bool) bool { return mayBeSame(other, id) })
}

// checkIdentified checks invariant 20: a deployment gets its digest only before it is handed over.
func (m *monitor) checkIdentified(e *v1alpha1.DeploymentHistoryEntry, head bool) {
	if !head || !inFlight(e) || m.isOnAnyTarget(e) && !m.w.faults.Lag {
		m.violate(20, "deployment %d of %s got a digest after it was handed over", number(e), e.Version.Tag)
	}
}

// checkStep checks how the newest deployment changed.
func (m *monitor) checkStep(old *Rollout, before, head *v1alpha1.DeploymentHistoryEntry) {
	if before != nil && retried(before, head) {
		if !m.useRequest(v1alpha1.AnnotationRetry, "") {
			m.violate(8, "deployment %d was retried, and nobody requested it", number(head))
		}
		m.clearFailure(identity(head.Version))
		m.w.note("retry", "%s", head.Version.Tag)
	}
	if before != nil && before.PausedTime == nil && head.PausedTime != nil {
		m.checkFailed(old, before)
		m.w.note("paused", "%s: %s", head.Version.Tag, text(head.BakeStatusMessage))
	}
	if before != nil && *before.BakeStatus == *head.BakeStatus || before == nil && inFlight(head) {
		return
	}
	switch v1alpha1.BakeStatus(*head.BakeStatus) {
	case v1alpha1.BakeSucceeded:
		m.w.Counts.Available++
		m.w.note("available", "%s", head.Version.Tag)
		m.checkAvailable(old, head)
		m.clearFailure(identity(head.Version))
		m.available[identity(head.Version)] = true
	case v1alpha1.BakeFailed:
		m.w.Counts.Failed++
		m.w.note("failed", "%s: %s", head.Version.Tag, text(head.BakeStatusMessage))
		if before != nil && before.PausedTime != nil {
			if !m.useRequest(v1alpha1.AnnotationUnblockFailed, "true") {
				m.violate(8, "%s was paused and failed, and nobody requested it", head.Version.Tag)
			}
		} else if before != nil {
			m.checkFailed(old, before)
		}
		m.failed[identity(head.Version)] = true
	case v1alpha1.BakeInProgress:
		m.w.note("bake", "%s", head.Version.Tag)
	}
}

func (m *monitor) trackBake(head *v1alpha1.DeploymentHistoryEntry) {
	if *head.BakeStatus != string(v1alpha1.BakeInProgress) || head.BakeStartTime == nil {
		return
	}
	if m.bake.id != number(head) || !m.bake.start.Equal(head.BakeStartTime.Time) {
		m.bake = bakeLedger{
			id: number(head), start: head.BakeStartTime.Time, at: m.w.mono, position: m.w.checks.position(), jumps: m.w.jumps,
		}
	}
}

// waits reports whether a deployment waits for its bake to start or to continue, and returns since when.
func waits(e *v1alpha1.DeploymentHistoryEntry) (baking bool, start time.Time, ok bool) {
	switch {
	case !inFlight(e) || e.PausedTime != nil:
	case *e.BakeStatus == string(v1alpha1.BakeDeploying):
		return false, release.Cutoff(e), true
	case e.InterruptedTime != nil:
		return true, e.InterruptedTime.Time, true
	}
	return false, time.Time{}, false
}

func (m *monitor) trackWait(head *v1alpha1.DeploymentHistoryEntry) {
	baking, start, ok := waits(head)
	if token := release.Token(rolloutUID, head); !ok || m.wait.token != token || m.wait.baking != baking || !m.wait.start.Equal(start) {
		m.wait = waitLedger{token: token, baking: baking, start: start, observed: m.w.observed}
	}
}

// onHandOver checks invariants 2, 5 and 6 for a write to Flux.
func (m *monitor) onHandOver(pin release.Pin) {
	ro := m.w.rollout.live()
	if ro.spec.Suspend {
		m.violate(5, "%s was handed to Flux while the Rollout is suspended", pin.Version.Tag)
	}
	history := ro.status.History
	for i := range history {
		e := &history[i]
		if release.Token(rolloutUID, e) != pin.Token {
			if m.reachedFlux[number(e)] && !m.w.faults.Lag && m.isOnAnyTarget(e) {
				m.violate(7, "%s was handed to Flux, although %s was handed after it", pin.Version.Tag, e.Version.Tag)
			}
			continue
		}
		if e.Version.Tag != pin.Version.Tag {
			m.violate(7, "%s was handed to Flux for the deployment of %s", pin.Version.Tag, e.Version.Tag)
		}
		if !m.reachedFlux[number(e)] {
			m.checkFirstHandOver(ro, e)
		}
		m.reachedFlux[number(e)] = true
		m.written[number(e)] = m.w.mono
		return
	}
	m.violate(7, "%s was handed to Flux, and no deployment of it is on record", pin.Version.Tag)
}

func (m *monitor) checkFirstHandOver(ro *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	m.checkIdentity(e)
	if e.Cause == v1alpha1.CauseAutomatic {
		p := m.obs.Policy
		if !legal(p) || p.Problem != "" || m.newerThanSelected(identity(e.Version), m.selectedRelease(p)) {
			m.violate(16, "%s was handed to Flux, and the policy selects %q", e.Version.Tag, p.Tag)
		}
	}
	if manual(e) {
		return
	}
	if !inFlight(e) {
		m.violate(6, "%s was handed to Flux for the first time when it was %s", e.Version.Tag, *e.BakeStatus)
	}
	if m.failed[identity(e.Version)] {
		m.violate(6, "%s has failed before, and was handed to Flux", e.Version.Tag)
	}
	for _, gates := range m.w.gates.since(m.gatesPos) {
		for _, users := range m.w.userObjects.since(m.userObjectsPos) {
			if len(m.closedGates(gates, users, e)) == 0 {
				return
			}
		}
	}
	m.violate(2, "%s was handed to Flux through %v", e.Version.Tag, m.closedGates(m.w.gates.live(), m.w.userObjects.live(), e))
}

// closedGates returns the gates that hold a deployment.
func (m *monitor) closedGates(gates []*v1alpha1.RolloutGate, users userObjects, e *v1alpha1.DeploymentHistoryEntry) []string {
	var closedGates []string
	for _, g := range gates {
		past := slices.Contains(e.BypassedGates, g.Name) || slices.Contains(e.BypassedGates, "*")
		if slices.ContainsFunc(e.Overrides, func(o v1alpha1.UsedOverride) bool { return slices.Contains(o.Bypass, v1alpha1.BypassGates) }) {
			past = past && users.overridden(identity(e.Version), v1alpha1.BypassGates, m.obs.Now)
		}
		if !past && !users.opens(g, identity(e.Version)) {
			closedGates = append(closedGates, g.Name)
		}
	}
	return closedGates
}

// isOnAnyTarget reports whether any target has the token of a deployment.
func (m *monitor) isOnAnyTarget(e *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, e)
	return slices.ContainsFunc(m.w.targets.live(), func(t Target) bool { return t.Token == token })
}
