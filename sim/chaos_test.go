package sim

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// swarm enables a random subset of the faults: faults that are always present hide each other.
func swarm(r *Rand) Faults {
	on := func() bool { return r.oneIn(2) }
	return Faults{
		Lag: on(), Crash: on(), WriteErrors: on(), Outages: r.oneIn(3), ClockBack: r.oneIn(4), ClockForward: r.oneIn(4), FluxFails: on(), FluxSuspended: r.oneIn(4),
		Drift: on(), LateTargets: on(), Gates: on(), People: on(), Health: on(), MovedTags: on(), ByDigest: on(), Dips: on(), PolicyLost: r.oneIn(4), HealthLost: r.oneIn(4),
		Pins: on(), Forces: on(), Bypasses: on(), Unblocks: on(), Retries: on(), Lifts: on(), Suspends: r.oneIn(3), SpecEdits: on(),
	}
}

// populate creates the objects and the spec.
func (w *Cluster) populate() {
	r := &w.rng
	w.faults = swarm(r)
	w.faults.LateDigests = w.digestRng.oneIn(3) && !w.paired
	if r.oneIn(3) {
		w.settled = w.wall.Add(r.seconds(1, 30))
	}
	w.faults.ByDigest = w.faults.ByDigest && !w.paired
	w.editSpec(func(s *v1alpha1.RolloutSpec) { w.randomSpec(s) })
	for range r.below(3) + map[bool]int{true: 0, false: 1}[w.faults.LateTargets] {
		w.newTarget()
	}
	if w.faults.Health {
		for i := range 1 + r.below(3) {
			w.newCheck(i)
		}
	}
	for range r.below(3) {
		w.newGate()
	}
}

func (w *Cluster) randomSpec(s *v1alpha1.RolloutSpec) {
	r := &w.rng
	duration := func(list ...v1alpha1.Duration) *v1alpha1.Duration {
		if d := pick(r, list); d != "" {
			return &d
		}
		return nil
	}
	s.BakeTime = duration("", "0s", "15s", "15s", "90s", "5m")
	s.DeployTimeout = duration("", "", "45s", "10m")
	if r.oneIn(60) {
		s.BakeTime = duration("9999999999999999999h", "-1s", "soon")
	}
	s.Selection = pick(r, []v1alpha1.Selection{"", v1alpha1.SelectLatest, v1alpha1.SelectEvery})
	s.OnFailure = pick(r, []v1alpha1.OnFailure{"", v1alpha1.OnFailureHalt, v1alpha1.OnFailureRollback, v1alpha1.OnFailureRollback, v1alpha1.OnFailurePause})
	s.AfterFailure = pick(r, []v1alpha1.AfterFailure{"", v1alpha1.AfterFailureBlock, v1alpha1.AfterFailureAllowNewer})
	s.InitialDeployment = pick(r, []v1alpha1.InitialDeployment{"", v1alpha1.InitialDeploymentGated, v1alpha1.InitialDeploymentSkipGates})
	s.HealthCheckSelector = nil
	if w.faults.Health && !r.oneIn(4) {
		s.HealthCheckSelector = &v1alpha1.HealthCheckSelector{Selector: &v1alpha1.LabelSelector{}}
	}
	s.OnDowngrade = pick(r, []v1alpha1.OnDowngrade{"", v1alpha1.OnDowngradeHold, v1alpha1.OnDowngradeFollow})
	s.RollbackFloor = ""
	if r.oneIn(5) {
		s.RollbackFloor = w.someTag()
	}
	s.VersionHistoryLimit = nil
	if r.oneIn(4) {
		limit := int32(1 + r.below(3))
		s.VersionHistoryLimit = &limit
	}
	s.AvailableReleasesMinCount = nil
	if r.oneIn(4) {
		limit := int32(1 + r.below(3))
		s.AvailableReleasesMinCount = &limit
	}
}

func (w *Cluster) newTarget() {
	w.names++
	t := Target{Kind: "Kustomization", Name: fmt.Sprintf("app-%d", w.names), Variable: "VERSION"}
	if w.rng.oneIn(3) {
		t.Kind, t.Variable, t.Own = "OCIRepository", "", w.faults.ByDigest && w.rng.oneIn(2)
	}
	if w.rng.oneIn(5) {
		t.Value, t.ByHand = w.someTag(), true // as in Git
	}
	t.Form = w.someForm(t)
	w.addTarget(t)
	w.note("target", "%s is new, with %q", t.id(), t.Value)
}

