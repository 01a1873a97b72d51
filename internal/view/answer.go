package view

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// whyRelease answers for a release that the status of the Rollout is not about.
func (f Facts) whyRelease(rel *v1alpha1.Release) Answer {
	id := version.Identity(rel.Spec.Version)
	a := f.answer(id)
	st := rel.Status
	a.State = string(st.Phase)
	tag, place := clean(id.Tag), f.place()
	switch st.Phase {
	case v1alpha1.ReleaseAvailable, v1alpha1.ReleaseDeploying, v1alpha1.ReleaseBaking:
		f.wasDeployed(&a, id)
	case v1alpha1.ReleaseFailed:
		a.Standing, a.Summary = Failed, tag+" failed in "+place+f.on(st.BakeEndTime)+": "+clean(st.Message)
		if st.Quarantine != nil {
			a.Blockers = f.obstacles([]v1alpha1.Blocker{f.quarantine(st.Quarantine)}, id)
		}
	case v1alpha1.ReleaseSuperseded, v1alpha1.ReleaseCancelled:
		a.Standing, a.Summary = Replaced,
			tag+" was "+strings.ToLower(string(st.Phase))+" in "+place+f.on(st.BakeEndTime)+": "+clean(st.Message)
	default:
		f.waits(&a, rel)
	}
	return a
}

func (f Facts) on(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", " + f.Clock.At(t.Time)
}

func (f Facts) quarantine(q *v1alpha1.ReleaseQuarantine) v1alpha1.Blocker {
	b := v1alpha1.Blocker{
		Kind: "Rollout", Name: f.Rollout.Name, Reason: v1alpha1.ReasonQuarantined, Message: "it is quarantined: " + q.Reason,
		ClearedBy: "whoever may lift the quarantine, or a newer release",
	}
	if !q.Since.IsZero() {
		b.Since = &q.Since
	}
	return b
}

// wasDeployed answers for a release that became Available: it still runs, or another one followed.
func (f Facts) wasDeployed(a *Answer, id v1alpha1.ReleaseIdentity) {
	history := f.Rollout.Status.History
	at := slices.IndexFunc(history,
		func(e v1alpha1.DeploymentHistoryEntry) bool { return version.Matches(version.Identity(e.Version), id) })
	tag, place := clean(id.Tag), f.place()
	switch {
	case at == 0, at > 0 && f.running() == &history[at]:
		a.Standing, a.Summary = Fine, fmt.Sprintf("%s is %s in %s, since %s.", tag, a.State, place, f.sinceRunning())
	case at > 0:
		next := history[at-1]
		a.Standing = Replaced
		a.Summary = fmt.Sprintf("%s was %s in %s; %s replaced it, %s.", tag, a.State, place, clean(next.Version.Tag),
			f.Clock.At(next.Timestamp.Time))
	default:
		a.Standing, a.Summary = Replaced, tag+" was "+a.State+" in "+place+"; other releases have replaced it."
	}
}

// waits answers for a release that was not deployed and is not the next one.
func (f Facts) waits(a *Answer, rel *v1alpha1.Release) {
	id, st := version.Identity(rel.Spec.Version), f.Rollout.Status
	a.State, a.Standing = string(v1alpha1.ReleasePending), Waits
	tag, place := clean(id.Tag), f.place()
	for _, s := range st.Skipped {
		if !version.Matches(s.ReleaseIdentity, id) {
			continue
		}
		if s.Reason == v1alpha1.ReasonSuperseded {
			a.State, a.Standing, a.Summary = string(v1alpha1.ReleaseSuperseded), Replaced,
				tag+" was superseded in "+place+": "+clean(s.Message)
			return
		}
		a.Summary = tag + " is not deployed automatically to " + place + "."
		a.Blockers = f.obstacles([]v1alpha1.Blocker{{
			Kind: "Rollout", Name: f.Rollout.Name, Reason: s.Reason, Message: s.Message, ClearedBy: s.ClearedBy,
		}}, id)
		return
	}
	a.Summary = tag + " is not out in " + place + "."
	a.Blockers = f.obstacles(f.gatesOf(rel), id)
	if inFlight := len(st.History) > 0 && release.InFlight(&st.History[0]); inFlight {
		a.Summary = tag + " is not out in " + place + ": " + clean(st.History[0].Version.Tag) +
			" is being deployed before it."
	} else if st.PendingVersion != "" {
		a.Summary = tag + " is not out in " + place + ": " + clean(st.PendingVersion) + " is next."
	}
}

// gatesOf returns the gates that hold a release which is not the next one.
func (f Facts) gatesOf(rel *v1alpha1.Release) []v1alpha1.Blocker {
	var list []v1alpha1.Blocker
	for _, g := range rel.Status.Gates {
		if g.State != v1alpha1.GateOpen {
			list = append(list, v1alpha1.Blocker{Kind: "RolloutGate", Name: g.Name, Reason: g.Reason, Message: g.Message})
		}
	}
	return list
}

// Lines returns an answer as text. All adds what passes.
func (a Answer) Lines(c Clock, s Style, all bool) []string {
	tone := map[Standing]Tone{Fine: Good, InProgress: Busy, Waits: Held, Failed: Bad, Replaced: Idle}[a.Standing]
	summary := a.Summary
	if len(a.Blockers) > 0 && a.Standing != Failed && strings.HasSuffix(summary, ".") {
		summary += " It waits for, in this order:"
		if len(a.Blockers) == 1 {
			summary = strings.TrimSuffix(summary, ", in this order:") + ":"
		}
	}
	lines := Wrap(s.sign(tone)+s.Strong(summary), s.Width)
	for i, o := range a.Blockers {
		lines = append(append(lines, ""), o.lines(c, s, i+1)...)
	}
	lines = append(lines, a.passingLines(s, all)...)
	lines = append(lines, a.footer(c, s)...)
	return lines
}

