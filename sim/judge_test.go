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

func running(e *v1alpha1.DeploymentHistoryEntry) bool {
	return *e.BakeStatus == string(v1alpha1.BakeDeploying) || *e.BakeStatus == string(v1alpha1.BakeInProgress)
}

func failed(e *v1alpha1.DeploymentHistoryEntry) bool {
	return *e.BakeStatus == string(v1alpha1.BakeFailed)
}

// chosen says whether a person chose the version.
func chosen(e *v1alpha1.DeploymentHistoryEntry) bool {
	return e.PinnedTime != nil || e.Cause == v1alpha1.CausePin || e.Cause == v1alpha1.CauseForceDeploy
}

func retried(old, now *v1alpha1.DeploymentHistoryEntry) bool {
	return now.LastRetryTimestamp != nil && (old.LastRetryTimestamp == nil || !old.LastRetryTimestamp.Equal(now.LastRetryTimestamp))
}

// opens says whether a gate lets a release pass, by the words of its fields.
func (p people) opens(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
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

// open says whether every gate lets a release pass.
func (p people) open(gates []*v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) bool {
	return !slices.ContainsFunc(gates, func(g *v1alpha1.RolloutGate) bool { return !p.opens(g, id) })
}

// judgeIntent looks at a deployment that was just decided, and at what it comes after.
func (m *monitor) judgeIntent(old, now *Rollout) {
	e := &now.status.History[0]
	m.w.Counts.Deployments++
	m.w.note("intent", "%s (%s)", e.Version.Tag, e.Cause)
	m.mark[number(e)] = m.last
	if old.spec.Suspend {
		m.breaks(5, "%s was decided while the Rollout is suspended", e.Version.Tag)
	}
	if pin := old.spec.WantedVersion; pin != nil && (e.Cause != v1alpha1.CausePin || *pin != e.Version.Tag) {
		m.breaks(5, "%s (%s) was decided while %s is pinned", e.Version.Tag, e.Cause, *pin)
	}
	var last *v1alpha1.DeploymentHistoryEntry
	if len(old.status.History) > 0 {
		last = &old.status.History[0]
	}
	switch e.Cause {
	case v1alpha1.CausePin:
		if old.spec.WantedVersion == nil {
			m.breaks(5, "%s was deployed as pinned, and nothing is", e.Version.Tag)
		}
	case v1alpha1.CauseForceDeploy:
		if !m.use(v1alpha1.AnnotationForceDeploy, e.Version.Tag) {
			m.breaks(5, "%s was deployed by force, and nobody asked for it", e.Version.Tag)
		}
	case v1alpha1.CauseRollback:
		m.judgeRollback(old, e, last)
	default:
		m.judgeAutomatic(old, e, last)
	}
	m.spend(old)
}

// spend uses up what speaks of the next deployment: it must not speak of a later one.
func (m *monitor) spend(old *Rollout) {
	for _, key := range []string{v1alpha1.AnnotationForceDeploy, v1alpha1.AnnotationBypassGates, v1alpha1.AnnotationUnblockFailed} {
		if a := m.asked[key]; a != nil && old.annotations[key] == a.value {
			a.used = true
		}
	}
}

func (m *monitor) judgeRollback(old *Rollout, e, last *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	switch {
	case last == nil || !failed(last):
		m.breaks(8, "%s was rolled back to, and nothing had failed", id.Tag)
	case chosen(last):
		m.breaks(5, "%s was rolled back to, although a person chose %s", id.Tag, last.Version.Tag)
	case last.Cause == v1alpha1.CauseRollback:
		m.breaks(8, "%s was rolled back to after another rollback", id.Tag)
	case old.spec.OnFailure != v1alpha1.OnFailureRollback:
		m.breaks(8, "%s was rolled back to, and the spec says %s", id.Tag, old.spec.OnFailure)
	case m.failed[id]:
		m.breaks(6, "%s was rolled back to, and has failed before", id.Tag)
	case !m.good[id]:
		m.breaks(8, "%s was rolled back to, and was never Available", id.Tag)
	case m.belowFloor(old, id, last):
		m.breaks(8, "%s was rolled back to, and is below the floor", id.Tag)
	}
	m.judgeGates(old, e)
}

// belowFloor says whether a version is older than the floor of the spec or of what failed.
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

func (m *monitor) judgeAutomatic(old *Rollout, e, last *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	if m.failed[id] {
		m.breaks(6, "%s was deployed, and has failed before", id.Tag)
	}
	if m.order[id] == 0 {
		m.breaks(5, "%s was deployed, and is not a known release", id.Tag)
	}
	m.judgeGates(old, e)
	m.judgeSelected(old, id)
	if last == nil {
		if m.obs.Now.Before(m.w.settled) && old.spec.InitialDeployment != v1alpha1.InitialDeploymentSkipGates {
			m.breaks(2, "%s was deployed before the new Rollout had settled", id.Tag)
		}
		return
	}
	switch {
	case running(last) && m.seenAtFlux(last):
		m.breaks(1, "%s was decided while %s is in flight", id.Tag, last.Version.Tag)
	case running(last) && last.PausedTime != nil:
		m.breaks(4, "%s was decided while %s waits for a person", id.Tag, last.Version.Tag)
	case m.order[id] <= m.order[identity(last.Version)] && !m.returns(old, id):
		m.breaks(5, "%s was deployed, and is not newer than %s", id.Tag, last.Version.Tag)
	case (chosen(last) || m.held[number(last)]) && m.order[id] <= m.mark[number(last)]:
		m.breaks(5, "%s was deployed, and was known when a person chose %s", id.Tag, last.Version.Tag)
	case failed(last) && old.spec.AfterFailure != v1alpha1.AfterFailureAllowNewer && !heard(m.obs).overridden(id, v1alpha1.BypassHealth, m.obs.Now) &&
		!m.use(v1alpha1.AnnotationUnblockFailed, "true"):
		m.breaks(6, "%s was deployed, although %s failed and nobody unblocked it", id.Tag, last.Version.Tag)
	}
	m.judgeEnvironment(id, last)
}

// judgeSelected: invariant 16. What the policy does not select any more does not go out, and nothing lower than what runs does, unless the
// spec says that the policy is followed.
func (m *monitor) judgeSelected(ro *Rollout, id v1alpha1.ReleaseIdentity) {
	p := m.obs.Policy
	selected := m.means(p)
	runs := m.visible(ro)
	switch {
	case !p.Found || !legal(p) || p.Problem != "":
		m.breaks(16, "%s was deployed, and the policy selects nothing", id.Tag)
	case id == selected && ro.spec.OnDowngrade == v1alpha1.OnDowngradeFollow:
	case m.beyond(id, selected):
		m.breaks(16, "%s was deployed, and the policy selects %s", id.Tag, p.Tag)
	case above(runs, id.Tag):
		m.breaks(16, "%s was deployed, and is lower than %s", id.Tag, runs)
	}
}

// means is the release that the policy selects: one without a digest is the newest of its tag.
func (m *monitor) means(p release.Policy) v1alpha1.ReleaseIdentity {
	id := v1alpha1.ReleaseIdentity{Tag: p.Tag, Digest: p.Digest}
	for known, at := range m.order {
		if p.Digest == "" && known.Tag == p.Tag && at >= m.order[id] {
			id = known
		}
	}
	return m.named(id)
}

// named is a release with the digest that it got.
func (m *monitor) named(id v1alpha1.ReleaseIdentity) v1alpha1.ReleaseIdentity {
	if learned, ok := m.learned[id]; ok {
		return learned
	}
	return id
}

// returns reports whether a release that was known before what was deployed last may be deployed: the policy selects it, and it is
// higher than what runs, or what the policy selects is followed.
func (m *monitor) returns(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	p, runs := m.obs.Policy, m.visible(ro)
	return id == m.means(p) &&
		(runs == "" || above(id.Tag, runs) || ro.spec.OnDowngrade == v1alpha1.OnDowngradeFollow)
}

// above reports whether a tag is higher than another; one that is no version is neither.
func above(a, b string) bool {
	var x, y [3]int
	if n, _ := fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2]); n != 3 {
		return false
	}
	if n, _ := fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2]); n != 3 {
		return false
	}
	return slices.Compare(x[:], y[:]) > 0
}

