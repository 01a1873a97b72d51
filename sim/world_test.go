package sim

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	rolloutName = "app"
	rolloutUID  = "5eed"
)

// Faults says what may go wrong in a world, and what people do in it.
type Faults struct {
	Lag, Crash, WriteErrors, Outages, ClockBack, ClockForward, FluxFails, FluxSuspended, Drift, LateTargets bool
	Gates, People, Health, MovedTags, ByDigest, Dips, PolicyLost, HealthLost                                bool
	Pins, Forces, Bypasses, Unblocks, Retries, Lifts, Suspends, SpecEdits                                   bool
	// LateDigests has the policy report a tag before its digest.
	LateDigests bool
}

// Counts of what happened.
type Counts struct {
	Steps, Passes, Decisions, Crashes, Releases, Deployments, HandOvers, Available, Failed, Conflicts int
}

func (c *Counts) add(o Counts) {
	c.Steps += o.Steps
	c.Passes += o.Passes
	c.Decisions += o.Decisions
	c.Crashes += o.Crashes
	c.Releases += o.Releases
	c.Deployments += o.Deployments
	c.HandOvers += o.HandOvers
	c.Available += o.Available
	c.Failed += o.Failed
	c.Conflicts += o.Conflicts
}

// World is everything there is.
type World struct {
	Clock
	Counts Counts

	rng Rand
	// gateRng is for what the gate controller does, so that the rest of a world stays as it is when that changes.
	gateRng Rand
	// digestRng is for when the policy reports digests, for the same reason.
	digestRng Rand
	faults    Faults
	quiet     bool
	paired    bool // whether another world promotes from this one, or to it

	rollout lane[*Rollout]
	policy  lane[release.Policy]
	gates   lane[[]*v1alpha1.RolloutGate]
	checks  lane[[]Check]
	targets lane[[]Target]
	details lane[[]release.Details]
	people  lane[people]

	flux  map[string]*work
	mood  mood
	minds map[string]behaviour // of each version, by its content
	red   bool                 // whether what checks of an external class look at is broken
	tags  int                  // how many tags were pushed
	moved map[string]int       // how often a tag was pushed again
	// contents by their digests
	contents map[string]string
	names    int // of gates and targets

	settled time.Time // when the Rollout may deploy for the first time; zero: at once

	mon   *monitor
	shell *shell

	trace  *trace
	digest uint64
}

// mood is what the quiet world is like.
type mood string

const (
	moodMixed      mood = "mixed" // each version as it is
	moodHealthy    mood = "healthy"
	moodSick       mood = "sick"
	moodNeverReady mood = "never ready"
)

// behaviour is how a version does in the cluster.
type behaviour string

const (
	good        behaviour = "good"
	bad         behaviour = "bad"
	neverReady  behaviour = "never ready"
	flapping    behaviour = "flapping"
	late        behaviour = "late"
	wavering    behaviour = "wavering" // healthy, without a verdict for a while, healthy
	unappliable behaviour = "unappliable"
)

// work is a reconciliation that Flux is at.
type work struct {
	token, value string
	gen          int
	done         time.Duration
}

// newWorld makes a world with one Rollout in it.
func newWorld(seed uint64, chain release.Chain) *World {
	w := &World{
		Clock: newClock(), rng: Rand{state: seed}, gateRng: Rand{state: seed ^ 0x6a7e}, digestRng: Rand{state: seed ^ 0xd16e57}, mood: moodMixed,
		flux: map[string]*work{}, minds: map[string]behaviour{}, moved: map[string]int{}, contents: map[string]string{}, digest: 14695981039346656037,
	}
	w.mon = newMonitor(w)
	w.shell = newShell(w, chain)
	w.rollout.set(&Rollout{
		rv: 1, generation: 1, status: &v1alpha1.RolloutStatus{},
		spec: &v1alpha1.RolloutSpec{ReleasesImagePolicy: corev1.LocalObjectReference{Name: "app"}},
	}, false)
	w.policy.set(release.Policy{Found: true}, false)
	w.gates.set(nil, false)
	w.checks.set(nil, false)
	w.targets.set(nil, false)
	w.details.set(nil, false)
	w.people.set(people{}, false)
	return w
}

