package see_test

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/cli/see"
	"github.com/kuberik/kuberik/internal/health/script"
)

// event returns an event of an object, as the controller writes it.
func event(namespace, kind, name, reason, message string, ago time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: name + "." + reason},
		InvolvedObject: corev1.ObjectReference{APIVersion: "kuberik.com/v1alpha1", Kind: kind, Namespace: namespace, Name: name},
		Type:           corev1.EventTypeNormal, Reason: reason, Message: message, EventTime: metav1.MicroTime{Time: clitest.Now.Add(-ago)},
	}
}

func withEvents() *clitest.World {
	pod := event("shop", "Pod", "checkout", "Started", "no object of Kuberik", time.Minute)
	pod.InvolvedObject.APIVersion = "v1"
	return clitest.New(append(clitest.Shop(),
		event("shop", "Rollout", "checkout", "DeploymentSucceeded", "1.8.2 is Available", 75*time.Hour),
		event("shop", "Rollout", "checkout", "ApprovalRequested", "1.9.0 waits for an approval\x1b[2J\r\nof alice", 119*time.Minute),
		event("shop", "Release", clitest.ReleaseName("checkout", "1.9.0"), "Discovered", "1.9.0 is discovered", 2*time.Hour),
		event("shop", "Rollout", "search", "DeploymentFailed", "2.1.0 failed", 14*time.Minute), pod,
	)...)
}

func TestEvents(t *testing.T) {
	for name, args := range map[string]string{
		"events": "events checkout -n shop", "events-all": "events -A", "events-release": "events shop/checkout@1.9.0",
		"events-json": "events search -n shop -o json", "events-none": "events -n web",
	} {
		t.Run(name, func(t *testing.T) {
			clitest.Golden(t, name+".txt", withEvents().Run(t, strings.Fields(args)...).String())
		})
	}
}

func job(name string, ago time.Duration) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: *clitest.At(ago), Labels: map[string]string{script.LabelCheck: "smoke"},
	}}
}

func TestLogs(t *testing.T) {
	if see.LabelCheck != script.LabelCheck {
		t.Errorf("the label is %s, the checks write %s", see.LabelCheck, script.LabelCheck)
	}
	check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "smoke"}}
	check.Spec.Class, check.Status.Message = ptr.To(v1alpha1.HealthClassScript), ptr.To("Job smoke-1 failed")
	idle := check.DeepCopy()
	idle.Name = "idle"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "smoke-2-x", Labels: map[string]string{batchv1.ControllerUidLabel: "smoke-2"},
	}}
	pod.Spec.Containers = []corev1.Container{{Name: "script"}}
	objects := append(clitest.Shop(), client.Object(check), idle, job("smoke-1", time.Hour), job("smoke-2", time.Minute), pod)
	for name, args := range map[string]string{
		"logs": "logs smoke -n shop", "logs-quiet": "logs smoke -n shop -q", "logs-gone": "logs smoke -n shop --job smoke-1",
		"logs-no-job": "logs idle -n shop", "logs-unknown-job": "logs smoke -n shop --job smoke-9", "logs-other-class": "logs hello-http -n shop",
		"logs-unknown": "logs nothing -n shop",
	} {
		t.Run(name, func(t *testing.T) {
			w := clitest.New(objects...)
			w.Log = "first line\nsecond \x1b[31mline\x1b]0;owned\x07\r\n" + strings.Repeat("a long line ", 50) + "\n"
			clitest.Golden(t, name+".txt", w.Run(t, strings.Fields(args)...).String())
		})
	}
}
