package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
)

func number(e *v1alpha1.DeploymentHistoryEntry) int64 {
	if e.ID == nil {
		return 0
	}
	return *e.ID
}

func identity(v v1alpha1.VersionInfo) v1alpha1.ReleaseIdentity {
	return v1alpha1.ReleaseIdentity{Tag: v.Tag, Digest: v.Digest}
}

func inFlight(e *v1alpha1.DeploymentHistoryEntry) bool {
	return *e.BakeStatus == string(v1alpha1.BakeDeploying) || *e.BakeStatus == string(v1alpha1.BakeInProgress)
}

func failed(e *v1alpha1.DeploymentHistoryEntry) bool {
	return *e.BakeStatus == string(v1alpha1.BakeFailed)
}

// manual reports whether a person chose the version.
func manual(e *v1alpha1.DeploymentHistoryEntry) bool {
	return e.PinnedTime != nil || e.Cause == v1alpha1.CausePin || e.Cause == v1alpha1.CauseForceDeploy
}

func retried(old, now *v1alpha1.DeploymentHistoryEntry) bool {
	return now.LastRetryTimestamp != nil && (old.LastRetryTimestamp == nil || !old.LastRetryTimestamp.Equal(now.LastRetryTimestamp))
}

// opens reports whether a gate is open for a release, according to its fields.
func (p userObjects) opens(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
	if g.Spec.Passing != nil && !*g.Spec.Passing {
		return false
	}
	if g.Spec.Approvals == nil && g.Spec.AllowedVersions != nil && !listed(g, id) {
		return false
	}
	if g.Spec.Class == "" {
		return listed(g, id) || g.Spec.Approvals == nil && g.Spec.Passing != nil || p.approved(g, id)
	}
	return g.Generation == g.Status.ObservedGeneration && slices.ContainsFunc(g.Status.Verdicts, func(v v1alpha1.GateVerdict) bool {
		return v.Release == id.Tag && v.Digest == id.Digest && v.State == "open"
	})
}

// open reports whether every gate is open for a release.
func (p userObjects) open(gates []*v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
	return !slices.ContainsFunc(gates, func(g *v1alpha1.RolloutGate) bool { return !p.opens(g, id) })
}

// checkIntent checks a new deployment against the one before it.
func (m *monitor) checkIntent(old, now *Rollout) {
	e := &now.status.History[0]
	m.w.Counts.Deployments++
	m.w.note("intent", "%s (%s)", e.Version.Tag, e.Cause)
	m.knownWhenDecided[number(e)] = m.last
	if old.spec.Suspend {
		m.violate(5, "%s was decided while the Rollout is suspended", e.Version.Tag)
	}
	if pin := old.spec.WantedVersion; pin != nil && (e.Cause != v1alpha1.CausePin || *pin != e.Version.Tag) {
		m.violate(5, "%s (%s) was decided while %s is pinned", e.Version.Tag, e.Cause, *pin)
	}
	var last *v1alpha1.DeploymentHistoryEntry
	if len(old.status.History) > 0 {
		last = &old.status.History[0]
	}
	switch e.Cause {
	case v1alpha1.CausePin:
		if old.spec.WantedVersion == nil {
			m.violate(5, "%s was deployed as pinned, and nothing is", e.Version.Tag)
		}
	case v1alpha1.CauseForceDeploy:
		if !m.useRequest(v1alpha1.AnnotationForceDeploy, e.Version.Tag) {
			m.violate(5, "%s was deployed by force, and nobody requested it", e.Version.Tag)
		}
	case v1alpha1.CauseRollback:
		m.checkRollback(old, e, last)
	default:
		m.checkAutomatic(old, e, last)
	}
	m.useRequests(old)
}

// useRequests marks the requests for the next deployment as used, because they must not apply to a later one.
func (m *monitor) useRequests(old *Rollout) {
	for _, key := range []string{v1alpha1.AnnotationForceDeploy, v1alpha1.AnnotationBypassGates, v1alpha1.AnnotationUnblockFailed} {
		if a := m.requests[key]; a != nil && old.annotations[key] == a.value {
			a.used = true
		}
	}
}

