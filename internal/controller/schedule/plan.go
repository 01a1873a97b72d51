package schedule

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/schedule"
	"github.com/kuberik/kuberik/internal/version"
)

// plan is what there has to be: a gate for each Rollout. What else belongs to the schedule has to go.
type plan struct {
	rollouts []types.NamespacedName
	// gates are in the order of the Rollouts; nil where there is none yet.
	gates []*v1alpha1.RolloutGate
	gone  []*v1alpha1.RolloutGate
}

// arrange finds out which gate is for which Rollout. A Rollout that has several keeps the one whose name says that it is for it, else
// the oldest.
func arrange(s *subject, rollouts []types.NamespacedName, existing []*v1alpha1.RolloutGate) plan {
	p := plan{rollouts: rollouts, gates: make([]*v1alpha1.RolloutGate, len(rollouts))}
	byName, byLabel, byRef := map[types.NamespacedName]int{}, map[types.NamespacedName]int{}, map[types.NamespacedName]int{}
	for i, ro := range rollouts {
		byName[types.NamespacedName{Namespace: ro.Namespace, Name: gateName(s, ro)}] = i
		byLabel[types.NamespacedName{Namespace: ro.Namespace, Name: version.LabelValue(ro.Name)}] = i
		byRef[ro] = i
	}
	var rest []*v1alpha1.RolloutGate
	for _, g := range existing {
		if i, ok := byName[types.NamespacedName{Namespace: g.Namespace, Name: g.Name}]; ok {
			p.gates[i] = g
		} else {
			rest = append(rest, g)
		}
	}
	for _, g := range rest {
		i, ok := byLabel[types.NamespacedName{Namespace: g.Namespace, Name: g.Labels[v1alpha1.LabelScheduleRollout]}]
		if !ok {
			i, ok = byRef[types.NamespacedName{Namespace: g.Namespace, Name: g.Spec.RolloutRef.Name}]
		}
		if ok && p.gates[i] == nil {
			p.gates[i] = g
		} else {
			p.gone = append(p.gone, g)
		}
	}
	return p
}

// gateName follows from the schedule and the Rollout.
func gateName(s *subject, ro types.NamespacedName) string {
	name := s.object.GetName() + "-" + ro.Name
	return version.Distinct(name, s.kind+"/"+s.object.GetNamespace()+"/"+s.object.GetName()+"/"+ro.Name)
}

// shape makes a gate what it has to be, but for its owner. Labels and annotations of others stay.
func (s *subject) shape(g *v1alpha1.RolloutGate, ro types.NamespacedName, said schedule.Evaluation) {
	g.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Passing: &said.Open}
	put(&g.Labels, v1alpha1.LabelScheduleKind, s.kind)
	put(&g.Labels, v1alpha1.LabelScheduleNamespace, version.LabelValue(s.object.GetNamespace()))
	put(&g.Labels, v1alpha1.LabelScheduleName, version.LabelValue(s.object.GetName()))
	put(&g.Labels, v1alpha1.LabelScheduleRollout, version.LabelValue(ro.Name))
	for _, shown := range []string{v1alpha1.AnnotationGatePrettyName, v1alpha1.AnnotationGateDescription} {
		put(&g.Annotations, shown, s.object.GetAnnotations()[shown])
	}
	put(&g.Annotations, v1alpha1.AnnotationGateReason, s.reason(said))
	put(&g.Annotations, v1alpha1.AnnotationGateUntil, until(said.NextTransition))
}

// reason says why the gates are as they are.
func (s *subject) reason(said schedule.Evaluation) string {
	if said.Invalid() {
		return version.Clean(s.String()+" is invalid and closes its gates: "+said.Problem, maxMessage)
	}
	state := " is closed"
	if said.Open {
		state = " is open"
	}
	if said.NextTransition.IsZero() {
		return s.String() + state + " until somebody changes it"
	}
	return s.String() + state + " until " + said.NextTransition.In(said.Zone).Format("2006-01-02T15:04Z07:00")
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// put sets a value, or takes it out if it is empty.
func put(to *map[string]string, key, value string) {
	switch {
	case value == "":
		delete(*to, key)
	case *to == nil:
		*to = map[string]string{key: value}
	default:
		(*to)[key] = value
	}
}

// claim is the schedule that a gate says it belongs to: its controller, or, if it has none, the one that its labels name.
func claim(g *v1alpha1.RolloutGate) (kind string, schedule types.NamespacedName, ok bool) {
	kind, schedule.Name = g.Labels[v1alpha1.LabelScheduleKind], g.Labels[v1alpha1.LabelScheduleName]
	if owner := metav1.GetControllerOfNoCopy(g); owner != nil {
		if !strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/") {
			return "", schedule, false
		}
		kind, schedule.Name = owner.Kind, owner.Name
	}
	switch kind {
	case v1alpha1.KindRolloutSchedule:
		schedule.Namespace = g.Namespace
	case v1alpha1.KindClusterRolloutSchedule:
	default:
		return "", schedule, false
	}
	return kind, schedule, schedule.Name != ""
}

// key names a schedule in the index. Names are shortened as in labels.
func key(kind, namespace, name string) string {
	return kind + "/" + namespace + "/" + version.LabelValue(name)
}
