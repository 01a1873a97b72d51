package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// play runs a script in a simulation without faults, and returns its trace.
func play(script string, o options) (lines []string, err error) {
	w := newCluster(1, o.chain)
	w.controller.faulty = o.faulty
	w.stable, w.trace = true, &trace{eventsOnly: true}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		lines = w.trace.lines
	}()
	for n, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w.trace.lines = append(w.trace.lines, "> "+line)
		words := strings.Fields(line)
		do, ok := commands[words[0]]
		if !ok {
			return nil, fmt.Errorf("line %d: %q is no command", n+1, words[0])
		}
		if err := do(w, words[1:]); err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n+1, line, err)
		}
	}
	if w.mon.violation != "" {
		return nil, fmt.Errorf("%s", w.mon.violation)
	}
	return nil, nil
}

// commands of a script.
var commands = map[string]func(*Cluster, []string) error{
	"spec":     scriptSpec,
	"target":   scriptTarget,
	"check":    scriptCheck,
	"gate":     scriptGate,
	"annotate": scriptAnnotate,
	"wait":     scriptWait,
	"pass":     func(w *Cluster, _ []string) error { w.controller.reconcile(); return nil },
	"crash":    func(w *Cluster, _ []string) error { w.controller.restart(); return nil },
	"push":     func(w *Cluster, a []string) error { w.push(behaviour(strings.Join(a, " "))); return w.wake() },
	"move": func(w *Cluster, a []string) error {
		w.pushAgain(a[0], behaviour(strings.Join(a[1:], " ")))
		return w.wake()
	},
	"late": func(w *Cluster, a []string) error { // the policy selects a new tag and reports no digest yet
		w.tags++
		tag := fmt.Sprintf("1.%d.0", w.tags)
		w.behaviours[tag] = behaviour(strings.Join(a, " "))
		w.policyReports(tag, false)
		return w.wake()
	},
	"reflect": func(w *Cluster, _ []string) error { w.reportDigest(); return w.wake() },
	"select":  func(w *Cluster, a []string) error { w.selectTag(a[0]); return w.wake() },
	"mind": func(w *Cluster, a []string) error {
		w.behaviours[a[0]] = behaviour(strings.Join(a[1:], " "))
		return nil
	},
	"rest": func(w *Cluster, _ []string) error { w.mon.checkTargets(w.rollout.live()); return nil },
	"settle": func(w *Cluster, a []string) error {
		d, err := time.ParseDuration(a[0])
		w.settled = w.wall.Add(d)
		return err
	},
	"red":    func(w *Cluster, a []string) error { w.externalUnhealthy = a[0] == "yes"; return nil },
	"outage": scriptOutage,
	"clock": func(w *Cluster, a []string) error {
		d, err := time.ParseDuration(a[0])
		w.Jump(d)
		return err
	},
}

// wake queues a reconciliation, as a watch does.
func (w *Cluster) wake() error {
	w.controller.queued = true
	return nil
}

// scriptOutage stops the controller for a while: outage DURATION; with outage DURATION fresh, a new process starts
// afterwards.
func scriptOutage(w *Cluster, args []string) error {
	d, err := time.ParseDuration(args[0])
	w.blind = true
	for end := w.mono + d; err == nil && w.mono < end; {
		w.Advance(time.Second)
		w.runAll()
	}
	w.blind = false
	if len(args) > 1 && args[1] == "fresh" {
		w.controller.restart()
	}
	w.controller.queued = true
	return err
}

// scriptWait advances the time.
func scriptWait(w *Cluster, args []string) error {
	d, err := time.ParseDuration(args[0])
	for end := w.mono + d; err == nil && w.mono < end; {
		for n := 0; w.controller.queued || w.controller.requeueAt >= 0 && w.controller.requeueAt <= w.mono; n++ {
			if n == 50 {
				return fmt.Errorf("it does not settle")
			}
			w.controller.reconcile()
		}
		w.Advance(time.Second)
		if w.runAll() {
			w.controller.queued = true
		}
	}
	return err
}

// scriptSpec sets fields of the spec: field=value, or field= to unset one.
func scriptSpec(w *Cluster, args []string) error {
	for _, arg := range args {
		field, value, _ := strings.Cut(arg, "=")
		set, ok := specFields[field]
		if !ok {
			return fmt.Errorf("%q is no field", field)
		}
		w.editSpec(func(s *v1alpha1.RolloutSpec) { set(s, value) })
	}
	return w.wake()
}