func (m *monitor) checkRollback(old *Rollout, e, last *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	switch {
	case last == nil || !failed(last):
		m.violate(8, "%s was rolled back to, and nothing had failed", id.Tag)
	case manual(last):
		m.violate(5, "%s was rolled back to, although a person chose %s", id.Tag, last.Version.Tag)
	case last.Cause == v1alpha1.CauseRollback:
		m.violate(8, "%s was rolled back to after another rollback", id.Tag)
	case old.spec.OnFailure != v1alpha1.OnFailureRollback:
		m.violate(8, "%s was rolled back to, and the spec says %s", id.Tag, old.spec.OnFailure)
	case m.failed[id]:
		m.violate(6, "%s was rolled back to, and has failed before", id.Tag)
	case !m.available[id]:
		m.violate(8, "%s was rolled back to, and was never Available", id.Tag)
	case m.belowFloor(old, id, last):
		m.violate(8, "%s was rolled back to, and is below the floor", id.Tag)
	}
	m.checkGates(old, e)
}

// belowFloor reports whether a version is older than the floor of the spec or of the failed release.
func (m *monitor) belowFloor(old *Rollout, id v1alpha1.ReleaseIdentity, last *v1alpha1.DeploymentHistoryEntry) bool {
	floors := []string{old.spec.RollbackFloor}
	for _, d := range m.w.details.cached() {
		if d.Release == identity(last.Version) {
			floors = append(floors, d.RollbackFloor)
		}
	}
	for _, floor := range floors {
		for known, at := range m.order {
			if floor != "" && known.Tag == floor && id.Tag != floor && at > m.order[id] && m.newestOf(floor) == at {
				return true
			}
		}
	}
	return false
}

func (m *monitor) newestOf(tag string) int {
	newest := 0
	for id, at := range m.order {
		if id.Tag == tag {
			newest = max(newest, at)
		}
	}
	return newest
}

func (m *monitor) checkAutomatic(old *Rollout, e, last *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	if m.failed[id] {
		m.violate(6, "%s was deployed, and has failed before", id.Tag)
	}
	if m.order[id] == 0 {
		m.violate(5, "%s was deployed, and is not a known release", id.Tag)
	}
	m.checkGates(old, e)
	m.checkSelected(old, id)
	if last == nil {
		if m.obs.Now.Before(m.w.settled) && old.spec.InitialDeployment != v1alpha1.InitialDeploymentSkipGates {
			m.violate(2, "%s was deployed before the new Rollout had settled", id.Tag)
		}
		return
	}
	switch {
	case inFlight(last) && m.isOnCachedTarget(last):
		m.violate(1, "%s was decided while %s is in flight", id.Tag, last.Version.Tag)
	case inFlight(last) && last.PausedTime != nil:
		m.violate(4, "%s was decided while %s waits for a person", id.Tag, last.Version.Tag)
	case m.order[id] <= m.order[identity(last.Version)] && !m.mayReturn(old, id):
		m.violate(5, "%s was deployed, and is not newer than %s", id.Tag, last.Version.Tag)
	case (manual(last) || m.pinnedDeployments[number(last)]) && m.order[id] <= m.knownWhenDecided[number(last)]:
		m.violate(5, "%s was deployed, and was known when a person chose %s", id.Tag, last.Version.Tag)
	case failed(last) && old.spec.AfterFailure != v1alpha1.AfterFailureAllowNewer && !observedUserObjects(m.obs).overridden(id, v1alpha1.BypassHealth, m.obs.Now) &&
		!m.useRequest(v1alpha1.AnnotationUnblockFailed, "true"):
		m.violate(6, "%s was deployed, although %s failed and nobody unblocked it", id.Tag, last.Version.Tag)
	}
	m.checkHealth(id, last)
}

// checkSelected checks invariant 16: a release that the policy does not select any more is not deployed, and neither is
// one lower than the running version, unless the spec follows the policy.
func (m *monitor) checkSelected(ro *Rollout, id v1alpha1.ReleaseIdentity) {
	p := m.obs.Policy
	selected := m.selectedRelease(p)
	runs := m.visibleTag(ro)
	switch {
	case !p.Found || !legal(p) || p.Problem != "":
		m.violate(16, "%s was deployed, and the policy selects nothing", id.Tag)
	case id == selected && ro.spec.OnDowngrade == v1alpha1.OnDowngradeFollow:
	case m.newerThanSelected(id, selected):
		m.violate(16, "%s was deployed, and the policy selects %s", id.Tag, p.Tag)
	case isHigher(runs, id.Tag):
		m.violate(16, "%s was deployed, and is lower than %s", id.Tag, runs)
	}
}

