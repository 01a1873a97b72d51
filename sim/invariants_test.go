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

// monitor judges what has really happened. It keeps a ledger of its own and never asks the core.
type monitor struct {
	w *World
	// broken is the first invariant that did not hold, in words.
	broken string

	// Ledger of the releases, by tag and digest: in which order they became known, and which failed.
	order  map[v1alpha1.ReleaseIdentity]int
	last   int
	failed map[v1alpha1.ReleaseIdentity]bool
	good   map[v1alpha1.ReleaseIdentity]bool
	pushed map[v1alpha1.ReleaseIdentity]bool
	// handed holds the deployments that reached Flux, mark what was known when each was decided.
	handed map[int64]bool
	mark   map[int64]int
	// held holds the deployments whose version a person pinned, pinned is whether that was noticed of the pin that is set.
	held   map[int64]bool
	pinned bool
	// written is when a deployment was last written to Flux.
	written map[int64]time.Duration
	// asked holds what people asked for once, and whether that was used.
	asked map[string]*request
	// learned holds the releases that got their digest, by their tag alone.
	learned map[v1alpha1.ReleaseIdentity]v1alpha1.ReleaseIdentity
	// bound is what the tags of spec.allowedVersions stand for, by gate and tag.
	bound map[string]string

	// The pass that is running.
	obs                 release.Observation
	gatesPos, peoplePos int

	bake bakeLedger
	wait waitLedger
	// doubts are the versions of the checks of which not all are healthy.
	doubts []doubt
}

type request struct {
	value string
	used  bool
}

type doubt struct {
	position int
	at       time.Duration
	check    string
}

// bakeLedger is what the monitor knows of the bake that runs.
type bakeLedger struct {
	id        int64
	start     time.Time
	at        time.Duration
	position  int
	jumps     int
	restarted bool
	back      bool
}

// waitLedger is what the monitor knows of the wait for the bake to start or to go on.
type waitLedger struct {
	token    string
	baking   bool
	start    time.Time
	observed time.Duration // on the clock of what could be observed, since when this process could
}

func newMonitor(w *World) *monitor {
	return &monitor{
		w: w, order: map[v1alpha1.ReleaseIdentity]int{}, failed: map[v1alpha1.ReleaseIdentity]bool{},
		good: map[v1alpha1.ReleaseIdentity]bool{}, pushed: map[v1alpha1.ReleaseIdentity]bool{}, learned: map[v1alpha1.ReleaseIdentity]v1alpha1.ReleaseIdentity{},
		handed: map[int64]bool{}, held: map[int64]bool{}, mark: map[int64]int{}, written: map[int64]time.Duration{}, asked: map[string]*request{},
	}
}

func (m *monitor) breaks(invariant int, format string, args ...any) {
	if m.broken == "" {
		m.broken = fmt.Sprintf("invariant %d: ", invariant) + fmt.Sprintf(format, args...)
		m.w.note("BROKEN", "%s", m.broken)
	}
}

func (m *monitor) published(p release.Policy) {
	m.pushed[v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest}] = true
}

// annotated notes what a person asks for. Nothing can be unblocked before it has failed.
func (m *monitor) annotated(key, value string) {
	h := m.w.rollout.live().status.History
	void := key == v1alpha1.AnnotationUnblockFailed &&
		(len(h) == 0 || !failed(&h[0]) && h[0].PausedTime == nil && h[0].Cause != v1alpha1.CauseRollback)
	m.asked[key] = &request{value: value, used: void}
}

func (m *monitor) restarted() {
	m.bake.restarted = true
	m.wait.observed = m.w.observed
}
func (m *monitor) wentBack() { m.bake.back = true }

func (m *monitor) passBegins(obs release.Observation) {
	m.obs, m.gatesPos, m.peoplePos = obs, m.w.gates.count-1, m.w.people.count-1
}

func (m *monitor) gatesReread(obs release.Observation) { m.obs = obs }

func (m *monitor) checksChanged() {
	for _, c := range m.w.checks.live() {
		if c.State != v1alpha1.HealthHealthy {
			m.doubts = append(m.doubts, doubt{m.w.checks.count - 1, m.w.mono, c.Name})
			break
		}
	}
	if len(m.doubts) > 2000 {
		m.doubts = slices.Clone(m.doubts[1000:])
	}
}

