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

// maxQuietPasses is how many passes a quiet world may take to come to rest.
const maxQuietPasses = 400

// settle ends the chaos: no faults, people have gone home, gates stay as they are, and the world is in one mood. The Rollout
// has to come to rest, where it must, and to write nothing more.
func (w *World) settle() {
	w.calm()
	passes, moments := 0, 0
	for w.advance() {
		if moments++; moments > 1_000_000 {
			w.mon.breaks(10, "the world itself does not come to rest")
			return
		}
		if !w.shell.dirty && w.shell.again != w.mono {
			continue
		}
		if passes++; passes > maxQuietPasses {
			w.mon.breaks(10, "no rest after %d passes", passes)
			return
		}
		w.shell.pass()
		if w.mon.broken != "" {
			return
		}
	}
	w.mon.judgeRest()
	rv, handed := w.rollout.live().rv, w.Counts.HandOvers
	for range 2 {
		w.shell.dirty = false
		if w.shell.pass() || w.rollout.live().rv != rv || w.Counts.HandOvers != handed || w.shell.dirty {
			w.mon.breaks(11, "it does something again in an unchanged world")
		}
		if w.shell.again >= 0 {
			w.mon.breaks(10, "it wants to look again at %s", w.shell.again)
		}
	}
}

// calm lets the world fall quiet.
func (w *World) calm() {
	r := &w.rng
	w.note("quiet")
	w.quiet, w.red = true, false
	w.mood = pick(r, []mood{moodHealthy, moodHealthy, moodSick, moodNeverReady})
	if w.mood == moodSick {
		w.red = true
	}
	for _, t := range w.targets.live() {
		w.editTarget(t.id(), func(t *Target) { t.suspend(false); t.Problem = "" })
	}
	if len(w.targets.live()) == 0 {
		w.newTarget()
	}
	if !w.digestRng.oneIn(4) {
		w.reflect()
	}
	w.takeTags()
	if !r.oneIn(3) {
		w.push(good)
	}
	w.closeOrOpen(r.oneIn(3))
	w.say(func(p *people) { *p = people{} })
	for _, l := range w.lanes() {
		l.catchUp(maxLag)
	}
	w.shell.dirty = true
}

// takeTags has the targets take the tag alone where what was deployed last has no digest: a person does that, or deploys something else.
func (w *World) takeTags() {
	h := w.rollout.live().status.History
	pin := w.rollout.live().spec.WantedVersion
	if pin == nil && (len(h) == 0 || h[0].Version.Digest != "" || w.willLearn(&h[0])) {
		return
	}
	for _, t := range w.targets.live() {
		w.editTarget(t.id(), func(t *Target) { t.Form = version.FormTag })
	}
}

// willLearn reports whether a deployment without a digest gets it from the policy before it is handed over.
func (w *World) willLearn(e *v1alpha1.DeploymentHistoryEntry) bool {
	p := w.policy.live()
	return running(e) && e.PausedTime == nil && !w.mon.carriedBy(e) && legal(p) && p.Problem == "" && p.Tag == e.Version.Tag && p.Digest != ""
}

// gone reports whether a target can be handed the tag alone, says which content it fetched, and gets another than that of a deployment.
func (w *World) gone(h *v1alpha1.DeploymentHistoryEntry) bool {
	return h.Version.Digest != "" && w.contents[h.Version.Digest] != w.content(h.Version.Tag) &&
		slices.ContainsFunc(w.targets.live(), func(t Target) bool { return verified(t) && !byDigest(t) })
}

// closeOrOpen turns the gates for good.
func (w *World) closeOrOpen(shut bool) {
	for i := range w.gates.live() {
		w.editGate(i, func(g *v1alpha1.RolloutGate) {
			yes := !shut
			g.Spec.Passing, g.Spec.AllowedVersions, g.Spec.Approvals = &yes, nil, nil
			w.answer(g)
		})
	}
	w.note("quiet", "gates shut: %v, mood: %s", shut, w.mood)
}

// advance goes to the next thing that happens; false when nothing will.
func (w *World) advance() bool {
	if w.shell.dirty {
		return true
	}
	if w.busy() {
		w.Advance(time.Second)
		if w.runAll() {
			w.shell.dirty = true
		}
		if w.shell.again >= 0 && w.shell.again <= w.mono {
			w.shell.again = w.mono
		}
		return true
	}
	if w.shell.again < 0 {
		return false
	}
	w.Advance(max(0, w.shell.again-w.mono))
	w.shell.again = w.mono
	return true
}