// selectedRelease returns the release that the policy selects. Without a digest, it is the newest of its tag.
func (m *monitor) selectedRelease(p release.Policy) v1alpha1.ReleaseIdentity {
	id := v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest}
	for known, at := range m.order {
		if p.Digest == "" && known.Tag == p.Tag && at >= m.order[id] {
			id = known
		}
	}
	return m.withLearnedDigest(id)
}

// withLearnedDigest returns the release with the digest that it got later, if it did.
func (m *monitor) withLearnedDigest(id v1alpha1.ReleaseIdentity) v1alpha1.ReleaseIdentity {
	if identifiedAs, ok := m.identifiedAs[id]; ok {
		return identifiedAs
	}
	return id
}

// mayReturn reports whether a release that is older than the newest deployment may be deployed: the policy selects it,
// and it is higher than the running version, or the spec follows the policy.
func (m *monitor) mayReturn(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	p, runs := m.obs.Policy, m.visibleTag(ro)
	return id == m.selectedRelease(p) &&
		(runs == "" || isHigher(id.Tag, runs) || ro.spec.OnDowngrade == v1alpha1.OnDowngradeFollow)
}

// isHigher reports whether a tag is higher than another. Tags that are no versions are not.
func isHigher(a, b string) bool {
	var x, y [3]int
	if n, _ := fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]); n != 3 {
		return false
	}
	if n, _ := fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2]); n != 3 {
		return false
	}
	return slices.Compare(x[:], y[:]) > 0
}

// checkGates checks that every gate that is not open is bypassed, and that no other candidate comes first.
func (m *monitor) checkGates(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	first := len(old.status.History) == 0
	if closedGates := m.closedGates(m.obs.Gates, observedUserObjects(m.obs), e); len(closedGates) > 0 {
		m.violate(2, "%s was decided against %v", id.Tag, closedGates)
	}
	bypassed := len(e.BypassedGates) > 0
	skipped := first && old.spec.InitialDeployment == v1alpha1.InitialDeploymentSkipGates
	overridden := observedUserObjects(m.obs).overridden(id, v1alpha1.BypassGates, m.obs.Now) && len(e.Overrides) > 0
	if bypassed && !skipped && !overridden && !m.useRequest(v1alpha1.AnnotationBypassGates, id.Tag) {
		m.violate(2, "%s was let past %v, and nobody requested it", id.Tag, e.BypassedGates)
	}
	bypass := m.requests[v1alpha1.AnnotationBypassGates]
	if e.Cause == v1alpha1.CauseRollback || bypass != nil && bypass.value == id.Tag || m.isOverridden(id) {
		return
	}
	m.checkChoice(old, id, skipped)
}

// isOverridden reports whether an Override exists for a release, which is then deployed before others.
func (m *monitor) isOverridden(id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc([]v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassHealth, v1alpha1.BypassSchedules}, func(b v1alpha1.Bypass) bool {
		return observedUserObjects(m.obs).overridden(id, b, m.obs.Now)
	})
}