// judgeGates: every gate that is not open is covered, and no other candidate should have come first.
func (m *monitor) judgeGates(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	id := identity(e.Version)
	first := len(old.status.History) == 0
	if shut := m.shut(m.obs.Gates, heard(m.obs), e); len(shut) > 0 {
		m.breaks(2, "%s was decided against %v", id.Tag, shut)
	}
	bypassed := len(e.BypassedGates) > 0
	skipped := first && old.spec.InitialDeployment == v1alpha1.InitialDeploymentSkipGates
	overridden := heard(m.obs).overridden(id, v1alpha1.BypassGates, m.obs.Now) && len(e.Overrides) > 0
	if bypassed && !skipped && !overridden && !m.use(v1alpha1.AnnotationBypassGates, id.Tag) {
		m.breaks(2, "%s was let past %v, and nobody asked for it", id.Tag, e.BypassedGates)
	}
	asked := m.asked[v1alpha1.AnnotationBypassGates]
	if e.Cause == v1alpha1.CauseRollback || asked != nil && asked.value == id.Tag || m.spokenFor(id) {
		return
	}
	m.judgeChoice(old, id, skipped)
}

// spokenFor says whether somebody overrides anything for a release: it then goes before others.
func (m *monitor) spokenFor(id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc([]v1alpha1.Bypass{v1alpha1.BypassGates, v1alpha1.BypassHealth, v1alpha1.BypassSchedules}, func(b v1alpha1.Bypass) bool {
		return heard(m.obs).overridden(id, b, m.obs.Now)
	})
}