// use says whether a person asked for something that was not used yet, and uses it.
func (m *monitor) use(key, value string) bool {
	a := m.asked[key]
	if a == nil || a.used || value != "" && a.value != value || m.w.rollout.live().annotations[key] != a.value {
		return false
	}
	a.used = true
	return true
}

func (m *monitor) statusWritten(old, now *Rollout) {
	m.identified(old, now)
	for _, v := range now.status.AvailableReleases {
		id := identity(v)
		if !slices.ContainsFunc(old.status.AvailableReleases, func(v v1alpha1.VersionInfo) bool { return alike(identity(v), id) }) {
			m.last++ // one that was forgotten and is found again is now
			delete(m.learned, id)
			m.order[id] = m.last
			m.w.Counts.Releases++
			m.w.note("discover", "%s", v.Tag)
			if !m.pushed[id] {
				m.breaks(12, "%v became a release, and no policy ever selected it", id)
			}
		}
	}
	m.tell(old.status, now.status)
	m.judgeLifts(old, now)
	m.judgeAgreement(now)
	m.judgeHistory(old.status.History, now.status.History)
	m.judgeLength(old, len(old.status.History), len(now.status.History))
	if len(now.status.History) == 0 || m.broken != "" {
		return
	}
	head := &now.status.History[0]
	var before *v1alpha1.DeploymentHistoryEntry
	if len(old.status.History) > 0 && number(&old.status.History[0]) == number(head) {
		before = &old.status.History[0]
	}
	if before == nil {
		m.judgeIntent(old, now)
	}
	m.judgeStep(old, before, head)
	m.followPin(old, head)
	m.followBake(head)
	m.followWait(head)
}

// identified: invariant 20. A release that gets its digest is the same one at the same place. Nothing has failed less than before.
func (m *monitor) identified(old, now *Rollout) {
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
				m.breaks(20, "%s got its digest, and another place among the releases", is.Tag)
			}
			if !m.pushed[id] {
				m.breaks(12, "%v is no digest that anybody pushed", id)
			}
			m.learned[identity(was)] = id
			m.order[id] = m.order[identity(was)]
			m.failed[id] = m.failed[identity(was)]
			m.w.note("identify", "%s", is.Tag)
		}
	}
}

// followPin notes what was known when a person pinned the newest deployment.
func (m *monitor) followPin(old *Rollout, head *v1alpha1.DeploymentHistoryEntry) {
	if old.spec.Suspend || invalid(old.spec) {
		return
	}
	pin := old.spec.WantedVersion
	on := pin != nil && *pin == head.Version.Tag
	if on && !m.pinned {
		m.held[number(head)], m.mark[number(head)] = true, m.last
	}
	m.pinned = on
}

// judgeLifts: a release leaves quarantine by Retry, by success, or because a person says so; then all of that tag do.
func (m *monitor) judgeLifts(before, after *Rollout) {
	asked := m.asked[v1alpha1.AnnotationLiftQuarantine]
	if asked == nil {
		return
	}
	tag, reason, _ := strings.Cut(asked.value, " ")
	isolated := func(ro *Rollout) bool {
		return slices.ContainsFunc(ro.status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.Tag == tag })
	}
	if reason == "" || !isolated(before) || isolated(after) || !m.use(v1alpha1.AnnotationLiftQuarantine, "") {
		return
	}
	maps.DeleteFunc(m.failed, func(id v1alpha1.ReleaseIdentity, _ bool) bool { return id.Tag == tag })
}

// judgeHistory: invariants 1, 7 and 8.
func (m *monitor) judgeHistory(old, now []v1alpha1.DeploymentHistoryEntry) {
	if len(old) > 0 && len(now) == 0 {
		m.breaks(7, "the history is gone")
	}
	for i := range now {
		if i > 0 && running(&now[i]) {
			m.breaks(1, "deployment %d is in flight behind a newer one", number(&now[i]))
		}
		if i > 0 && number(&now[i]) >= number(&now[i-1]) {
			m.breaks(7, "ids are %d after %d", number(&now[i]), number(&now[i-1]))
		}
	}
	if len(old) == 0 || len(now) == 0 {
		return
	}
	added := number(&now[0]) - number(&old[0])
	if added != 0 && added != 1 {
		m.breaks(7, "the newest id went from %d to %d", number(&old[0]), number(&now[0]))
		return
	}
	for i := range min(len(old), len(now)-int(added)) {
		m.judgeEntry(&old[i], &now[i+int(added)], i == 0)
	}
}