// checkChoice checks that the newest candidate is deployed, or the oldest, as spec.selection says.
func (m *monitor) checkChoice(old *Rollout, id v1alpha1.ReleaseIdentity, skipped bool) {
	every := old.spec.Selection == v1alpha1.SelectEvery
	from := 0
	if h := old.status.History; len(h) > 0 {
		from = max(m.order[identity(h[0].Version)], m.knownWhenDecided[number(&h[0])])
		if h[0].Cause == v1alpha1.CauseAutomatic && !m.pinnedDeployments[number(&h[0])] {
			from = m.order[identity(h[0].Version)]
		}
		if h[0].Version.Digest == "" { // it may be any release of its tag
			from = max(from, m.newestOf(h[0].Version.Tag))
		}
	}
	for _, v := range old.status.AvailableReleases {
		other := m.withLearnedDigest(identity(v)) // the same write may have added its digest
		v.Digest = other.Digest
		at := m.order[other]
		switch {
		case m.isNotSelected(old, other), mayBeRunning(old, other), ambiguous(m.w.targets.cached(), old.status, m.obs.Policy, v):
		case at <= from || m.failed[other] || m.failed[v1alpha1.ReleaseIdentity{Tag: other.Tag}] || other.Tag == id.Tag:
		case every && isDeclined(m.obs, other):
		case every && at < m.order[id]:
			m.violate(5, "%s was deployed before %s", id.Tag, other.Tag)
		case !every && at > m.order[id] && (skipped || observedUserObjects(m.obs).open(m.obs.Gates, other)):
			m.violate(5, "%s was deployed although %s is newer", id.Tag, other.Tag)
		}
	}
}

// isNotSelected reports whether a release is not selected any more, or is lower than the running version.
func (m *monitor) isNotSelected(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	p := m.obs.Policy
	selected := m.selectedRelease(p)
	return m.newerThanSelected(id, selected) || isHigher(m.visibleTag(ro), id.Tag)
}

// visibleTag returns the running tag as the reconciliation could observe it. A version whose only target was deleted
// does not run.
func (m *monitor) visibleTag(ro *Rollout) string {
	h := ro.status.History
	if len(h) > 0 && h[0].Version.Tag == ro.status.CurrentVersion && *h[0].BakeStatus == string(v1alpha1.BakeDeploying) && !m.isOnCachedTarget(&h[0]) {
		return ""
	}
	return ro.status.CurrentVersion
}

// newerThanSelected reports whether a release is higher than the selected one, or was discovered after it.
func (m *monitor) newerThanSelected(id, selected v1alpha1.ReleaseIdentity) bool {
	at := m.order[selected]
	return id != selected && (at > 0 && m.order[id] > at || isHigher(id.Tag, selected.Tag))
}

// isDeclined reports whether a gate lists other versions only, or a person has rejected the release.
func isDeclined(o release.Observation, id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc(o.Approvals, func(a gate.Approval) bool { return a.Release == id && a.Decision == v1alpha1.Reject }) ||
		slices.ContainsFunc(o.Gates, func(g *v1alpha1.RolloutGate) bool {
			return g.Spec.Approvals == nil && g.Spec.AllowedVersions != nil && !slices.Contains(*g.Spec.AllowedVersions, id.Tag)
		})
}

// mayBeRunning reports whether the running deployment may be of a release because one of them has no digest.
func mayBeRunning(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	h := ro.status.History
	return len(h) > 0 && (h[0].Version.Digest == "" || id.Digest == "") && mayBeSame(identity(h[0].Version), id)
}

// mayBeSame reports whether two identities may be of one release because one of them has no digest.
func mayBeSame(a, b v1alpha1.ReleaseIdentity) bool {
	return a.Tag == b.Tag && (a.Digest == b.Digest || a.Digest == "" || b.Digest == "")
}

// checkHealth checks that nothing is deployed automatically while a check is unhealthy, unless the failed release is
// the cause.
func (m *monitor) checkHealth(id v1alpha1.ReleaseIdentity, last *v1alpha1.DeploymentHistoryEntry) {
	runs := slices.ContainsFunc(m.w.targets.cached(), func(t Target) bool { return t.Token != "" })
	if m.obs.Spec.HealthCheckSelector == nil || !runs || observedUserObjects(m.obs).overridden(id, v1alpha1.BypassHealth, m.obs.Now) {
		return
	}
	for _, c := range m.w.checks.cached() {
		if c.State == v1alpha1.HealthUnhealthy && (!failed(last) || c.Target == "") {
			m.violate(3, "%s was decided while %s is unhealthy", id.Tag, c.Name)
		}
	}
	if len(m.w.checks.cached()) == 0 {
		m.violate(3, "%s was decided although no check is selected", id.Tag)
	}
}

// isOnCachedTarget reports whether the reconciliation could observe that a deployment had reached Flux.
func (m *monitor) isOnCachedTarget(e *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, e)
	return slices.ContainsFunc(m.w.targets.cached(), func(t Target) bool { return t.Token == token })
}