// busy says whether Flux or a check has something to do.
func (w *World) busy() bool {
	if len(w.flux) > 0 {
		return true
	}
	for _, t := range w.targets.live() {
		if w.wanting(t) || w.mono-t.AppliedAt < 3*time.Second {
			return true
		}
	}
	for _, c := range w.checks.live() {
		state, revision := w.finding(c)
		if state != c.State || revision != c.Revision || c.Target == "" && (w.stale(c) || w.early(c)) {
			return true
		}
	}
	return slices.ContainsFunc(w.gates.live(), w.unanswered)
}

// wanting says whether Flux has something to do: something new, or something that failed and would go well now.
func (w *World) wanting(t Target) bool {
	return !t.settled() || !t.OK && w.mood != moodNeverReady && t.Value != ""
}

// early says whether a check of another class has to wait for the clock, which was set back after the deployment.
func (w *World) early(c Check) bool {
	h := w.rollout.live().status.History
	return len(h) > 0 && c.State != v1alpha1.HealthPending && c.Since.Before(release.Cutoff(&h[0]))
}

// unanswered says whether a gate of another class has no verdict on a release that is known.
func (w *World) unanswered(g *v1alpha1.RolloutGate) bool {
	return g.Spec.Class != "" && len(g.Status.Verdicts) < len(w.rollout.live().status.AvailableReleases)
}

// runAll lets everything that has something to do work for a second. It reports whether anything changed.
func (w *World) runAll() bool {
	before := w.targets.count + w.checks.count + w.gates.count
	for _, t := range w.targets.live() {
		if w.flux[t.id()] != nil || w.wanting(t) {
			w.fluxStep(t.id())
		}
	}
	for i := range w.checks.live() {
		w.probe(i)
	}
	for i, g := range w.gates.live() {
		if w.unanswered(g) {
			w.editGate(i, w.answer)
		}
	}
	return w.targets.count+w.checks.count+w.gates.count != before
}

// judgeRest says where the Rollout must be at rest, from what the world is like.
func (m *monitor) judgeRest() {
	w := m.w
	ro := w.rollout.live()
	st := ro.status
	m.judgeCarried(ro)
	switch {
	case ro.spec.Suspend:
		m.rests(st.Phase == v1alpha1.PhaseSuspended, "it is suspended")
		return
	case invalid(ro.spec):
		m.rests(len(st.BlockedBy) > 0 && st.BlockedBy[0].Reason == v1alpha1.ReasonInvalidSpec, "its spec is invalid")
		return
	}
	m.judgeRecord(ro)
	m.judgeSilence(ro)
	m.judgeDigests(ro)
	if pin := ro.spec.WantedVersion; pin != nil {
		m.rests(len(st.History) > 0 && st.History[0].Version.Tag == *pin, "it is pinned to %s", *pin)
	}
	if len(st.History) == 0 {
		m.judgeCandidates(ro, nil)
		return
	}
	h := &st.History[0]
	if running(h) {
		m.judgeRunning(ro, h)
		return
	}
	if ro.spec.WantedVersion == nil {
		m.judgeCandidates(ro, h)
		m.judgeUnreturned(ro, h)
	}
}

// judgeSilence: invariant 16. It is said why what the policy selects does not run.
func (m *monitor) judgeSilence(ro *Rollout) {
	p := m.w.policy.live()
	runs := ""
	for i := range ro.status.History {
		if e := &ro.status.History[i]; m.handed[number(e)] {
			runs = e.Version.Tag
			if e.Version.Digest != "" && p.Digest != "" && e.Version.Digest != p.Digest {
				runs += " of another digest"
			}
			break
		}
	}
	if ro.spec.WantedVersion != nil && (!legal(p) || p.Problem != "") {
		return // the pin says what is to run
	}
	if (!legal(p) || p.Problem != "" || runs != p.Tag) && ro.status.BlockedBy == nil {
		m.breaks(16, "it rests at %q, the policy selects %q, and nothing says why", runs, p.Tag)
	}
}

// judgeDigests: invariant 20. What the policy reports the digest of is known by it, and so is what waits to be handed over.
func (m *monitor) judgeDigests(ro *Rollout) {
	p := m.w.policy.live()
	if !legal(p) || p.Digest == "" {
		return
	}
	for _, v := range ro.status.AvailableReleases {
		if v.Tag == p.Tag && v.Digest == "" {
			m.breaks(20, "the policy reports the digest of %s, and the release has none", v.Tag)
		}
	}
	if len(ro.status.History) > 0 {
		if h := &ro.status.History[0]; h.Version.Tag == p.Tag && h.Version.Digest == "" && m.w.willLearn(h) {
			m.breaks(20, "the policy reports the digest of %s, and it is to be handed over without", p.Tag)
		}
	}
}