// judgeLength: only the limit shortens the history.
func (m *monitor) judgeLength(old *Rollout, before, after int) {
	limit := 10
	if l := old.spec.VersionHistoryLimit; l != nil {
		limit = int(*l)
	}
	if after < before && after < limit {
		m.breaks(7, "%d of %d deployments are left, although %d are to be kept", after, before, limit)
	}
}

func (m *monitor) judgeEntry(old, now *v1alpha1.DeploymentHistoryEntry, head bool) {
	switch {
	case number(old) == number(now) && old.Version.Tag == now.Version.Tag && old.Version.Digest == "" && now.Version.Digest != "":
		m.judgeIdentified(old, head)
	case number(old) != number(now) || identity(old.Version) != identity(now.Version) || old.Cause != now.Cause:
		m.breaks(7, "deployment %d of %s became %d of %s", number(old), old.Version.Tag, number(now), now.Version.Tag)
	case old.Version.Revision != nil && (now.Version.Revision == nil || *now.Version.Revision != *old.Version.Revision):
		m.breaks(7, "deployment %d lost its details", number(old))
	case *old.BakeStatus == *now.BakeStatus:
	case !head:
		m.breaks(8, "deployment %d, which is not the newest, went from %s to %s", number(old), *old.BakeStatus, *now.BakeStatus)
	case !running(old) && retried(old, now):
	case !running(old):
		m.breaks(8, "deployment %d went from %s to %s without a retry", number(old), *old.BakeStatus, *now.BakeStatus)
	case *old.BakeStatus == string(v1alpha1.BakeInProgress) && *now.BakeStatus == string(v1alpha1.BakeDeploying) && !retried(old, now):
		m.breaks(8, "deployment %d went back from baking to deploying", number(old))
	}
}

// forgive forgets that a release failed, also by its tag alone.
func (m *monitor) forgive(id v1alpha1.ReleaseIdentity) {
	maps.DeleteFunc(m.failed, func(other v1alpha1.ReleaseIdentity, _ bool) bool { return alike(other, id) })
}

// judgeIdentified: invariant 20. Only what is not handed over yet gets its digest.
func (m *monitor) judgeIdentified(e *v1alpha1.DeploymentHistoryEntry, head bool) {
	if !head || !running(e) || m.carriedBy(e) && !m.w.faults.Lag {
		m.breaks(20, "deployment %d of %s got a digest after it was handed over", number(e), e.Version.Tag)
	}
}

// judgeStep looks at what became of the newest deployment.
func (m *monitor) judgeStep(old *Rollout, before, head *v1alpha1.DeploymentHistoryEntry) {
	if before != nil && retried(before, head) {
		if !m.use(v1alpha1.AnnotationRetry, "") {
			m.breaks(8, "deployment %d was retried, and nobody asked for it", number(head))
		}
		m.forgive(identity(head.Version))
		m.w.note("retry", "%s", head.Version.Tag)
	}
	if before != nil && before.PausedTime == nil && head.PausedTime != nil {
		m.judgeFailed(old, before)
		m.w.note("paused", "%s: %s", head.Version.Tag, text(head.BakeStatusMessage))
	}
	if before != nil && *before.BakeStatus == *head.BakeStatus || before == nil && running(head) {
		return
	}
	switch v1alpha1.BakeStatus(*head.BakeStatus) {
	case v1alpha1.BakeSucceeded:
		m.w.Counts.Available++
		m.w.note("available", "%s", head.Version.Tag)
		m.judgeAvailable(old, head)
		m.forgive(identity(head.Version))
		m.good[identity(head.Version)] = true
	case v1alpha1.BakeFailed:
		m.w.Counts.Failed++
		m.w.note("failed", "%s: %s", head.Version.Tag, text(head.BakeStatusMessage))
		if before != nil && before.PausedTime != nil {
			if !m.use(v1alpha1.AnnotationUnblockFailed, "true") {
				m.breaks(8, "%s was paused and failed, and nobody asked for it", head.Version.Tag)
			}
		} else if before != nil {
			m.judgeFailed(old, before)
		}
		m.failed[identity(head.Version)] = true
	case v1alpha1.BakeInProgress:
		m.w.note("bake", "%s", head.Version.Tag)
	}
}