// checkAvailable checks invariants 3 and 13.
func (m *monitor) checkAvailable(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	token, targets := release.Token(rolloutUID, e), m.w.targets.cached()
	if len(targets) == 0 {
		m.violate(3, "%s is Available, and nothing carries it", e.Version.Tag)
	}
	for _, t := range targets {
		if t.Suspended || t.ReadyGen != t.Gen || t.AppliedToken != token {
			m.violate(13, "%s is Available, and Flux has only observed generation %d of %s", e.Version.Tag, t.Gen, t.id())
		}
		if t.Problem != "" || t.Token != token || !t.settled() || !t.OK || !strings.HasPrefix(t.Applied+"+", e.Version.Tag+"+") {
			m.violate(3, "%s is Available, and %s has not applied it", e.Version.Tag, t.id())
		}
	}
	m.checkContent(e, targets)
	m.checkBakeTime(old, e)
	if old.spec.HealthCheckSelector == nil {
		return
	}
	if len(m.w.checks.cached()) == 0 {
		m.violate(3, "%s is Available without a check", e.Version.Tag)
	}
	for _, c := range m.w.checks.cached() {
		m.checkEvidence(e, c)
	}
	if m.bake.id != number(e) || e.BakeStartTime == nil || !m.bake.start.Equal(e.BakeStartTime.Time) {
		return
	}
	for _, d := range m.unhealthyVersions {
		if d.position > m.bake.position && d.position <= m.w.checks.position() && d.at >= m.bake.at+time.Second && !m.bake.clockSetBack {
			m.violate(4, "%s is Available, and %s was not healthy in the middle of its bake", e.Version.Tag, d.check)
		}
	}
}

// ambiguous reports whether the registry may serve other content for a release, or Flux may see no change.
func ambiguous(targets []Target, st *v1alpha1.RolloutStatus, p release.Policy, v v1alpha1.VersionInfo) bool {
	served, exact := "", len(targets) > 0
	for _, k := range st.AvailableReleases {
		if k.Tag == v.Tag {
			served = k.Digest
		}
	}
	if legal(p) && p.Tag == v.Tag {
		served = p.Digest
	}
	for _, t := range targets {
		if exact = exact && byDigest(t); byDigest(t) && v.Digest == "" {
			return true
		}
	}
	deployed := slices.ContainsFunc(st.History, func(e v1alpha1.DeploymentHistoryEntry) bool {
		return e.Version.Tag == v.Tag && e.Version.Digest != v.Digest
	})
	return !exact && (deployed || served != "" && v.Digest != "" && served != v.Digest)
}

// checkContent checks invariant 15: an Available release is the digest that was decided. If only the tag is handed
// over, this can be checked only while the tag stands for that digest and nobody else has written it.
func (m *monitor) checkContent(e *v1alpha1.DeploymentHistoryEntry, targets []Target) {
	want, known := m.w.contents[e.Version.Digest]
	if !known {
		return
	}
	for _, t := range targets {
		exact := byDigest(t) || verified(t)
		if t.Applied != want && (exact || !t.ByHand && m.w.content(e.Version.Tag) == want) {
			m.violate(15, "%s is Available as %s, and %s has applied %s", e.Version.Tag, want, t.id(), t.Applied)
		}
	}
}

func byDigest(t Target) bool { return t.Form == "digest" || t.Form == "tag@digest" }

// checkIdentity checks invariant 15: no release is handed over by its tag once the tag is known to stand for another
// digest.
func (m *monitor) checkIdentity(e *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	served := ""
	for _, v := range m.obs.Status.AvailableReleases {
		if v.Tag == id.Tag {
			served = v.Digest
		}
	}
	if p := m.obs.Policy; legal(p) && p.Tag == id.Tag && p.Digest != "" {
		served = p.Digest
	}
	if id.Digest == "" || served == "" || served == id.Digest {
		return
	}
	for _, t := range m.w.targets.cached() {
		if !byDigest(t) && t.Problem == "" {
			m.violate(15, "%s was handed to Flux by its tag, which is %s now", m.w.contents[id.Digest], m.w.contents[served])
		}
	}
}