// judgeChoice: the newest that is admitted, or the oldest.
func (m *monitor) judgeChoice(old *Rollout, id v1alpha1.ReleaseIdentity, skipped bool) {
	every := old.spec.Selection == v1alpha1.SelectEvery
	from := 0
	if h := old.status.History; len(h) > 0 {
		from = max(m.order[identity(h[0].Version)], m.mark[number(&h[0])])
		if h[0].Cause == v1alpha1.CauseAutomatic && !m.held[number(&h[0])] {
			from = m.order[identity(h[0].Version)]
		}
		if h[0].Version.Digest == "" { // it may be any of its tag
			from = max(from, m.newestOf(h[0].Version.Tag))
		}
	}
	for _, v := range old.status.AvailableReleases {
		other := m.named(identity(v)) // it may have got its digest by the same write
		v.Digest = other.Digest
		at := m.order[other]
		switch {
		case m.passedOver(old, other), deployedUnknown(old, other), ambiguous(m.w.targets.cached(), old.status, m.obs.Policy, v):
		case at <= from || m.failed[other] || m.failed[v1alpha1.ReleaseIdentity{Tag: other.Tag}] || other.Tag == id.Tag:
		case every && turnedDown(m.obs, other):
		case every && at < m.order[id]:
			m.breaks(5, "%s was deployed before %s", id.Tag, other.Tag)
		case !every && at > m.order[id] && (skipped || heard(m.obs).open(m.obs.Gates, other)):
			m.breaks(5, "%s was deployed although %s is newer", id.Tag, other.Tag)
		}
	}
}

// passedOver reports whether a release is not selected any more, or is lower than what runs.
func (m *monitor) passedOver(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	p := m.obs.Policy
	selected := m.means(p)
	return m.beyond(id, selected) || above(m.visible(ro), id.Tag)
}

// visible is the tag that runs, as far as the pass could see: what was handed only to a target that is gone since does not.
func (m *monitor) visible(ro *Rollout) string {
	h := ro.status.History
	if len(h) > 0 && h[0].Version.Tag == ro.status.CurrentVersion && *h[0].BakeStatus == string(v1alpha1.BakeDeploying) && !m.seenAtFlux(&h[0]) {
		return ""
	}
	return ro.status.CurrentVersion
}

// beyond reports whether a release was discovered after the one that is selected, or is higher.
func (m *monitor) beyond(id, selected v1alpha1.ReleaseIdentity) bool {
	at := m.order[selected]
	return id != selected && (at > 0 && m.order[id] > at || above(id.Tag, selected.Tag))
}

