package script

import (
	"context"
	"errors"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
)

// played is an API server with one Job.
type played struct {
	client.Client
	job   *batchv1.Job
	pods  []corev1.Pod
	delay time.Duration
	err   error
}

func (p played) List(ctx context.Context, list client.ObjectList, _ ...client.ListOption) error {
	timer := time.NewTimer(p.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch list := list.(type) {
	case *batchv1.JobList:
		list.Items = []batchv1.Job{*p.job.DeepCopy()}
	case *corev1.PodList:
		list.Items = p.pods
	}
	return p.err
}

func TestContract(t *testing.T) {
	const timeout = time.Second
	healthtest.Run(t, healthtest.Harness{
		Timeout: timeout,
		Cannot:  map[healthtest.Situation]string{healthtest.NoData: "a run ends well or it does not"},
		Play: func(t *testing.T, situation healthtest.Situation) (health.Checker, health.Subject) {
			t.Helper()
			s := subject(func(s *health.Subject) { s.Check.Spec.Timeout = new(v1alpha1.Duration(timeout.String())) })
			job, err := New(Options{}).render(asked(t, s), run{number: 1, attempt: 1})
			if err != nil {
				t.Fatal(err)
			}
			job.UID = "job-uid"
			condition(batchv1.JobComplete, "", "")(job)
			p := played{job: job, pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 3, "Error", "oh no\n"))}}
			switch situation {
			case healthtest.Unhealthy:
				job.Status.Conditions[0].Type = batchv1.JobFailed
			case healthtest.Pending:
				job.Status.Conditions = nil
			case healthtest.Silent:
				p.delay = time.Hour
			case healthtest.Slow:
				p.delay = timeout / 10
			case healthtest.Failing:
				p.err = errors.New("the server is currently unable to handle the request")
			}
			return New(Options{Client: p, Live: p}), s
		},
	})
}
