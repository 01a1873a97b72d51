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

// judge says what a Job amounts to. What an ended one does is found out once: its pods and their logs do not stay for ever.
func (c *Checker) judge(ctx context.Context, job *batchv1.Job, known record) (outcome, error) {
	if o, ok := known.ended[job.UID]; ok {
		return o, nil
	}
	end := ended(job)
	switch {
	case end == nil && !job.DeletionTimestamp.IsZero():
		return outcome{phase: interrupted, at: job.DeletionTimestamp.Time, report: pending("Job " + job.Name + " was deleted")}, nil
	case end == nil:
		return c.watch(ctx, job, known.trouble[job.UID])
	case end.Type == batchv1.JobComplete:
		report := health.Report{State: v1alpha1.HealthHealthy, Message: "Job " + job.Name + " completed"}
		return outcome{phase: passed, at: end.LastTransitionTime.Time, report: report}, nil
	}
	pods, err := c.pods(ctx, job)
	if err != nil {
		return outcome{}, err
	}
	return c.post(ctx, job, end, pods, known.trouble[job.UID]), nil
}

// watch says how far a Job is that has not ended. What kept it from starting before still did if its pod is gone: its time is over.
func (c *Checker) watch(ctx context.Context, job *batchv1.Job, before string) (outcome, error) {
	switch {
	case job.Spec.Suspend != nil && *job.Spec.Suspend:
		return wait(job, "is suspended", ""), nil
	case job.Status.StartTime.IsZero():
		return wait(job, "waits for Kubernetes to start it", ""), nil
	}
	pods, err := c.pods(ctx, job)
	switch {
	case err != nil:
		return outcome{}, err
	case len(pods) == 0:
		return wait(job, "is starting", cmp.Or(c.denied(ctx, job), before)), nil
	case pods[0].Status.Phase == corev1.PodPending:
		return wait(job, "is starting", trouble(&pods[0])), nil
	}
	return wait(job, "is running", trouble(&pods[0])), nil
}

// ended is the condition that says how a Job ended.
func ended(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return c
		}
	}
	return nil
}

// wait is the outcome of a Job that goes on. What is in its way, if something is, says more than how far it is.
func wait(job *batchv1.Job, stage, trouble string) outcome {
	if trouble != "" {
		stage = "waits: " + trouble
	}
	return outcome{phase: going, trouble: trouble, report: pending("Job " + job.Name + " " + stage)}
}

// atOnce is how many pods or Jobs are read at once, and mostPages how often: whoever may create them decides how many have the labels of a
// Job or of a check, and how large they are.
const (
	atOnce    = 8
	mostPages = 64
)

// pods of a Job, the newest first, with what is read of them.
func (c *Checker) pods(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	var found []corev1.Pod
	pages, ofJob := 0, client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)}
	for list, err := range kube.Pages[corev1.PodList](ctx, c.Live, atOnce, client.InNamespace(job.Namespace), ofJob) {
		if err != nil {
			return nil, fmt.Errorf("listing the pods of Job %q: %w", job.Name, err)
		}
		for i := range list.Items {
			if p := &list.Items[i]; metav1.IsControlledBy(p, job) {
				found = append(found, slim(p))
			}
		}
		if pages++; pages == mostPages {
			break
		}
	}
	slices.SortFunc(found, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// slim is what is read of a pod.
func slim(p *corev1.Pod) corev1.Pod {
	s := corev1.Pod{Status: p.Status}
	s.Namespace, s.Name, s.CreationTimestamp, s.DeletionTimestamp = p.Namespace, p.Name, p.CreationTimestamp, p.DeletionTimestamp
	for i := range p.Spec.Containers {
		s.Spec.Containers = append(s.Spec.Containers, corev1.Container{Name: p.Spec.Containers[i].Name})
	}
	return s
}

// denied is why the Job controller cannot make a pod: a quota or an admission policy. Only its events say so.
func (c *Checker) denied(ctx context.Context, job *batchv1.Job) string {
	var list corev1.EventList
	about := client.MatchingFields{"involvedObject.uid": string(job.UID), "reason": "FailedCreate"}
	if err := c.Live.List(ctx, &list, client.InNamespace(job.Namespace), about, client.Limit(atOnce)); err != nil || len(list.Items) == 0 {
		return "" // it is only help for the reader
	}
	latest := slices.MaxFunc(list.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return "no pod can be made: " + reason(strings.TrimPrefix(latest.Message, "Error creating: "))
}

// post returns why a Job failed. A pod that was taken away says nothing about the deployment.
func (c *Checker) post(ctx context.Context, job *batchv1.Job, end *batchv1.JobCondition, pods []corev1.Pod, trouble string) outcome {
	at := end.LastTransitionTime.Time
	pod := culprit(pods)
	why := ""
	if end.Reason != batchv1.JobReasonDeadlineExceeded {
		why = disrupted(pod)
	}
	if why != "" || end.Reason == batchv1.JobReasonPodFailurePolicy && onDisruption(job) {
		return outcome{phase: interrupted, at: at, report: pending("Job " + job.Name + ": " + cmp.Or(why, "its pod was taken from its node"))}
	}
	message := "Job " + job.Name + " " + cause(job, end, pod, trouble)
	if lines := c.lastLines(ctx, pod); lines != "" {
		message += ": " + lines
	}
	return outcome{phase: failed, at: at, report: health.Report{State: v1alpha1.HealthUnhealthy, Message: message}}
}

// cause says what made a Job fail.
func cause(job *batchv1.Job, end *batchv1.JobCondition, pod *corev1.Pod, before string) string {
	if end.Reason == batchv1.JobReasonDeadlineExceeded || pod != nil && pod.Status.Reason == batchv1.JobReasonDeadlineExceeded {
		if pod != nil {
			before = cmp.Or(trouble(pod), before)
		}
		if before != "" {
			return "did not end within " + allowed(job) + ": " + before
		}
		return "did not end within " + allowed(job)
	}
	if _, exit := terminated(pod); exit != nil {
		if exit.Reason == "OOMKilled" {
			return "failed: it ran out of memory"
		}
		return fmt.Sprintf("failed with exit code %d", exit.ExitCode)
	}
	return "failed: " + reason(cmp.Or(end.Message, end.Reason))
}

// allowed is how long a run may take.
func allowed(job *batchv1.Job) string {
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