// someForm returns a random form in which a target takes the version.
func (w *Cluster) someForm(t Target) version.Form {
	switch {
	case !w.faults.ByDigest || w.rng.oneIn(4):
		return version.FormTag
	case t.Kind != "OCIRepository":
		return pick(&w.rng, []version.Form{version.FormTagDigest, version.FormDigest})
	case t.Own:
		return version.FormDigest
	}
	return version.FormTag
}

func (w *Cluster) newCheck(i int) {
	c := Check{Name: fmt.Sprintf("check-%d", i)}
	if list := w.targets.live(); len(list) > 0 && !w.rng.oneIn(3) {
		c.Target = pick(&w.rng, list).id()
	}
	w.checks.set(append(slices.Clone(w.checks.live()), c), w.lagging())
	w.mon.onChecksChanged()
	w.note("check", "%s of %q is new", c.Name, c.Target)
}

func (w *Cluster) newGate() {
	w.names++
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("gate-%d", w.names), Generation: 1}}
	if w.rng.oneIn(3) {
		g.Spec.Class = "example.com/ci"
	}
	w.editGates(func(list []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate { return append(list, g) })
	w.changeGate(len(w.gates.live()) - 1)
}

// changeGate changes a gate at random.
func (w *Cluster) changeGate(i int) {
	r := &w.rng
	w.editGate(i, func(g *v1alpha1.RolloutGate) {
		yes := !r.oneIn(3)
		g.Spec.Passing, g.Spec.AllowedVersions, g.Spec.Approvals = &yes, nil, nil
		switch {
		case r.oneIn(4):
			g.Spec.Passing = nil
			if g.Spec.Class == "" && r.oneIn(2) {
				g.Spec.Approvals = &v1alpha1.ApprovalPolicy{Required: int32(1 + r.below(2)), AllowAuthor: true}
			}
		case r.oneIn(3):
			g.Spec.AllowedVersions = &[]string{w.someTag(), w.someTag(), w.withDigest(w.policy.live().Tag)}
		}
		w.answerGate(g)
		w.note("gate", "%s: passing %v, lists %v", g.Name, g.Spec.Passing != nil && *g.Spec.Passing, g.Spec.AllowedVersions)
	})
}

// answerGate writes the verdicts of a gate of another class, sometimes for an older spec.
func (w *Cluster) answerGate(g *v1alpha1.RolloutGate) {
	if g.Spec.Class == "" {
		return
	}
	g.Status.ObservedGeneration = g.Generation + 1 // editGate adds one
	if w.rng.oneIn(6) && !w.stable {
		g.Status.ObservedGeneration--
	}
	g.Status.Verdicts = nil
	for _, v := range w.rollout.live().status.AvailableReleases {
		state := v1alpha1.GateOpen
		if !w.stable && w.rng.oneIn(3) {
			state = pick(&w.rng, []v1alpha1.GateState{v1alpha1.GateClosed, v1alpha1.GatePending, "Open", ""})
		}
		g.Status.Verdicts = append(g.Status.Verdicts, v1alpha1.GateVerdict{Release: v.Tag, Digest: v.Digest, State: state})
	}
}

// someTag returns a tag, usually one that was pushed.
func (w *Cluster) someTag() string {
	if w.tags == 0 || w.rng.oneIn(12) {
		return "custom"
	}
	return fmt.Sprintf("1.%d.0", 1+w.rng.below(w.tags))
}

// step runs one random event.
func (w *Cluster) step() {
	w.Counts.Steps++
	r := &w.rng
	w.passTime()
	if w.faults.Outages && r.oneIn(60) {
		w.outage()
	}
	switch n := r.below(100); {
	case n < 45:
		w.controller.reconcile()
	case n < 60:
		w.catchUp()
	case n < 78:
		w.runThings()
	case n < 84:
		w.publish()
	case n < 90:
		w.disturb()
	case n < 94:
		w.changeGates()
	default:
		w.userAction()
	}
}

// passTime advances the clock, by a little or until the controller is to reconcile again. The clock may jump.
func (w *Cluster) passTime() {
	r := &w.rng
	switch {
	case r.oneIn(3):
		return
	case r.oneIn(4) && w.controller.requeueAt > w.mono:
		w.Advance(w.controller.requeueAt - w.mono)
	case r.oneIn(2):
		w.Advance(time.Duration(r.below(1500)) * time.Millisecond)
	default:
		w.Advance(r.seconds(1, 12))
	}
	if w.faults.ClockForward && r.oneIn(150) {
		w.Jump(pick(r, []time.Duration{time.Second, time.Minute, time.Hour, 48 * time.Hour}))
		w.note("clock", "jumps forwards")
	}
	if w.faults.ClockBack && r.oneIn(150) {
		w.Jump(-pick(r, []time.Duration{time.Second, time.Minute, time.Hour}))
		w.mon.wentBack()
		w.note("clock", "jumps back")
	}
}

