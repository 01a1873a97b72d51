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

// plan lists the gates that a schedule must have.
type plan struct {
	rollouts []types.NamespacedName
	// gates has the existing gate of each Rollout, or nil if it has none.
	gates []*v1alpha1.RolloutGate
	// obsolete are the gates that must be deleted.
	obsolete []*v1alpha1.RolloutGate
}

// newPlan assigns the existing gates to Rollouts. A Rollout with several gates keeps the one with the derived name,
// else the oldest.
func newPlan(s *anySchedule, rollouts []types.NamespacedName, existing []*v1alpha1.RolloutGate) plan {
	p := plan{rollouts: rollouts, gates: make([]*v1alpha1.RolloutGate, len(rollouts))}
	byName := map[types.NamespacedName]int{}
	byLabel := map[types.NamespacedName]int{}
	byRef := map[types.NamespacedName]int{}
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
			p.obsolete = append(p.obsolete, g)
		}
	}
	return p
}

// gateName derives the name of a gate from the schedule and the Rollout.
func gateName(s *anySchedule, ro types.NamespacedName) string {
	name := s.object.GetName() + "-" + ro.Name
	return version.UniqueName(name, s.kind+"/"+s.object.GetNamespace()+"/"+s.object.GetName()+"/"+ro.Name)
}

// setDesired sets the spec, labels and annotations of a gate. It keeps labels and annotations of others.
func (s *anySchedule) setDesired(g *v1alpha1.RolloutGate, ro types.NamespacedName, eval schedule.Evaluation) {
	g.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: ro.Name}, Passing: &eval.Open}
	setOrDelete(&g.Labels, v1alpha1.LabelScheduleKind, s.kind)
	setOrDelete(&g.Labels, v1alpha1.LabelScheduleNamespace, version.LabelValue(s.object.GetNamespace()))
	setOrDelete(&g.Labels, v1alpha1.LabelScheduleName, version.LabelValue(s.object.GetName()))
	setOrDelete(&g.Labels, v1alpha1.LabelScheduleRollout, version.LabelValue(ro.Name))
	for _, key := range []string{v1alpha1.AnnotationGatePrettyName, v1alpha1.AnnotationGateDescription} {
		setOrDelete(&g.Annotations, key, s.object.GetAnnotations()[key])
	}
	setOrDelete(&g.Annotations, v1alpha1.AnnotationGateReason, s.reason(eval))
	setOrDelete(&g.Annotations, v1alpha1.AnnotationGateUntil, formatUntil(eval.NextTransition))
}

// reason returns why the gates are open or closed.
func (s *anySchedule) reason(eval schedule.Evaluation) string {
	return version.Clean(eval.Describe(s.String()), maxMessage)
}

func formatUntil(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// setOrDelete sets a value, or deletes the key if the value is empty.
func setOrDelete(m *map[string]string, key, value string) {
	switch {
	case value == "":
		delete(*m, key)
	case *m == nil:
		*m = map[string]string{key: value}
	default:
		(*m)[key] = value
	}
}

// scheduleOf returns the schedule of a gate: its controlling owner, or the schedule in its labels if it has no owner.
func scheduleOf(g *v1alpha1.RolloutGate) (kind string, schedule types.NamespacedName, ok bool) {
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

// indexKey returns the key of a schedule in scheduleIndex. Names are shortened as in labels.
func indexKey(kind, namespace, name string) string {
	return kind + "/" + namespace + "/" + version.LabelValue(name)
}