func (m *monitor) checkBakeTime(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	if old.spec.BakeTime == nil {
		return
	}
	want, err := time.ParseDuration(string(*old.spec.BakeTime))
	if err != nil || want == 0 {
		return
	}
	if m.bake.id != number(e) || e.BakeStartTime == nil || !m.bake.start.Equal(e.BakeStartTime.Time) {
		m.violate(3, "%s is Available without a bake", e.Version.Tag)
		return
	}
	if m.written[number(e)] > m.bake.at {
		m.violate(3, "%s is Available, and was written to Flux again in the middle of its bake", e.Version.Tag)
	}
	unseen := m.bake.processRestarted && m.bake.jumps != m.w.jumps // no process could notice that jump
	if baked := m.w.mono - m.bake.at; baked < want && !unseen {
		m.violate(3, "%s is Available after a bake of %s instead of %s", e.Version.Tag, baked, want)
	}
}

func (m *monitor) checkEvidence(e *v1alpha1.DeploymentHistoryEntry, c Check) {
	if c.State != v1alpha1.HealthHealthy {
		m.violate(3, "%s is Available, and %s is %s", e.Version.Tag, c.Name, c.State)
	}
	if c.Target == "" {
		if c.Since.Before(release.Cutoff(e)) {
			m.violate(3, "%s is Available, and %s was healthy before", e.Version.Tag, c.Name)
		}
		return
	}
	if !strings.Contains(c.Revision+"+", "/"+e.Version.Tag+"+") {
		m.violate(3, "%s is Available, and %s reports %s", e.Version.Tag, c.Name, c.Revision)
	}
}

// checkFailed checks that a deployment fails for a reason. e is the deployment before it failed.
func (m *monitor) checkFailed(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	timedOut := m.timedOut(old)
	baking := *e.BakeStatus == string(v1alpha1.BakeInProgress) && e.BakeStartTime != nil
	token := release.Token(rolloutUID, e)
	tried := !slices.ContainsFunc(m.w.targets.cached(), func(t Target) bool { return t.Token != token || !t.settled() })
	for _, c := range m.w.checks.cached() {
		unhealthy := c.State == v1alpha1.HealthUnhealthy
		switch {
		case old.spec.HealthCheckSelector == nil:
		case baking && (unhealthy || !c.LastError.Before(e.BakeStartTime.Time)):
			return
		case !baking && c.Target != "" && unhealthy && tried:
			return
		case !baking && c.Target == "" && !c.LastError.Before(release.Cutoff(e)):
			return
		}
	}
	switch {
	case m.notSetUp():
		m.violate(17, "%s failed, and a target is missing, suspended or overridden", e.Version.Tag)
	case !timedOut:
		m.violate(8, "%s failed, and nothing was wrong with it", e.Version.Tag)
	case old.spec.HealthCheckSelector == nil && m.applied(token, e.Version):
		m.violate(17, "%s failed for its time, and Flux had applied it everywhere", e.Version.Tag)
	}
}

// notSetUp reports whether Flux cannot apply anything until a person corrects a target.
func (m *monitor) notSetUp() bool {
	list := m.w.targets.live()
	return len(list) == 0 || slices.ContainsFunc(list, func(t Target) bool { return t.Problem != "" || t.Suspended })
}

// applied reports whether Flux has applied a deployment on every target. The content of a moved tag may be another
// release.
func (m *monitor) applied(token string, v v1alpha1.VersionInfo) bool {
	list := m.w.targets.live()
	return len(list) > 0 && !slices.ContainsFunc(list, func(t Target) bool {
		return t.Token != token || t.Value != targetValue(t, v) || t.Applied != v.Tag || !t.settled() || !t.OK || t.Problem != ""
	})
}

// timedOut reports whether spec.deployTimeout has passed, in observed time.
func (m *monitor) timedOut(old *Rollout) bool {
	if old.spec.DeployTimeout == nil {
		return false
	}
	timeout, err := time.ParseDuration(string(*old.spec.DeployTimeout))
	return err == nil && m.w.observed-m.wait.observed >= timeout-2*time.Second // stored times have whole seconds
}