// outage is a period in which the controller observes nothing: either its process is stopped while everything else
// continues, or the API server is unavailable and nothing changes. Sometimes a new process starts afterwards.
func (w *Cluster) outage() {
	r := &w.rng
	d := pick(r, []time.Duration{8 * time.Second, time.Minute, 20 * time.Minute, 3 * time.Hour})
	alone := r.oneIn(2)
	w.note("outage", "of %s, of the controller alone: %v", d, alone)
	w.blind = true
	for n := 1 + r.below(12); n > 0; n-- {
		w.Advance(d / time.Duration(n))
		d -= d / time.Duration(n)
		if alone {
			w.runThings()
		}
	}
	w.blind = false
	if r.oneIn(3) {
		w.controller.restart()
	}
}

func (w *Cluster) catchUp() {
	for _, l := range w.stores() {
		if !w.rng.oneIn(3) {
			l.catchUp(1 + w.rng.below(maxLag))
		}
	}
}

func (w *Cluster) stores() []interface{ catchUp(int) bool } {
	return []interface{ catchUp(int) bool }{&w.rollout, &w.policy, &w.gates, &w.checks, &w.targets, &w.details, &w.userObjects}
}

// runThings runs one step of Flux or of a check.
func (w *Cluster) runThings() {
	if list := w.targets.live(); len(list) > 0 && w.rng.oneIn(2) {
		w.fluxStep(pick(&w.rng, list).id())
	} else if n := len(w.checks.live()); n > 0 {
		w.probe(w.rng.below(n))
	}
}

var behaviours = []behaviour{good, good, good, good, bad, bad, neverReady, flapping, late, wavering, unappliable}

func (w *Cluster) publish() {
	r := &w.rng
	if w.faults.LateDigests && w.digestRng.oneIn(2) {
		w.reportDigest()
	}
	switch {
	case r.oneIn(3):
		w.deliverDetails()
	case w.faults.MovedTags && w.tags > 0 && r.oneIn(6):
		w.pushAgain(w.someKnownTag(), pick(r, behaviours))
	case w.faults.Dips && w.tags > 0 && r.oneIn(3):
		w.selectOther()
	case w.faults.PolicyLost && r.oneIn(5):
		w.setPolicy(pick(r, []release.Policy{
			{}, {Found: true, Problem: "no tag matches"}, {Found: true, Tag: "../evil"}, {Found: true, Tag: "1.0.0", Digest: "md5:1"},
		}))
		w.note("policy", "is broken")
	case r.oneIn(4):
		w.push(pick(r, behaviours))
	}
}

func (w *Cluster) someKnownTag() string { return fmt.Sprintf("1.%d.0", 1+w.rng.below(w.tags)) }

// selectOther makes the policy select a tag other than the newest, as after a deleted tag, a changed range or an
// incomplete listing. The tag may be unknown.
func (w *Cluster) selectOther() {
	if w.rng.oneIn(2) {
		w.selectTag(w.someKnownTag())
		return
	}
	w.names++
	tag := fmt.Sprintf("1.%d.%d", w.rng.below(w.tags+1), w.names)
	w.behaviours[tag] = pick(&w.rng, behaviours)
	w.selectTag(tag)
}

// deliverDetails delivers the annotations of an image.
func (w *Cluster) deliverDetails() {
	known := w.rollout.live().status.AvailableReleases
	if len(known) == 0 {
		return
	}
	v := pick(&w.rng, known)
	for _, d := range w.details.live() {
		if d.Release == version.Identity(v) {
			return
		}
	}
	d := release.Details{Release: version.Identity(v)}
	d.Revision, d.Created, d.Digest = "commit of "+v.Tag, w.stored(), v.Digest
	if v.Digest == "" {
		d.Digest = digestOf(v.Tag, w.moved[v.Tag])
		w.contents[d.Digest] = w.content(v.Tag)
	}
	if w.rng.oneIn(8) {
		d.RollbackFloor = w.someKnownTag()
	}
	w.details.set(append(slices.Clone(w.details.live()), d), w.lagging())
	w.note("details", "of %s", v.Tag)
}

