package lint

import (
	"context"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/schedule"
)

// cached is how many bytes of compiled expressions a run keeps.
const cached = 4 << 20

func (r *run) checkGates(x *index) {
	known := append([]string{v1alpha1.GateClassManual, v1alpha1.GateClassHTTP, v1alpha1.GateClassEnvironment},
		r.GateClasses...)
	asker := apicheck.Asker{Conditions: expr.NewCache(cached, cached)}
	for _, g := range x.gates {
		if class := gate.Class(g.value); !slices.Contains(known, class) {
			r.add("KL012", g.object, "spec.class", "class %q is evaluated by nobody here%s", class,
				quoted(didYouMean(class, known), known))
		}
		r.checkReference(g.object, reference{"KL013", "spec.rolloutRef.name", "Rollout", g.value.Spec.RolloutRef.Name},
			beside(g.object, x.rollouts))
		if g.value.Spec.HTTP != nil {
			if err := asker.Compile(context.Background(), g.value); err != nil {
				field, _, _ := strings.Cut(err.Error(), ":")
				r.add("KL014", g.object, "spec.http."+field, "%v", err)
			}
		}
		r.checkNeverOpen(g)
	}
}

// quoted puts the word of a question in quotes.
func quoted(question string, words []string) string {
	for _, w := range words {
		question = strings.Replace(question, " "+w+"?", ` "`+w+`"?`, 1)
	}
	return question
}

// checkNeverOpen finds a gate that somebody has to edit before it opens for any release.
func (r *run) checkNeverOpen(g typed[v1alpha1.RolloutGate]) {
	spec := g.value.Spec
	switch {
	case spec.Passing != nil && !*spec.Passing:
		r.add("KL017", g.object, "spec.passing", "passing: false holds every release until somebody edits the gate")
	case spec.AllowedVersions != nil && len(*spec.AllowedVersions) == 0 && spec.Approvals == nil:
		r.add("KL017", g.object, "spec.allowedVersions", "an empty allowedVersions holds every release until somebody "+
			"edits the gate")
	}
}

// reference is a field of an object that names another one, and the rule for it.
type reference struct{ id, field, kind, name string }

// checkReference finds a reference to an object that the files do not have. If they have no object of the kind at all,
// it is probably in other files.
func (r *run) checkReference(o *object, ref reference, names []string) {
	if ref.name == "" || len(names) == 0 || slices.Contains(names, ref.name) {
		return
	}
	r.add(ref.id, o, ref.field, "there is no %s %s in these files%s", ref.kind, ref.name, didYouMean(ref.name, names))
}

func (r *run) checkSchedules(x *index) {
	for _, s := range x.schedules {
		scope, err := schedule.NewScope(s.value.Spec, nil)
		r.checkSchedule(s.object, s.value.Spec, err)
		if err == nil && len(x.rollouts) > 0 && !x.selectsAny(s.object, scope) {
			r.add("KL016", s.object, "spec.rolloutSelector", "rolloutSelector selects no Rollout of these files")
		}
	}
	for _, s := range x.clusterwide {
		scope, err := schedule.NewScope(s.value.Spec.ScheduleSpec, s.value.Spec.NamespaceSelector)
		r.checkSchedule(s.object, s.value.Spec.ScheduleSpec, err)
		if err == nil && len(x.rollouts) > 0 && !x.selectsAny(nil, scope) {
			r.add("KL016", s.object, "spec.rolloutSelector", "the selectors select no Rollout of these files")
		}
	}
}

// selectsAny reports whether a schedule may select a Rollout. The labels of a namespace that the files do not have are
// unknown, and may be anything.
func (x *index) selectsAny(o *object, scope schedule.Scope) bool {
	return slices.ContainsFunc(x.rollouts, func(ro typed[v1alpha1.Rollout]) bool {
		labels, known := x.namespaces[ro.namespace]
		if o != nil {
			return sameNamespace(o, ro.object) && scope.Selects(ro.labels, nil)
		}
		if !known {
			scope.Namespaces = nil
		}
		return scope.Selects(ro.labels, labels)
	})
}

// checkSchedule finds what is wrong with the rules of a schedule, or with its selectors.
func (r *run) checkSchedule(o *object, spec v1alpha1.ScheduleSpec, selectors error) {
	if selectors != nil {
		field, _, _ := strings.Cut(selectors.Error(), " ")
		r.add("KL011", o, "spec."+field, "%v", selectors)
	}
	e := schedule.Evaluate(spec, r.Now)
	switch {
	case e.Invalid():
		r.add("KL011", o, scheduleField(e.Problem), "%s", e.Problem)
	case spec.Always: // a freeze until somebody removes it
	case neverOpens(e):
		message := "the schedule is closed at every time from now on"
		if e.Problem != "" {
			message = e.Problem
		}
		r.add("KL010", o, scheduleField(message), "%s", message)
	case e.Problem != "":
		r.add("KL015", o, "spec.rules", "%s", e.Problem)
	}
}

// neverOpens reports whether a schedule is closed now and will never be open.
func neverOpens(e schedule.Evaluation) bool { return !e.Open && e.NextTransition.IsZero() }

// scheduleField returns the field that a problem is about.
func scheduleField(problem string) string {
	if strings.HasPrefix(problem, "timezone") {
		return "spec.timezone"
	}
	return "spec.rules"
}
