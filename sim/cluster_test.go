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

// Faults selects what may go wrong, and what people may do.
type Faults struct {
	Lag, Crash, WriteErrors, Outages, ClockBack, ClockForward, FluxFails, FluxSuspended, Drift, LateTargets bool
	Gates, People, Health, MovedTags, ByDigest, Dips, PolicyLost, HealthLost                                bool
	Pins, Forces, Bypasses, Unblocks, Retries, Lifts, Suspends, SpecEdits                                   bool
	// LateDigests makes the policy report a tag before its digest.
	LateDigests bool
}

// Counts counts events.
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

// Cluster is a simulated cluster.
type Cluster struct {
	Clock
	Counts Counts

	rng Rand
	// gateRng is for the gate controller, so that changes of it do not change the rest of a run.
	gateRng Rand
	// digestRng is for the digests of the policy, for the same reason.
	digestRng Rand
	faults    Faults
	stable    bool
	paired    bool // whether another cluster promotes from this one, or to it

	rollout     store[*Rollout]
	policy      store[release.Policy]
	gates       store[[]*v1alpha1.RolloutGate]
	checks      store[[]Check]
	targets     store[[]Target]
	details     store[[]release.Details]
	userObjects store[userObjects]

	flux              map[string]*fluxReconcile
	healthMode        healthMode
	behaviours        map[string]behaviour // by content
	externalUnhealthy bool                 // whether checks of an external class are unhealthy
	tags              int                  // number of pushed tags
	moved             map[string]int       // how often a tag was pushed again
	// contents by digest
	contents map[string]string
	names    int // number of names given to gates and targets

	settled time.Time // when the Rollout may deploy for the first time; zero: immediately

	mon        *monitor
	controller *controller

	trace  *trace
	digest uint64
}

// healthMode is the health of every version after the faults have ended.
type healthMode string

const (
	healthMixed  healthMode = "mixed" // depends on the version
	allHealthy   healthMode = "healthy"
	allUnhealthy healthMode = "sick"
	neverHealthy healthMode = "never ready"
)

// behaviour is how a version behaves in the cluster.
type behaviour string

const (
	good        behaviour = "good"
	bad         behaviour = "bad"
	neverReady  behaviour = "never ready"
	flapping    behaviour = "flapping"
	late        behaviour = "late"
	wavering    behaviour = "wavering" // healthy, then without a result, then healthy
	unappliable behaviour = "unappliable"
)

// fluxReconcile is a running reconcile of Flux.
type fluxReconcile struct {
	token, value string
	gen          int
	done         time.Duration
}

// newCluster returns a cluster with one Rollout.
func newCluster(seed uint64, chain release.Chain) *Cluster {
	w := &Cluster{
		Clock: newClock(), rng: Rand{state: seed}, gateRng: Rand{state: seed ^ 0x6a7e}, digestRng: Rand{state: seed ^ 0xd16e57}, healthMode: healthMixed,
		flux: map[string]*fluxReconcile{}, behaviours: map[string]behaviour{}, moved: map[string]int{}, contents: map[string]string{}, digest: 14695981039346656037,
	}
	w.mon = newMonitor(w)
	w.controller = newController(w, chain)
	w.rollout.set(&Rollout{
		rv: 1, generation: 1, status: &v1alpha1.RolloutStatus{},
		spec: &v1alpha1.RolloutSpec{ReleasesImagePolicy: corev1.LocalObjectReference{Name: "app"}},
	}, false)
	w.policy.set(release.Policy{Found: true}, false)
	w.gates.set(nil, false)
	w.checks.set(nil, false)
	w.targets.set(nil, false)
	w.details.set(nil, false)
	w.userObjects.set(userObjects{}, false)
	return w
}

// Advance advances the time. The controller observes the API server often enough, unless it is blind.
func (w *Cluster) Advance(d time.Duration) {
	for {
		if !w.blind {
			w.controller.seen.Observe(w.now())
		}
		if d <= 0 {
			return
		}
		step := min(d, maxSilence)
		w.Clock.Advance(step)
		d -= step
	}
}

// note adds an event to the trace, if there is one, and to the digest, which has to be equal in two runs of a seed.
func (w *Cluster) note(kind string, args ...any) {
	for i := range len(kind) {
		w.digest = (w.digest ^ uint64(kind[i])) * 1099511628211
	}
	w.digest = (w.digest ^ uint64(w.mono) ^ uint64(w.rollout.live().rv)) * 1099511628211
	if w.trace != nil {
		w.trace.line(w, kind, args...)
	}
}

// trace holds lines of text.
type trace struct {
	lines []string
	keep  int // 0: all lines
	// eventsOnly leaves out which rules decided.
	eventsOnly bool
}

