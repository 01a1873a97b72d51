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
	// listed is how many gates a status names.
	listed = 500
	// told is how many Rollouts a condition says what went wrong for.
	told = 3
	// maxMessage bounds what is said.
	maxMessage = 1024
)

// report writes the status, if it says something new, and then the events.
func (c *Controller) report(ctx context.Context, s *subject, said schedule.Evaluation, out outcome) error {
	next := s.next(said, out, c.clock.Now())
	if equality.Semantic.DeepEqual(s.status, next) {
		return nil
	}
	if err := kube.PatchStatus(ctx, c.client, s.object, s.with(next)); err != nil {
		return err
	}
	for _, e := range happened(s.status, next, said) {
		c.events.Eventf(s.object, nil, e.kind, e.reason, e.reason, "%s", e.note)
	}
	return nil
}

// next is the status that follows from what was found and done.
func (s *subject) next(said schedule.Evaluation, out outcome, now time.Time) v1alpha1.ScheduleStatus {
	st := *s.status.DeepCopy()
	st.ObservedGeneration = s.object.GetGeneration()
	st.Active, st.ActiveRules, st.NextTransition = said.Active, said.ActiveRules, nil
	if !said.NextTransition.IsZero() {
		st.NextTransition = &metav1.Time{Time: said.NextTransition}
	}
	slices.Sort(out.managed)
	st.ManagedGates, st.MatchingRollouts = out.managed[:min(len(out.managed), listed)], out.rollouts
	for _, condition := range []metav1.Condition{stalled(said), ready(said, out)} {
		condition.ObservedGeneration = st.ObservedGeneration
		condition.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		condition.Message = version.Clean(condition.Message, maxMessage)
		apimeta.SetStatusCondition(&st.Conditions, condition)
	}
	return st
}

func stalled(said schedule.Evaluation) metav1.Condition {
	if said.Stalled() {
		return metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: said.Reason, Message: said.Problem}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonScheduleEvaluated,
		Message: "the schedule is valid",
	}
}

func ready(said schedule.Evaluation, out outcome) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonScheduleClosed}
	parts := []string{effect(said, out)}
	if said.Open {
		c.Reason = v1alpha1.ReasonScheduleOpen
	}
	if len(out.failed) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonScheduleGatesFailed
		parts = []string{failures(out)}
	}
	if said.Stalled() {
		c.Status, c.Reason = metav1.ConditionFalse, said.Reason
	}
	if said.Problem != "" {
		parts = append([]string{said.Problem}, parts...)
	}
	c.Message = strings.Join(parts, "; ")
	return c
}

// effect says what the schedule does to Rollouts.
func effect(said schedule.Evaluation, out outcome) string {
	switch {
	case out.rollouts == 0:
		return "selects no Rollout"
	case said.Open:
		return "lets " + count(out.rollouts) + " pass"
	}
	return "holds " + count(out.rollouts)
}

func failures(out outcome) string {
	if len(out.failed) > told {
		return strings.Join(out.failed[:told], "; ") + fmt.Sprintf("; and %d more", len(out.failed)-told)
	}
	return strings.Join(out.failed, "; ")
}

func count(n int) string {
	if n == 1 {
		return "1 Rollout"
	}
	return fmt.Sprintf("%d Rollouts", n)
}

// news is something that happened.
type news struct{ kind, reason, note string }

// happened finds out what is new in a status.
func happened(before, after v1alpha1.ScheduleStatus, said schedule.Evaluation) []news {
	var list []news
	for _, bad := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionReady} {
		now, was := apimeta.FindStatusCondition(after.Conditions, bad), apimeta.FindStatusCondition(before.Conditions, bad)
		trouble := now.Status == metav1.ConditionTrue
		if bad == v1alpha1.ConditionReady {
			trouble = now.Reason == v1alpha1.ReasonScheduleGatesFailed
		}
		if trouble && (was == nil || was.Reason != now.Reason) {
			list = append(list, news{corev1.EventTypeWarning, now.Reason, now.Message})
		}
	}
	if before.Active == after.Active || said.Invalid() {
		return list
	}
	e := news{corev1.EventTypeNormal, "ScheduleInactive", "the schedule is no longer active"}
	if after.Active {
		e.reason, e.note = "ScheduleActive", "the schedule is active"
	}
	if rules := strings.Join(slices.DeleteFunc(slices.Clone(after.ActiveRules), func(r string) bool { return r == "" }), ", "); rules != "" {
		e.note += " (" + rules + ")"
	}
	e.note += ": " + consequence(after, said)
	if after.NextTransition != nil {
		e.note += ", until " + after.NextTransition.In(said.Zone).Format("2006-01-02T15:04Z07:00")
	}
	return append(list, e)
}

// consequence is the message of Ready as the end of a sentence.
func consequence(after v1alpha1.ScheduleStatus, said schedule.Evaluation) string {
	ready := apimeta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady)
	if ready.Status == metav1.ConditionTrue && said.Problem == "" {
		return "it " + ready.Message // which says what the schedule does
	}
	return ready.Message
}
