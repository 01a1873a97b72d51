package script

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
)

// evaluateJob returns the outcome of a Job. That of a Job that has ended is determined once, because its pods and logs
// are deleted some time.
func (c *Checker) evaluateJob(ctx context.Context, job *batchv1.Job, known memoryEntry) (outcome, error) {
	if o, ok := known.ended[job.UID]; ok {
		return o, nil
	}
	end := ended(job)
	switch {
	case end == nil && !job.DeletionTimestamp.IsZero():
		return outcome{phase: interrupted, at: job.DeletionTimestamp.Time,
			report: pending("Job " + job.Name + " was deleted")}, nil
	case end == nil:
		return c.evaluateRunning(ctx, job, known.problem[job.UID])
	case end.Type == batchv1.JobComplete:
		report := health.Report{State: v1alpha1.HealthHealthy, Message: "Job " + job.Name + " completed"}
		return outcome{phase: passed, at: end.LastTransitionTime.Time, report: report}, nil
	}
	pods, err := c.pods(ctx, job)
	if err != nil {
		return outcome{}, err
	}
	return c.evaluateFailed(ctx, job, end, pods, known.problem[job.UID]), nil
}

// evaluateRunning returns the outcome of a Job that has not ended. If its pod was deleted, the last problem still
// applies.
func (c *Checker) evaluateRunning(ctx context.Context, job *batchv1.Job, before string) (outcome, error) {
	switch {
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return pendingOutcome(job, "is suspended", ""), nil
	case job.Status.StartTime.IsZero():
		return pendingOutcome(job, "waits for Kubernetes to start it", ""), nil
	}
	pods, err := c.pods(ctx, job)
	switch {
	case err != nil:
		return outcome{}, err
	case len(pods) == 0:
		return pendingOutcome(job, "is starting", cmp.Or(c.podCreationError(ctx, job), before)), nil
	case pods[0].Status.Phase == corev1.PodPending:
		return pendingOutcome(job, "is starting", podProblem(&pods[0])), nil
	}
	return pendingOutcome(job, "is running", podProblem(&pods[0])), nil
}

// ended returns the condition of a Job that has ended; nil if it has not.
func ended(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Status == corev1.ConditionTrue &&
			(c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return c
		}
	}
	return nil
}

// pendingOutcome returns the outcome of a Job that has not ended, with its problem or its stage.
func pendingOutcome(job *batchv1.Job, stage, problem string) outcome {
	if problem != "" {
		stage = "waits: " + problem
	}
	return outcome{phase: running, problem: problem, report: pending("Job " + job.Name + " " + stage)}
}

// pageSize is how many pods or Jobs are read at once, and maxPages how often. Users decide how many objects have the
// labels of a Job or of a check, and how large they are.
const (
	pageSize = 8
	maxPages = 64
)

// pods returns the trimmed pods of a Job, the newest first.
func (c *Checker) pods(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	var found []corev1.Pod
	pages, ofJob := 0, client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)}
	for list, err := range kube.Pages[corev1.PodList](ctx, c.Live, pageSize, client.InNamespace(job.Namespace), ofJob) {
		if err != nil {
			return nil, fmt.Errorf("listing the pods of Job %q: %w", job.Name, err)
		}
		for i := range list.Items {
			if p := &list.Items[i]; metav1.IsControlledBy(p, job) {
				found = append(found, trimPod(p))
			}
		}
		if pages++; pages == maxPages {
			break
		}
	}
	slices.SortFunc(found, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// trimPod returns the fields of a pod that are read.
func trimPod(p *corev1.Pod) corev1.Pod {
	s := corev1.Pod{Status: p.Status}
	s.Namespace, s.Name, s.CreationTimestamp, s.DeletionTimestamp = p.Namespace, p.Name, p.CreationTimestamp,
		p.DeletionTimestamp
	for i := range p.Spec.Containers {
		s.Spec.Containers = append(s.Spec.Containers, corev1.Container{Name: p.Spec.Containers[i].Name})
	}
	return s
}

// podCreationError returns why the Job controller cannot create a pod, such as a quota or an admission policy, from its
// events.
func (c *Checker) podCreationError(ctx context.Context, job *batchv1.Job) string {
	var list corev1.EventList
	about := client.MatchingFields{"involvedObject.uid": string(job.UID), "reason": "FailedCreate"}
	if err := c.Live.List(ctx, &list, client.InNamespace(job.Namespace), about, client.Limit(pageSize)); err != nil ||
		len(list.Items) == 0 {
		return "" // the message is optional
	}
	latest := slices.MaxFunc(list.Items,
		func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return "no pod can be made: " + reason(strings.TrimPrefix(latest.Message, "Error creating: "))
}

// evaluateFailed returns why a Job failed. An evicted pod says nothing about the deployment.
func (c *Checker) evaluateFailed(
	ctx context.Context, job *batchv1.Job, end *batchv1.JobCondition, pods []corev1.Pod, problem string,
) outcome {
	at := end.LastTransitionTime.Time
	pod := failedPod(pods)
	why := ""
	if end.Reason != batchv1.JobReasonDeadlineExceeded {
		why = disrupted(pod)
	}
	if why != "" || end.Reason == batchv1.JobReasonPodFailurePolicy && onDisruption(job) {
		return outcome{
			phase: interrupted, at: at, report: pending("Job " + job.Name + ": " + cmp.Or(why, "its pod was taken from its "+
				"node")),
		}
	}
	message := "Job " + job.Name + " " + cause(job, end, pod, problem)
	if lines := c.lastLines(ctx, pod); lines != "" {
		message += ": " + lines
	}
	return outcome{phase: failed, at: at, report: health.Report{State: v1alpha1.HealthUnhealthy, Message: message}}
}

// cause returns why a Job failed.
func cause(job *batchv1.Job, end *batchv1.JobCondition, pod *corev1.Pod, before string) string {
	if end.Reason == batchv1.JobReasonDeadlineExceeded || pod != nil &&
		pod.Status.Reason == batchv1.JobReasonDeadlineExceeded {
		if pod != nil {
			before = cmp.Or(podProblem(pod), before)
		}
		if before != "" {
			return "did not end within " + deadlineText(job) + ": " + before
		}
		return "did not end within " + deadlineText(job)
	}
	if _, exit := terminated(pod); exit != nil {
		if exit.Reason == "OOMKilled" {
			return "failed: it ran out of memory"
		}
		return fmt.Sprintf("failed with exit code %d", exit.ExitCode)
	}
	return "failed: " + reason(cmp.Or(end.Message, end.Reason))
}

// deadlineText returns the deadline of a run as text.
func deadlineText(job *batchv1.Job) string {
	seconds := job.Spec.Template.Spec.ActiveDeadlineSeconds
	if seconds == nil {
		seconds = job.Spec.ActiveDeadlineSeconds
	}
	if seconds == nil {
		return "its time"
	}
	text := (time.Duration(*seconds) * time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