// turnedDown reports whether a gate lists other versions than a release, or somebody has rejected it.
func turnedDown(o release.Observation, id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc(o.Approvals, func(a gate.Approval) bool { return a.Release == id && a.Decision == v1alpha1.Reject }) ||
		slices.ContainsFunc(o.Gates, func(g *v1alpha1.RolloutGate) bool {
			return g.Spec.Approvals == nil && g.Spec.AllowedVersions != nil && !slices.Contains(*g.Spec.AllowedVersions, id.Tag)
		})
}

// deployedUnknown says whether what runs was deployed by its tag, or is known by its tag, so that it may be a release.
func deployedUnknown(ro *Rollout, id v1alpha1.ReleaseIdentity) bool {
	h := ro.status.History
	return len(h) > 0 && (h[0].Version.Digest == "" || id.Digest == "") && alike(identity(h[0].Version), id)
}

// alike reports whether two identities may be of one release: one of them has no digest.
func alike(a, b v1alpha1.ReleaseIdentity) bool {
	return a.Tag == b.Tag && (a.Digest == b.Digest || a.Digest == "" || b.Digest == "")
}

// judgeEnvironment: nothing is deployed automatically while a check is unhealthy, unless what failed is to blame.
func (m *monitor) judgeEnvironment(id v1alpha1.ReleaseIdentity, last *v1alpha1.DeploymentHistoryEntry) {
	runs := slices.ContainsFunc(m.w.targets.cached(), func(t Target) bool { return t.Token != "" })
	if m.obs.Spec.HealthCheckSelector == nil || !runs || heard(m.obs).overridden(id, v1alpha1.BypassHealth, m.obs.Now) {
		return
	}
	for _, c := range m.w.checks.cached() {
		if c.State == v1alpha1.HealthUnhealthy && (!failed(last) || c.Target == "") {
			m.breaks(3, "%s was decided while %s is unhealthy", id.Tag, c.Name)
		}
	}
	if len(m.w.checks.cached()) == 0 {
		m.breaks(3, "%s was decided although no check is selected", id.Tag)
	}
}

// seenAtFlux says whether the pass could see that a deployment had reached Flux.
func (m *monitor) seenAtFlux(e *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, e)
	return slices.ContainsFunc(m.w.targets.cached(), func(t Target) bool { return t.Token == token })
}

// judgeAvailable: invariants 3 and 13.
func (m *monitor) judgeAvailable(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	token, targets := release.Token(rolloutUID, e), m.w.targets.cached()
	if len(targets) == 0 {
		m.breaks(3, "%s is Available, and nothing carries it", e.Version.Tag)
	}
	for _, t := range targets {
		if t.Suspended || t.ReadyGen != t.Gen || t.AppliedToken != token {
			m.breaks(13, "%s is Available, and Flux has only observed generation %d of %s", e.Version.Tag, t.Gen, t.id())
		}
		if t.Problem != "" || t.Token != token || !t.settled() || !t.OK || !strings.HasPrefix(t.Applied+"+", e.Version.Tag+"+") {
			m.breaks(3, "%s is Available, and %s has not applied it", e.Version.Tag, t.id())
		}
	}
	m.judgeContent(e, targets)
	m.judgeBakeTime(old, e)
	if old.spec.HealthCheckSelector == nil {
		return
	}
	if len(m.w.checks.cached()) == 0 {
		m.breaks(3, "%s is Available without a check", e.Version.Tag)
	}
	for _, c := range m.w.checks.cached() {
		m.judgeEvidence(e, c)
	}
	if m.bake.id != number(e) || e.BakeStartTime == nil || !m.bake.start.Equal(e.BakeStartTime.Time) {
		return
	}
	for _, d := range m.doubts {
		if d.position > m.bake.position && d.position <= m.w.checks.position() && d.at >= m.bake.at+time.Second && !m.bake.back {
			m.breaks(4, "%s is Available, and %s was not healthy in the middle of its bake", e.Version.Tag, d.check)
		}
	}
}

// ambiguous reports whether what would be handed over for a release may be something else, or nothing new.
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

// judgeContent: invariant 15. What is called Available is the digest that was decided. Where the tag alone is handed over, that can be
// said only if the tag still stands for it, and if nobody else has handed it over before.
func (m *monitor) judgeContent(e *v1alpha1.DeploymentHistoryEntry, targets []Target) {
	want, known := m.w.contents[e.Version.Digest]
	if !known {
		return
	}
	for _, t := range targets {
		exact := byDigest(t) || verified(t)
		if t.Applied != want && (exact || !t.ByHand && m.w.content(e.Version.Tag) == want) {
			m.breaks(15, "%s is Available as %s, and %s has applied %s", e.Version.Tag, want, t.id(), t.Applied)
		}
	}
}