// labelWidth is how wide the labels below a blocker are.
const labelWidth = 11

func (o Obstacle) lines(c Clock, s Style, number int) []string {
	title := blockerName(v1alpha1.Blocker{Kind: o.Kind, Name: o.Name, Reason: o.Reason})
	head := fmt.Sprintf("%-3d", number) + s.Paint(Held, title)
	message := clean(o.Message)
	lines := []string{head + "   " + message}
	if s.Width > 0 && Width(lines[0]) > s.Width {
		lines = append([]string{head}, indented(message, s)...)
	}
	if o.Since != nil {
		lines = append(lines, s.hang("since", c.At(o.Since.Time)+" ("+c.Age(o.Since)+")")...)
	}
	if by := o.clearedBy(c); by != "" {
		lines = append(lines, s.hang("cleared by", by)...)
	}
	return append(lines, o.yours(s)...)
}

// clearedBy says who or what clears a blocker, and when it clears by itself.
func (o Obstacle) clearedBy(c Clock) string {
	by := clean(o.ClearedBy)
	if o.Until == nil {
		return by
	}
	by = strings.TrimPrefix(strings.TrimPrefix(by, "time"), ", or ")
	text := "itself at " + c.At(o.Until.Time) + " (in " + c.Left(o.Until) + ")"
	if by != "" {
		text += ", or " + by
	}
	return text
}

// yours says what the person who asks can type.
func (o Obstacle) yours(s Style) []string {
	if o.You == nil {
		return nil
	}
	var lines []string
	for _, w := range o.Ways {
		if !w.May {
			continue
		}
		label, text := "you", "are "+clean(o.You.User)+" and may "+clean(w.Does)+":"
		if len(lines) > 0 {
			label, text = "", "or "+clean(w.Does)+":"
		}
		// A command is copied as a whole, so it is never broken.
		lines = append(append(lines, s.hang(label, text)...), strings.Repeat(" ", indent+labelWidth+2)+s.Strong(w.Command))
	}
	if len(lines) == 0 {
		return s.hang("you", "are "+clean(o.You.User)+" and may not: "+clean(o.You.Why))
	}
	return lines
}

// hang returns text with a label before it, wrapped below itself.
func (s Style) hang(label, text string) []string {
	const margin = "   "
	width := 0
	if s.Width > 0 {
		width = max(s.Width-len(margin)-labelWidth, minNote)
	}
	var lines []string
	for i, line := range Wrap(text, width) {
		if i > 0 {
			label = ""
		}
		lines = append(lines, margin+s.Paint(Idle, pad(label, labelWidth))+line)
	}
	return lines
}

// passingLines returns what holds nothing: by name, or with its messages.
func (a Answer) passingLines(s Style, all bool) []string {
	if len(a.Passing) == 0 || !all && len(a.Blockers) == 0 {
		return nil
	}
	if all {
		lines := []string{""}
		for _, p := range a.Passing {
			lines = append(lines, Wrap(s.sign(Good)+clean(p.Kind)+" "+clean(p.Name)+"   "+clean(p.State)+"   "+clean(p.Message),
				s.Width)...)
		}
		return lines
	}
	var parts []string
	for _, kind := range []struct{ kind, label string }{{"RolloutGate", "Open"}, {"HealthCheck", "Healthy"}} {
		var names []string
		for _, p := range a.Passing {
			if p.Kind == kind.kind {
				names = append(names, clean(p.Name))
			}
		}
		if len(names) > 0 {
			parts = append(parts, kind.label+": "+strings.Join(names, ", ")+".")
		}
	}
	return append([]string{""}, Wrap(strings.Join(parts, "  "), s.Width)...)
}

func (a Answer) footer(c Clock, s Style) []string {
	var lines []string
	if e := a.Earliest; e != nil && e.Deployment != nil {
		lines = append(lines, Wrap(e.text(c), s.Width)...)
	}
	for _, k := range a.Skipped {
		text := clean(k.Tag) + " is not deployed automatically: " + clean(k.Message)
		if k.ClearedBy != "" {
			text += " (cleared by " + clean(k.ClearedBy) + ")"
		}
		lines = append(lines, Wrap(text, s.Width)...)
	}
	if a.Runs != "" && a.Runs != a.Subject.Tag {
		runs := "Now runs " + clean(a.Runs)
		if a.RunsSince != nil {
			runs += ", since " + c.At(a.RunsSince.Time)
		}
		lines = append(lines, runs+".")
	}
	if len(lines) > 0 && len(a.Passing) == 0 {
		lines = append([]string{""}, lines...)
	}
	return lines
}

func (e Estimate) text(c Clock) string {
	text := "Earliest: " + c.At(e.Deployment.Time)
	if len(e.Needs) > 0 {
		var numbers []string
		for _, n := range e.Needs {
			numbers = append(numbers, fmt.Sprint(n))
		}
		text += " if " + strings.Join(numbers, " and ")
		if len(numbers) > 1 {
			text += " are"
		} else {
			text += " is"
		}
		text += " cleared by then"
	}
	if e.Available == nil {
		return text + "."
	}
	text += ";"
	if e.Bake != "" {
		text += " after a bake of " + clean(e.Bake)
	}
	return text + " it would be Available at about " + c.At(e.Available.Time) + "."
}