// Advance lets time pass. The controller hears of the API server as often as it has to, unless it cannot.
func (w *World) Advance(d time.Duration) {
	for {
		if !w.blind {
			w.shell.seen.Observe(w.now())
		}
		if d <= 0 {
			return
		}
		step := min(d, unobserved)
		w.Clock.Advance(step)
		d -= step
	}
}

// note keeps what happened: as a line if anybody reads it, and as part of the digest that two runs of a seed have to agree on.
func (w *World) note(kind string, args ...any) {
	for i := range len(kind) {
		w.digest = (w.digest ^ uint64(kind[i])) * 1099511628211
	}
	w.digest = (w.digest ^ uint64(w.mono) ^ uint64(w.rollout.live().rv)) * 1099511628211
	if w.trace != nil {
		w.trace.line(w, kind, args...)
	}
}

// trace keeps lines of text.
type trace struct {
	lines []string
	keep  int // 0: all
	// story leaves out what only a programmer wants to see: which rule decided.
	story bool
}

func (t *trace) line(w *World, kind string, args ...any) {
	if t.story && len(args) == 0 {
		return
	}
	m := int(w.mono / time.Second)
	text := fmt.Sprintf("%3d:%02d %-10s", m/60, m%60, kind)
	if len(args) > 0 {
		format, _ := args[0].(string)
		text += fmt.Sprintf(format, args[1:]...)
	}
	t.lines = append(t.lines, text)
	if t.keep > 0 && len(t.lines) > 2*t.keep {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-t.keep:]...)
	}
}

// digestOf is what a tag of the registry points at, in its so-many-th push.
func digestOf(tag string, push int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", tag, push)
	return fmt.Sprintf("sha256:%064x", h.Sum64())
}

// pulled is the content that Flux gets by a value: by its digest, or what the tag stands for when it is pulled. A Kustomization that
// carries the same tag as before changes nothing.
func (w *World) pulled(t Target, value string) string {
	tag, digest, _ := strings.Cut(value, "@")
	if strings.HasPrefix(value, "sha256:") {
		digest = value
	}
	switch {
	case digest != "":
		return w.contents[digest]
	case t.Kind == "Kustomization" && t.AppliedText == value && t.Applied != "":
		return t.Applied
	}
	return w.content(tag)
}

// content is what a tag stands for in the registry now.
func (w *World) content(tag string) string {
	if n := w.moved[tag]; n > 0 {
		return fmt.Sprintf("%s+%d", tag, n)
	}
	return tag
}

func (w *World) behaviourOf(content string) behaviour {
	switch w.mood {
	case moodHealthy:
		return good
	case moodSick:
		return bad
	case moodNeverReady:
		return neverReady
	}
	if b, ok := w.minds[content]; ok {
		return b
	}
	return good
}

// push puts a new tag into the registry, and the policy finds it.
func (w *World) push(b behaviour) string {
	w.tags++
	tag := fmt.Sprintf("1.%d.0", w.tags)
	w.minds[tag] = b
	w.select_(tag)
	return tag
}

// pushAgain moves a tag to another image.
func (w *World) pushAgain(tag string, b behaviour) {
	w.moved[tag]++
	w.minds[w.content(tag)] = b
	w.select_(tag)
}

var bySemver = version.NewOrder(version.OrderSemver, false, "", "")

// select_ makes a tag the one that the policy selects. Its digest may come later.
func (w *World) select_(tag string) {
	late := w.faults.LateDigests && !w.quiet && w.digestRng.oneIn(2)
	w.reports(tag, !late)
}

// reports has the policy report a tag, with what it stands for or without.
func (w *World) reports(tag string, digest bool) {
	p := release.Policy{Found: true, Tag: tag, Digest: digestOf(tag, w.moved[tag]), Order: bySemver}
	w.contents[p.Digest] = w.content(tag)
	w.mon.published(p)
	if !digest {
		p.Digest = ""
		w.mon.published(p)
	}
	w.setPolicy(p)
	w.note("policy", "selects %s%s", w.content(tag), map[bool]string{false: ", without a digest"}[digest])
}