var specFields = map[string]func(*v1alpha1.RolloutSpec, string){
	"bakeTime":          func(s *v1alpha1.RolloutSpec, v string) { s.BakeTime = optionalDuration(v) },
	"deployTimeout":     func(s *v1alpha1.RolloutSpec, v string) { s.DeployTimeout = optionalDuration(v) },
	"onDowngrade":       func(s *v1alpha1.RolloutSpec, v string) { s.OnDowngrade = v1alpha1.OnDowngrade(v) },
	"onFailure":         func(s *v1alpha1.RolloutSpec, v string) { s.OnFailure = v1alpha1.OnFailure(v) },
	"afterFailure":      func(s *v1alpha1.RolloutSpec, v string) { s.AfterFailure = v1alpha1.AfterFailure(v) },
	"selection":         func(s *v1alpha1.RolloutSpec, v string) { s.Selection = v1alpha1.Selection(v) },
	"initialDeployment": func(s *v1alpha1.RolloutSpec, v string) { s.InitialDeployment = v1alpha1.InitialDeployment(v) },
	"rollbackFloor":     func(s *v1alpha1.RolloutSpec, v string) { s.RollbackFloor = v },
	"suspend":           func(s *v1alpha1.RolloutSpec, v string) { s.Suspend = v == "true" },
	"wantedVersion": func(s *v1alpha1.RolloutSpec, v string) {
		if s.WantedVersion = nil; v != "" {
			s.WantedVersion = &v
		}
	},
	"checks": func(s *v1alpha1.RolloutSpec, v string) {
		if s.HealthCheckSelector = nil; v == "all" {
			s.HealthCheckSelector = &v1alpha1.HealthCheckSelector{Selector: &v1alpha1.LabelSelector{}}
		}
	},
}

func optionalDuration(v string) *v1alpha1.Duration {
	if v == "" {
		return nil
	}
	d := v1alpha1.Duration(v)
	return &d
}

// scriptTarget adds or changes a target: target NAME [value=TAG] [form=FORM] [suspend=yes] [problem=yes]; or deletes
// it: target NAME gone.
func scriptTarget(w *Cluster, args []string) error {
	t := Target{Kind: "Kustomization", Name: args[0], Variable: "VERSION"}
	if len(args) > 1 && args[1] == "gone" {
		w.targets.set(slices.DeleteFunc(slices.Clone(w.targets.live()), func(o Target) bool { return o.id() == t.id() }), false)
		return w.wake()
	}
	if !slices.ContainsFunc(w.targets.live(), func(o Target) bool { return o.id() == t.id() }) {
		w.addTarget(t)
	}
	for _, arg := range args[1:] {
		field, value, _ := strings.Cut(arg, "=")
		w.editTarget(t.id(), func(t *Target) {
			switch field {
			case "value":
				t.Value, t.Gen = value, t.Gen+1
			case "form":
				t.Form = version.Form(value)
			case "suspend":
				t.suspend(value == "yes")
			case "problem":
				t.Problem = map[bool]string{true: "spec.ref.semver wins over the tag"}[value == "yes"]
			}
		})
	}
	return w.wake()
}

// scriptCheck adds a check: check NAME [TARGET]; or deletes it: check NAME gone.
func scriptCheck(w *Cluster, args []string) error {
	list := slices.DeleteFunc(slices.Clone(w.checks.live()), func(c Check) bool { return c.Name == args[0] })
	switch {
	case len(args) == 1:
		list = append(list, Check{Name: args[0]})
	case args[1] != "gone":
		list = append(list, Check{Name: args[0], Target: Target{Kind: "Kustomization", Name: args[1], Variable: "VERSION"}.id()})
	}
	w.checks.set(list, false)
	w.mon.onChecksChanged()
	return w.wake()
}

// scriptGate adds or changes a gate: gate NAME [passing=BOOL] [allows=TAG,TAG] [gone].
func scriptGate(w *Cluster, args []string) error {
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: args[0], Generation: 1}}
	list := slices.DeleteFunc(slices.Clone(w.gates.live()), func(o *v1alpha1.RolloutGate) bool { return o.Name == args[0] })
	gone := false
	for _, arg := range args[1:] {
		field, value, _ := strings.Cut(arg, "=")
		switch field {
		case "passing":
			yes := value == "true"
			g.Spec.Passing = &yes
		case "allows":
			tags := strings.Split(value, ",")
			g.Spec.AllowedVersions = &tags
		case "gone":
			gone = true
		}
	}
	if !gone {
		list = append(list, g)
	}
	w.gates.set(list, false)
	return w.wake()
}

// scriptAnnotate sets an annotation of the Rollout: annotate KEY VALUE.
func scriptAnnotate(w *Cluster, args []string) error {
	w.annotate("rollout.kuberik.com/"+args[0], strings.Join(args[1:], " "))
	return w.wake()
}

// traceStatus adds the changes of a status that users see to the trace.
func (m *monitor) traceStatus(old, now *v1alpha1.RolloutStatus) {
	if m.w.trace == nil || !m.w.trace.eventsOnly {
		return
	}
	if old.Phase != now.Phase || old.CurrentVersion != now.CurrentVersion {
		m.w.note("phase", "%s %s", now.Phase, now.CurrentVersion)
	}
	was, is := blockers(old), blockers(now)
	if was != is && is != "" {
		m.w.note("waits", "%s", is)
	}
	for _, q := range now.Quarantined {
		if !slices.ContainsFunc(old.Quarantined, func(o v1alpha1.Quarantine) bool { return o.ReleaseIdentity == q.ReleaseIdentity }) {
			m.w.note("isolated", "%s", q.Tag)
		}
	}
	for _, e := range release.Events(*m.w.rollout.live().spec, *old, *now, release.Decision{}) {
		m.w.note("event", "%s: %s", e.Reason, e.Message)
	}
}

func blockers(st *v1alpha1.RolloutStatus) string {
	var list []string
	for _, b := range st.BlockedBy {
		list = append(list, fmt.Sprintf("%s %s (%s)", b.Kind, b.Name, b.Reason))
	}
	return strings.Join(list, ", ")
}