// judgeUnreturned: a release that failed is rolled back where the spec says so and nothing forbids it.
func (m *monitor) judgeUnreturned(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	if !failed(h) || chosen(h) || h.Cause == v1alpha1.CauseRollback || ro.spec.OnFailure != v1alpha1.OnFailureRollback ||
		!m.handed[number(h)] || !m.carriedBy(h) {
		return
	}
	for _, e := range ro.status.History {
		id := identity(e.Version)
		if *e.BakeStatus == string(v1alpha1.BakeSucceeded) && id != identity(h.Version) && !m.failed[id] {
			m.rests(ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), e.Version) ||
				!m.w.people.live().open(m.w.gates.live(), id) || m.floored(ro), "%s could be rolled back to", id.Tag)
			return
		}
	}
}

// floored says whether anything sets a floor.
func (m *monitor) floored(ro *Rollout) bool {
	return ro.spec.RollbackFloor != "" || slices.ContainsFunc(m.w.details.live(), func(d release.Details) bool { return d.RollbackFloor != "" })
}

// judgeRecord: what people asked for once is used up, and the record is complete and no longer than it has to be.
func (m *monitor) judgeRecord(ro *Rollout) {
	st := ro.status
	m.rests(len(st.HandledAnnotations) == 0, "one-shot annotations are left")
	for _, key := range []string{v1alpha1.AnnotationForceDeploy, v1alpha1.AnnotationRetry} {
		_, left := ro.annotations[key]
		m.rests(!left, "%s was asked for", key)
	}
	if v, left := ro.annotations[v1alpha1.AnnotationLiftQuarantine]; left {
		m.rests(!strings.Contains(v, " "), "%q was asked to be lifted", v)
	}
	if p := m.w.policy.live(); legal(p) {
		m.rests(m.order[m.means(p)] > 0, "%s was not discovered", p.Tag)
	}
	for _, v := range st.AvailableReleases {
		for _, d := range m.w.details.live() {
			m.rests(d.Release != identity(v) || v.Revision != nil && *v.Revision == d.Revision, "the details of %s are known", v.Tag)
		}
	}
	limit := 10
	if l := ro.spec.VersionHistoryLimit; l != nil {
		limit = int(*l)
	}
	if n := len(st.History); n > limit {
		newer := slices.ContainsFunc(st.History[:n-1], func(e v1alpha1.DeploymentHistoryEntry) bool { return m.handed[number(&e)] })
		m.rests(*st.History[n-1].BakeStatus == string(v1alpha1.BakeSucceeded) || !newer, "it keeps %d deployments instead of %d", n, limit)
	}
}

func (m *monitor) rests(ok bool, format string, args ...any) {
	if !ok {
		st := m.w.rollout.live().status
		head := "nothing"
		if len(st.History) > 0 {
			h := &st.History[0]
			head = fmt.Sprintf("%s (%s, %s)", h.Version.Tag, h.Cause, *h.BakeStatus)
		}
		m.breaks(10, "rests at %s %s, although %s", st.Phase, head, fmt.Sprintf(format, args...))
	}
}

// judgeCarried: invariant 9.
func (m *monitor) judgeCarried(ro *Rollout) {
	if ro.spec.Suspend || invalid(ro.spec) || ro.status.CurrentVersion == "" {
		return
	}
	runs := m.running(ro)
	if h := &ro.status.History[0]; !m.carriedBy(h) && h.Version.Tag == runs.Tag && ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), h.Version) {
		return // it never got there, and never will
	}
	for _, t := range m.w.targets.live() {
		if want := carriedAs(t, runs); want != "" && t.Value != want {
			m.breaks(9, "%s carries %q, and the Rollout says %s (%s)", t.id(), t.Value, ro.status.CurrentVersion, want)
		}
	}
}

// running is the version that the Rollout says was handed over last. A retry that is kept from Flux does not count, although its first attempt
// was handed over: what carried that is gone.
func (m *monitor) running(ro *Rollout) v1alpha1.VersionInfo {
	for i := range ro.status.History {
		e := &ro.status.History[i]
		kept := i == 0 && running(e) && e.InterruptedTime != nil && e.BakeStartTime == nil && !m.carriedBy(e)
		if e.Version.Tag == ro.status.CurrentVersion && m.handed[number(e)] && !kept {
			return e.Version
		}
	}
	return v1alpha1.VersionInfo{Tag: ro.status.CurrentVersion}
}