// reflect has the policy report the digest of what it selects, if it did not.
func (w *World) reflect() {
	if p := w.policy.live(); p.Found && legal(p) && p.Digest == "" && p.Problem == "" {
		w.reports(p.Tag, true)
	}
}

// work off what Flux is at, and look at what is new.
func (w *World) fluxStep(id string) {
	if job := w.flux[id]; job != nil {
		if w.mono >= job.done {
			delete(w.flux, id)
			w.fluxDone(id, *job)
		}
		return
	}
	for _, t := range w.targets.live() {
		switch {
		case t.id() != id || t.Suspended && t.observed():
		case t.Suspended:
			w.editTarget(id, func(t *Target) { t.Handled, t.HandledGen = t.Token, t.Gen })
			w.note("flux", "%s is suspended, and has observed %s", id, t.Value)
		default:
			w.flux[id] = &work{token: t.Token, value: t.Value, gen: t.Gen, done: w.mono + w.rng.seconds(1, 8)}
		}
	}
}

func (w *World) fluxDone(id string, job work) {
	content := ""
	for _, t := range w.targets.live() {
		if t.id() == id {
			content = w.pulled(t, job.value)
		}
	}
	fails := job.value == "" || w.behaviourOf(content) == unappliable || w.mood == moodNeverReady ||
		!w.quiet && w.faults.FluxFails && w.rng.oneIn(4)
	w.editTarget(id, func(t *Target) {
		t.Handled, t.HandledGen, t.ReadyGen, t.OK, t.Message = job.token, job.gen, job.gen, !fails, ""
		if fails {
			t.Message = "dependency 'flux-system/base' is not ready"
			return
		}
		t.AppliedToken = job.token
		if t.AppliedText = job.value; t.Applied != content {
			t.Applied, t.AppliedAt = content, w.mono
		}
	})
	w.note("flux", "%s %s", id, map[bool]string{true: "fails with " + job.value, false: "has applied " + job.value}[fails])
}

// probe lets a check look.
func (w *World) probe(i int) {
	c := w.checks.live()[i]
	state, revision := w.finding(c)
	if c.Target == "" && w.stale(c) {
		state = v1alpha1.HealthPending // a check of another class starts anew with each deployment
	}
	if state == c.State && revision == c.Revision {
		return
	}
	w.editCheck(i, func(c *Check) {
		if state != c.State {
			c.Since = w.stamp()
			if state == v1alpha1.HealthUnhealthy {
				c.LastError = w.stamp()
			}
		}
		c.State, c.Revision, c.Message = state, revision, string(state)
	})
	w.note("check", "%s is %s %s", c.Name, state, revision)
}

// stale says whether what a check of an external class found last is older than what is deployed.
func (w *World) stale(c Check) bool {
	h := w.rollout.live().status.History
	if len(h) == 0 || c.State == v1alpha1.HealthPending {
		return false
	}
	cutoff := release.Cutoff(&h[0])
	return c.Since.Before(cutoff) && !w.stamp().Before(cutoff)
}

func (w *World) finding(c Check) (v1alpha1.HealthState, string) {
	var t Target
	for _, each := range w.targets.live() {
		if c.Target == each.id() || c.Target == "" && t.Kind == "" {
			t = each
		}
	}
	state := w.judge(t)
	if c.Target == "" {
		if w.red {
			state = v1alpha1.HealthUnhealthy
		}
		return state, ""
	}
	if !t.settled() || !t.OK {
		state = v1alpha1.HealthPending
	}
	return state, t.revision()
}

func (w *World) judge(t Target) v1alpha1.HealthState {
	age := w.mono - t.AppliedAt
	switch b := w.behaviourOf(t.Applied); {
	case b == neverReady, t.Applied == "" && w.mood == moodMixed, b == late && age < time.Minute,
		b == wavering && age > 20*time.Second && age < 28*time.Second:
		return v1alpha1.HealthPending
	case b == bad && (age > 10*time.Second || w.mood == moodSick), b == flapping && (age/(7*time.Second))%2 == 1:
		return v1alpha1.HealthUnhealthy
	}
	return v1alpha1.HealthHealthy
}
