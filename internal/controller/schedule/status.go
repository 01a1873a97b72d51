package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/schedule"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// maxManagedGates is the number of gates that a status lists.
	maxManagedGates = 500
	// maxFailures is the number of errors that a condition lists.
	maxFailures = 3
	// maxMessage is the maximum length of a message in bytes.
	maxMessage = 1024
)

// updateStatus writes the status if it changed, and then the events.
func (c *Controller) updateStatus(ctx context.Context, s *anySchedule, eval schedule.Evaluation, res result) error {
	next := s.nextStatus(eval, res, c.clock.Now())
	if equality.Semantic.DeepEqual(s.status, next) {
		return nil
	}
	if err := kube.PatchStatus(ctx, c.client, s.object, s.withStatus(next)); err != nil {
		return err
	}
	for _, e := range newEvents(s.status, next, eval) {
		c.events.Eventf(s.object, nil, e.kind, e.reason, e.reason, "%s", e.note)
	}
	return nil
}

// nextStatus returns the status for an evaluation and the result of a reconcile.
func (s *anySchedule) nextStatus(eval schedule.Evaluation, res result, now time.Time) v1alpha1.ScheduleStatus {
	st := *s.status.DeepCopy()
	st.ObservedGeneration = s.object.GetGeneration()
	st.Active, st.ActiveRules, st.NextTransition = eval.Active, eval.ActiveRules, nil
	if !eval.NextTransition.IsZero() {
		st.NextTransition = &metav1.Time{Time: eval.NextTransition}
	}
	slices.Sort(res.managed)
	st.ManagedGates, st.MatchingRollouts = res.managed[:min(len(res.managed), maxManagedGates)], res.rollouts
	for _, condition := range []metav1.Condition{stalled(eval), ready(eval, res)} {
		condition.ObservedGeneration = st.ObservedGeneration
		condition.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		condition.Message = version.Clean(condition.Message, maxMessage)
		apimeta.SetStatusCondition(&st.Conditions, condition)
	}
	return st
}

func stalled(eval schedule.Evaluation) metav1.Condition {
	if eval.Stalled() {
		return metav1.Condition{
			Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: eval.Reason, Message: eval.Problem,
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonScheduleEvaluated,
		Message: "the schedule is valid",
	}
}

func ready(eval schedule.Evaluation, res result) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonScheduleClosed,
	}
	parts := []string{effectMessage(eval, res)}
	if eval.Open {
		c.Reason = v1alpha1.ReasonScheduleOpen
	}
	if len(res.failed) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonScheduleGatesFailed
		parts = []string{failureMessage(res)}
	}
	if eval.Stalled() {
		c.Status, c.Reason = metav1.ConditionFalse, eval.Reason
	}
	if eval.Problem != "" {
		parts = append([]string{eval.Problem}, parts...)
	}
	c.Message = strings.Join(parts, "; ")
	return c
}

// effectMessage returns the effect of the schedule on Rollouts.
func effectMessage(eval schedule.Evaluation, res result) string {
	switch {
	case res.rollouts == 0:
		return "selects no Rollout"
	case eval.Open:
		return "lets " + countRollouts(res.rollouts) + " pass"
	}
	return "holds " + countRollouts(res.rollouts)
}

func failureMessage(res result) string {
	if len(res.failed) > maxFailures {
		return strings.Join(res.failed[:maxFailures], "; ") + fmt.Sprintf("; and %d more", len(res.failed)-maxFailures)
	}
	return strings.Join(res.failed, "; ")
}

func countRollouts(n int32) string {
	if n == 1 {
		return "1 Rollout"
	}
	return fmt.Sprintf("%d Rollouts", n)
}

// statusEvent is an event about a change of the status.
type statusEvent struct{ kind, reason, note string }

// Reasons of the events of a schedule. Events about problems have the reason of the condition.
const (
	// eventScheduleActive means that a rule of the schedule matches now.
	eventScheduleActive = "ScheduleActive"
	// eventScheduleInactive means that no rule of the schedule matches any more.
	eventScheduleInactive = "ScheduleInactive"
)

// newEvents returns the events for a change of the status.
func newEvents(before, after v1alpha1.ScheduleStatus, eval schedule.Evaluation) []statusEvent {
	var list []statusEvent
	for _, conditionType := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionReady} {
		next := apimeta.FindStatusCondition(after.Conditions, conditionType)
		previous := apimeta.FindStatusCondition(before.Conditions, conditionType)
		failing := next.Status == metav1.ConditionTrue
		if conditionType == v1alpha1.ConditionReady {
			failing = next.Reason == v1alpha1.ReasonScheduleGatesFailed
		}
		if failing && (previous == nil || previous.Reason != next.Reason) {
			list = append(list, statusEvent{corev1.EventTypeWarning, next.Reason, next.Message})
		}
	}
	if before.Active == after.Active || eval.Invalid() {
		return list
	}
	e := statusEvent{corev1.EventTypeNormal, eventScheduleInactive, "the schedule is no longer active"}
	if after.Active {
		e.reason, e.note = eventScheduleActive, "the schedule is active"
	}
	named := slices.DeleteFunc(slices.Clone(after.ActiveRules), func(r string) bool { return r == "" })
	if len(named) > 0 {
		e.note += " (" + strings.Join(named, ", ") + ")"
	}
	e.note += ": " + readyClause(after, eval)
	if after.NextTransition != nil {
		e.note += ", until " + after.NextTransition.In(eval.Zone).Format("2006-01-02T15:04Z07:00")
	}
	return append(list, e)
}

// readyClause returns the message of Ready as the second half of a sentence.
func readyClause(after v1alpha1.ScheduleStatus, eval schedule.Evaluation) string {
	ready := apimeta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady)
	if ready.Status == metav1.ConditionTrue && eval.Problem == "" {
		return "it " + ready.Message
	}
	return ready.Message
}