// carriedAs is what a target should carry for a version; empty if it needs a digest that the version does not have.
func carriedAs(t Target, v v1alpha1.VersionInfo) string {
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

// judgeRunning: a deployment may stay in flight only if something holds it that will not end by itself.
func (m *monitor) judgeRunning(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	w := m.w
	switch {
	case h.PausedTime != nil:
	case h.Version.Digest == "" && slices.ContainsFunc(w.targets.live(), byDigest): // not all can take it
	case w.gone(h): // the registry does not serve it any more, and says so
	case ambiguous(w.targets.live(), ro.status, w.policy.live(), h.Version) && !m.carriedBy(h):
	case !m.handed[number(h)] || !m.carriedBy(h): // it may have reached only what was deleted since
		p := w.policy.live()
		lost := !legal(p) || p.Problem != "" || !alike(identity(h.Version), m.means(p))
		held := !chosen(h) && (lost || len(m.shut(w.gates.live(), w.people.live(), h)) > 0 || m.sick(ro))
		m.rests(held, "no gate holds %s", h.Version.Tag)
	case ro.spec.DeployTimeout != nil:
		m.rests(false, "deployTimeout should have ended that")
	case w.mood == moodHealthy:
		m.rests(m.sick(ro), "everything is healthy")
	case w.mood == moodSick:
		m.rests(m.sick(ro) && !m.toBlame(ro, h), "its checks are unhealthy")
	}
}

// toBlame says whether a check is unhealthy because of a deployment that Flux has applied.
func (m *monitor) toBlame(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) bool {
	token := release.Token(rolloutUID, h)
	tried := !slices.ContainsFunc(m.w.targets.live(), func(t Target) bool { return t.Token != token || !t.settled() })
	return tried && !h.Recovery && slices.ContainsFunc(m.w.checks.live(), func(c Check) bool {
		return c.State == v1alpha1.HealthUnhealthy && !c.Since.Before(release.Cutoff(h)) && (c.Target == "" || m.w.revisionOf(c.Target) == c.Revision)
	})
}

// sick says whether selected checks are not healthy.
func (m *monitor) sick(ro *Rollout) bool {
	return ro.spec.HealthCheckSelector != nil && (len(m.w.checks.live()) == 0 ||
		slices.ContainsFunc(m.w.checks.live(), func(c Check) bool { return c.State != v1alpha1.HealthHealthy }))
}

// judgeCandidates: a release that may be deployed is not left lying.
func (m *monitor) judgeCandidates(ro *Rollout, h *v1alpha1.DeploymentHistoryEntry) {
	if h == nil && ro.spec.HealthCheckSelector != nil && len(m.w.checks.live()) == 0 {
		return // nothing would judge it
	}
	from := 0
	if h != nil {
		from = m.order[identity(h.Version)]
		if chosen(h) {
			from = m.mark[number(h)]
		}
		if h.Cause == v1alpha1.CauseRollback {
			for _, e := range ro.status.History {
				if number(&e) == *h.RollbackOf {
					from = m.order[identity(e.Version)]
				}
			}
		}
		if h.Version.Digest == "" { // it may be any of its tag
			from = max(from, m.newestOf(h.Version.Tag))
		}
		halted := failed(h) || h.Cause == v1alpha1.CauseRollback
		if halted && ro.spec.AfterFailure != v1alpha1.AfterFailureAllowNewer {
			return
		}
		if m.sick(ro) {
			return
		}
	}
	waiting := false
	for _, v := range ro.status.AvailableReleases {
		id := identity(v)
		isolated := slices.ContainsFunc(ro.status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.ReleaseIdentity == id })
		m.obs.Policy = m.w.policy.live()
		if m.order[id] > from && !isolated && legal(m.obs.Policy) && m.obs.Policy.Problem == "" && !m.passedOver(ro, id) && !ambiguous(m.w.targets.live(), ro.status, m.w.policy.live(), v) {
			m.rests(!m.w.people.live().open(m.w.gates.live(), id), "%s could be deployed", id.Tag)
			waiting = true
		}
	}
	m.rests(!waiting || len(ro.status.BlockedBy) > 0, "a release waits, and nobody is told for what")
}