func (t *trace) line(w *Cluster, kind string, args ...any) {
	if t.eventsOnly && len(args) == 0 {
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

// digestOf returns the digest of a push of a tag.
func digestOf(tag string, push int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", tag, push)
	return fmt.Sprintf("sha256:%064x", h.Sum64())
}

// pulled returns the content that Flux gets for a value: by its digest, or the current content of the tag. A
// Kustomization with the same tag as before does not change.
func (w *Cluster) pulled(t Target, value string) string {
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

// content returns the current content of a tag in the registry.
func (w *Cluster) content(tag string) string {
	if n := w.moved[tag]; n > 0 {
		return fmt.Sprintf("%s+%d", tag, n)
	}
	return tag
}

func (w *Cluster) behaviourOf(content string) behaviour {
	switch w.healthMode {
	case allHealthy:
		return good
	case allUnhealthy:
		return bad
	case neverHealthy:
		return neverReady
	}
	if b, ok := w.behaviours[content]; ok {
		return b
	}
	return good
}

// push pushes a new tag, which the policy selects.
func (w *Cluster) push(b behaviour) string {
	w.tags++
	tag := fmt.Sprintf("1.%d.0", w.tags)
	w.behaviours[tag] = b
	w.selectTag(tag)
	return tag
}

// pushAgain moves a tag to another image.
func (w *Cluster) pushAgain(tag string, b behaviour) {
	w.moved[tag]++
	w.behaviours[w.content(tag)] = b
	w.selectTag(tag)
}

var bySemver = version.NewOrder(version.OrderSemver, false, version.Filter{})

// selectTag makes the policy select a tag, sometimes without its digest at first.
func (w *Cluster) selectTag(tag string) {
	late := w.faults.LateDigests && !w.stable && w.digestRng.oneIn(2)
	w.policyReports(tag, !late)
}

// policyReports makes the policy report a tag, with or without its digest.
func (w *Cluster) policyReports(tag string, digest bool) {
	p := release.Policy{Found: true, Tag: tag, Digest: digestOf(tag, w.moved[tag]), Order: bySemver}
	w.contents[p.Digest] = w.content(tag)
	w.mon.onPolicy(p)
	if !digest {
		p.Digest = ""
		w.mon.onPolicy(p)
	}
	w.setPolicy(p)
	w.note("policy", "selects %s%s", w.content(tag), map[bool]string{false: ", without a digest"}[digest])
}

// reportDigest makes the policy report the digest of the selected tag if it has not.
func (w *Cluster) reportDigest() {
	if p := w.policy.live(); p.Found && legal(p) && p.Digest == "" && p.Problem == "" {
		w.policyReports(p.Tag, true)
	}
}

// fluxStep finishes or starts a reconcile of Flux.
func (w *Cluster) fluxStep(id string) {
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
			w.flux[id] = &fluxReconcile{token: t.Token, value: t.Value, gen: t.Gen, done: w.mono + w.rng.seconds(1, 8)}
		}
	}
}

func (w *Cluster) fluxDone(id string, job fluxReconcile) {
	content := ""
	for _, t := range w.targets.live() {
		if t.id() == id {
			content = w.pulled(t, job.value)
		}
	}
	fails := job.value == "" || w.behaviourOf(content) == unappliable || w.healthMode == neverHealthy ||
		!w.stable && w.faults.FluxFails && w.rng.oneIn(4)
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

// probe evaluates a check.
func (w *Cluster) probe(i int) {
	c := w.checks.live()[i]
	state, revision := w.probeResult(c)
	if c.Target == "" && w.stale(c) {
		state = v1alpha1.HealthPending // a check of another class starts again with each deployment
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

// stale reports whether the last result of a check of an external class is older than the newest deployment.
func (w *Cluster) stale(c Check) bool {
	h := w.rollout.live().status.History
	if len(h) == 0 || c.State == v1alpha1.HealthPending {
		return false
	}
	cutoff := release.Cutoff(&h[0])
	return c.Since.Before(cutoff) && !w.stamp().Before(cutoff)
}

func (w *Cluster) probeResult(c Check) (v1alpha1.HealthState, string) {
	var t Target
	for _, target := range w.targets.live() {
		if c.Target == target.id() || c.Target == "" && t.Kind == "" {
			t = target
		}
	}
	state := w.healthOf(t)
	if c.Target == "" {
		if w.externalUnhealthy {
			state = v1alpha1.HealthUnhealthy
		}
		return state, ""
	}
	if !t.settled() || !t.OK {
		state = v1alpha1.HealthPending
	}
	return state, t.revision()
}

func (w *Cluster) healthOf(t Target) v1alpha1.HealthState {
	age := w.mono - t.AppliedAt
	switch b := w.behaviourOf(t.Applied); {
	case b == neverReady, t.Applied == "" && w.healthMode == healthMixed, b == late && age < time.Minute,
		b == wavering && age > 20*time.Second && age < 28*time.Second:
		return v1alpha1.HealthPending
	case b == bad && (age > 10*time.Second || w.healthMode == allUnhealthy), b == flapping && (age/(7*time.Second))%2 == 1:
		return v1alpha1.HealthUnhealthy
	}
	return v1alpha1.HealthHealthy
}