// disturb changes Flux objects and checks.
func (w *Cluster) disturb() {
	r := &w.rng
	list, checks := w.targets.live(), w.checks.live()
	switch {
	case w.faults.LateTargets && r.oneIn(5) && len(list) < 3:
		w.newTarget()
	case len(list) == 0:
	case w.faults.LateTargets && r.oneIn(15):
		t := pick(r, list)
		w.targets.set(slices.DeleteFunc(slices.Clone(list), func(o Target) bool { return o == t }), w.lagging())
		delete(w.flux, t.id())
		w.note("target", "%s is deleted", t.id())
	case w.faults.Drift && r.oneIn(4):
		id, tag := pick(r, list).id(), w.someTag()
		w.editTarget(id, func(t *Target) { t.Value, t.ByHand, t.Gen = tag, true, t.Gen+1 })
		w.note("target", "%s is edited by hand to %s", id, tag)
	case w.faults.ByDigest && r.oneIn(12):
		t := pick(r, list)
		form := w.someForm(t)
		w.editTarget(t.id(), func(t *Target) { t.Form = form })
		w.note("target", "%s takes %s", t.id(), form)
	case w.faults.FluxSuspended && r.oneIn(3):
		w.editTarget(pick(r, list).id(), func(t *Target) { t.suspend(!t.Suspended) })
	case w.faults.FluxSuspended && r.oneIn(8):
		w.editTarget(pick(r, list).id(), func(t *Target) {
			t.Problem = map[bool]string{true: "spec.ref.semver wins over the tag"}[t.Problem == ""]
		})
	case w.faults.Health && r.oneIn(3):
		w.externalUnhealthy = !w.externalUnhealthy && r.oneIn(2)
	case w.faults.Health && r.oneIn(6) && len(checks) > 0:
		i := r.below(len(checks))
		w.checks.set(slices.Delete(slices.Clone(checks), i, i+1), w.lagging())
		w.mon.onChecksChanged()
	case w.faults.Health && r.oneIn(4) && len(checks) < 4:
		w.newCheck(10 + w.names)
		w.names++
	}
}

func (w *Cluster) changeGates() {
	if !w.faults.Gates {
		return
	}
	n := len(w.gates.live())
	switch {
	case n == 0 || n < 3 && w.rng.oneIn(6):
		w.newGate()
	case w.rng.oneIn(8):
		i := w.rng.below(n)
		w.note("gate", "%s is deleted", w.gates.live()[i].Name)
		w.editGates(func(l []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate { return slices.Delete(l, i, i+1) })
	default:
		w.changeGate(w.rng.below(n))
	}
}

// userAction runs a random action of a person.
func (w *Cluster) userAction() {
	r := &w.rng
	tag := w.someTag()
	f := &w.faults
	actions := []struct {
		enabled bool
		do      func()
	}{
		{f.Forces, func() { w.annotate(v1alpha1.AnnotationForceDeploy, tag) }},
		{f.Bypasses, func() { w.annotate(v1alpha1.AnnotationBypassGates, tag) }},
		{f.Unblocks, func() { w.annotate(v1alpha1.AnnotationUnblockFailed, pick(r, []string{"true", "true", "false"})) }},
		{f.Retries, func() { w.annotate(v1alpha1.AnnotationRetry, fmt.Sprint(w.Counts.Steps)) }},
		{f.Lifts, func() {
			w.annotate(v1alpha1.AnnotationLiftQuarantine, tag+pick(r, []string{" it was the database", ""}))
		}},
		{f.People, w.createApproval},
		{f.People, w.createApproval},
		{f.People, w.breakGlass},
		{f.People, w.withdraw},
		{f.Forces, func() { w.annotate(v1alpha1.AnnotationDeployUser, "kim") }},
		{f.Suspends, func() { w.editSpec(func(s *v1alpha1.RolloutSpec) { s.Suspend = !s.Suspend && r.oneIn(2) }) }},
		{f.SpecEdits, func() { w.editSpec(w.randomSpec) }},
		{f.Pins, func() { w.repin(tag) }},
	}
	deed := pick(r, actions)
	if deed.enabled {
		deed.do()
		ro := w.rollout.live()
		w.note("person", "annotations %v, pin %v, suspend %v", ro.annotations, text(ro.spec.WantedVersion), ro.spec.Suspend)
	}
}

func (w *Cluster) repin(tag string) {
	w.editSpec(func(s *v1alpha1.RolloutSpec) {
		was := s.WantedVersion
		s.WantedVersion = nil
		switch {
		case was == nil && w.rng.oneIn(20):
			tag = pick(&w.rng, []string{"", "no tag", "../evil"})
			s.WantedVersion = &tag
		case was == nil || w.rng.oneIn(3):
			s.WantedVersion = &tag
		}
	})
}

func text(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}