func (m *monitor) followBake(head *v1alpha1.DeploymentHistoryEntry) {
	if *head.BakeStatus != string(v1alpha1.BakeInProgress) || head.BakeStartTime == nil {
		return
	}
	if m.bake.id != number(head) || !m.bake.start.Equal(head.BakeStartTime.Time) {
		m.bake = bakeLedger{
			id: number(head), start: head.BakeStartTime.Time, at: m.w.mono, position: m.w.checks.position(), jumps: m.w.jumps,
		}
	}
}

// waits says whether a deployment waits for its bake to start or to go on, and since when by the record.
func waits(e *v1alpha1.DeploymentHistoryEntry) (baking bool, start time.Time, ok bool) {
	switch {
	case !running(e) || e.PausedTime != nil:
	case *e.BakeStatus == string(v1alpha1.BakeDeploying):
		return false, release.Cutoff(e), true
	case e.InterruptedTime != nil:
		return true, e.InterruptedTime.Time, true
	}
	return false, time.Time{}, false
}

func (m *monitor) followWait(head *v1alpha1.DeploymentHistoryEntry) {
	baking, start, ok := waits(head)
	if token := release.Token(rolloutUID, head); !ok || m.wait.token != token || m.wait.baking != baking || !m.wait.start.Equal(start) {
		m.wait = waitLedger{token: token, baking: baking, start: start, observed: m.w.observed}
	}
}

// handedOver judges a write to Flux: invariants 2, 5 and 6.
func (m *monitor) handedOver(pin release.Pin) {
	ro := m.w.rollout.live()
	if ro.spec.Suspend {
		m.breaks(5, "%s was handed to Flux while the Rollout is suspended", pin.Version.Tag)
	}
	history := ro.status.History
	for i := range history {
		e := &history[i]
		if release.Token(rolloutUID, e) != pin.Token {
			if m.handed[number(e)] && !m.w.faults.Lag && m.carriedBy(e) {
				m.breaks(7, "%s was handed to Flux, although %s was handed after it", pin.Version.Tag, e.Version.Tag)
			}
			continue
		}
		if e.Version.Tag != pin.Version.Tag {
			m.breaks(7, "%s was handed to Flux for the deployment of %s", pin.Version.Tag, e.Version.Tag)
		}
		if !m.handed[number(e)] {
			m.judgeHandOver(ro, e)
		}
		m.handed[number(e)] = true
		m.written[number(e)] = m.w.mono
		return
	}
	m.breaks(7, "%s was handed to Flux, and no deployment of it is on record", pin.Version.Tag)
}

func (m *monitor) judgeHandOver(ro *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	m.judgeIdentity(e)
	if e.Cause == v1alpha1.CauseAutomatic {
		p := m.obs.Policy
		if !legal(p) || p.Problem != "" || m.beyond(identity(e.Version), m.means(p)) {
			m.breaks(16, "%s was handed to Flux, and the policy selects %q", e.Version.Tag, p.Tag)
		}
	}
	if chosen(e) {
		return
	}
	if !running(e) {
		m.breaks(6, "%s was handed to Flux for the first time when it was %s", e.Version.Tag, *e.BakeStatus)
	}
	if m.failed[identity(e.Version)] {
		m.breaks(6, "%s has failed before, and was handed to Flux", e.Version.Tag)
	}
	for _, gates := range m.w.gates.since(m.gatesPos) {
		for _, said := range m.w.people.since(m.peoplePos) {
			if len(m.shut(gates, said, e)) == 0 {
				return
			}
		}
	}
	m.breaks(2, "%s was handed to Flux through %v", e.Version.Tag, m.shut(m.w.gates.live(), m.w.people.live(), e))
}

// shut lists the gates that hold a deployment.
func (m *monitor) shut(gates []*v1alpha1.RolloutGate, said people, e *v1alpha1.DeploymentHistoryEntry) []string {
	var shut []string
	for _, g := range gates {
		past := slices.Contains(e.BypassedGates, g.Name) || slices.Contains(e.BypassedGates, "*")
		if slices.ContainsFunc(e.Overrides, func(o v1alpha1.UsedOverride) bool { return slices.Contains(o.Bypass, v1alpha1.BypassGates) }) {
			past = past && said.overridden(identity(e.Version), v1alpha1.BypassGates, m.obs.Now)
		}
		if !past && !said.opens(g, identity(e.Version)) {
			shut = append(shut, g.Name)
		}
	}
	return shut
}

// carriedBy says whether any target was asked for a deployment.
func (m *monitor) carriedBy(e *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, e)
	return slices.ContainsFunc(m.w.targets.live(), func(t Target) bool { return t.Token == token })
}
