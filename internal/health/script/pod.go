package script

import (
	"cmp"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/internal/version"
)

// maxCause is the maximum length of a quoted message of Kubernetes.
const maxCause = 384

// podProblem returns why a pod does not run its containers; empty if it does.
func podProblem(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		switch c.Reason {
		case corev1.PodReasonUnschedulable:
			return detail("no node takes the pod", c.Message)
		case corev1.PodReasonSchedulingGated:
			return "the scheduling gates of the pod are closed"
		}
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil {
			if text := waitingReason(s.Image, w); text != "" {
				return text
			}
		}
	}
	return ""
}

// waitingReason returns why a container does not start. A kubelet that retries alternates between reasons, which give
// one message.
func waitingReason(image string, w *corev1.ContainerStateWaiting) string {
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
		"SignatureValidationFailed":
		_, why, _ := strings.Cut(w.Message, "ErrImagePull: ")
		if why == "" && w.Reason != "ImagePullBackOff" {
			why = w.Message
		}
		return detail("the image "+version.Clean(image, maxCause)+" cannot be pulled", why)
	case "InvalidImageName":
		return "the image " + version.Clean(image, maxCause) + " has no legal name"
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return detail("the container cannot be started", w.Message)
	case "CrashLoopBackOff":
		return "the container fails again and again"
	}
	return ""
}

func detail(what, why string) string {
	if why = version.Clean(why, maxCause); why == "" {
		return what
	}
	return what + ": " + why
}

// failedPod returns the pod that made a Job fail: the newest failed one, else the newest.
func failedPod(pods []corev1.Pod) *corev1.Pod {
	if len(pods) == 0 {
		return nil
	}
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	return &pods[max(i, 0)]
}

// disruptionReasons are reasons of pods that failed because of their node.
var disruptionReasons = []string{"Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}

// disrupted returns why a pod was evicted; empty if it was not.
func disrupted(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return detail("its pod was evicted or preempted", cmp.Or(c.Message, c.Reason))
		}
	}
	if slices.Contains(disruptionReasons, pod.Status.Reason) {
		return detail("its pod was evicted or preempted", cmp.Or(pod.Status.Message, pod.Status.Reason))
	}
	if pod.Status.Phase == corev1.PodFailed && len(pod.Status.ContainerStatuses) == 0 &&
		pod.Status.Reason != batchv1.JobReasonDeadlineExceeded {
		return detail("its node refused the pod", cmp.Or(pod.Status.Message, pod.Status.Reason)) // no container has run
	}
	return ""
}

// terminated returns the first container of a pod that failed, and its state.
func terminated(pod *corev1.Pod) (name string, exit *corev1.ContainerStateTerminated) {
	if pod == nil {
		return "", nil
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return s.Name, t
		}
	}
	return "", nil
}