func byDigest(t Target) bool { return t.Form == "digest" || t.Form == "tag@digest" }

// judgeIdentity: invariant 15. No release is handed over by its tag once the tag is known to stand for another digest.
func (m *monitor) judgeIdentity(e *v1alpha1.DeploymentHistoryEntry) {
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
			m.breaks(15, "%s was handed to Flux by its tag, which is %s now", m.w.contents[id.Digest], m.w.contents[served])
		}
	}
}

func (m *monitor) judgeBakeTime(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	if old.spec.BakeTime == nil {
		return
	}
	want, err := time.ParseDuration(string(*old.spec.BakeTime))
	if err != nil || want == 0 {
		return
	}
	if m.bake.id != number(e) || e.BakeStartTime == nil || !m.bake.start.Equal(e.BakeStartTime.Time) {
		m.breaks(3, "%s is Available, and never baked", e.Version.Tag)
		return
	}
	if m.written[number(e)] > m.bake.at {
		m.breaks(3, "%s is Available, and was written to Flux again in the middle of its bake", e.Version.Tag)
	}
	unseen := m.bake.restarted && m.bake.jumps != m.w.jumps // nobody could have seen that jump
	if baked := m.w.mono - m.bake.at; baked < want && !unseen {
		m.breaks(3, "%s is Available after a bake of %s instead of %s", e.Version.Tag, baked, want)
	}
}

func (m *monitor) judgeEvidence(e *v1alpha1.DeploymentHistoryEntry, c Check) {
	if c.State != v1alpha1.HealthHealthy {
		m.breaks(3, "%s is Available, and %s is %s", e.Version.Tag, c.Name, c.State)
	}
	if c.Target == "" {
		if c.Since.Before(release.Cutoff(e)) {
			m.breaks(3, "%s is Available, and %s was healthy before", e.Version.Tag, c.Name)
		}
		return
	}
	if !strings.Contains(c.Revision+"+", "/"+e.Version.Tag+"+") {
		m.breaks(3, "%s is Available, and %s speaks of %s", e.Version.Tag, c.Name, c.Revision)
	}
}

// judgeFailed: nothing fails without a cause. The verdict is about the deployment as it was before.
func (m *monitor) judgeFailed(old *Rollout, e *v1alpha1.DeploymentHistoryEntry) {
	late := m.late(old)
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
		m.breaks(17, "%s failed, and a target is missing, suspended or overridden", e.Version.Tag)
	case !late:
		m.breaks(8, "%s failed, and nothing was wrong with it", e.Version.Tag)
	case old.spec.HealthCheckSelector == nil && m.applied(token, e.Version):
		m.breaks(17, "%s failed for its time, and Flux had applied it everywhere", e.Version.Tag)
	}
}

// notSetUp says whether Flux cannot apply anything before a person mends it.
func (m *monitor) notSetUp() bool {
	list := m.w.targets.live()
	return len(list) == 0 || slices.ContainsFunc(list, func(t Target) bool { return t.Problem != "" || t.Suspended })
}

// applied says whether Flux has in truth applied a deployment everywhere. Content of a tag that was moved is not known to be that of the release.
func (m *monitor) applied(token string, v v1alpha1.VersionInfo) bool {
	list := m.w.targets.live()
	return len(list) > 0 && !slices.ContainsFunc(list, func(t Target) bool {
		return t.Token != token || t.Value != carriedAs(t, v) || t.Applied != v.Tag || !t.settled() || !t.OK || t.Problem != ""
	})
}

// late says whether the time that the deployment had is over: time in which the controller could observe it.
func (m *monitor) late(old *Rollout) bool {
	if old.spec.DeployTimeout == nil {
		return false
	}
	timeout, err := time.ParseDuration(string(*old.spec.DeployTimeout))
	return err == nil && m.w.observed-m.wait.observed >= timeout-2*time.Second // by the record, which holds whole seconds
}
