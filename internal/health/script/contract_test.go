package script

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
		Play: func(t *testing.T, situation healthtest.Situation) (health.Checker, health.CheckInput) {
			t.Helper()
			s := subject(func(s *health.CheckInput) { s.Check.Spec.Timeout = new(v1alpha1.Duration(timeout.String())) })
			job, err := New(Options{}).render(evaluationOf(t, s), run{number: 1, attempt: 1})
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

// oneJob is an API server on which a Job exists once it is created. during runs after a list was read and before it is returned.
type oneJob struct {
	client.Client
	job    *batchv1.Job
	during func()
}

func (o *oneJob) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if jobs, ok := list.(*batchv1.JobList); ok && o.job != nil {
		jobs.Items = []batchv1.Job{*o.job.DeepCopy()}
	}
	if during := o.during; during != nil {
		o.during = nil
		during()
	}
	return nil
}

func (o *oneJob) Create(_ context.Context, created client.Object, _ ...client.CreateOption) error {
	if o.job != nil && o.job.Name != created.GetName() {
		return fmt.Errorf("a second Job %s", created.GetName())
	}
	if o.job != nil {
		return apierrors.NewAlreadyExists(batchv1.Resource("jobs"), created.GetName())
	}
	o.job = created.(*batchv1.Job).DeepCopy()
	o.job.UID = "job-uid"
	return nil
}

func (o *oneJob) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	o.job.DeepCopyInto(into.(*batchv1.Job))
	return nil
}

// TestRunStartedByAnotherCall: a call whose list of Jobs is older than the Job that another call has just created does not take that Job
// for deleted.
func TestRunStartedByAnotherCall(t *testing.T) {
	o := &oneJob{}
	checker, s := New(Options{Client: o, Live: o}), subject()
	check := func() {
		if _, err := checker.Check(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	o.during = func() { o.during = check } // the second list, which is the one read past the cache
	check()
	if want := evaluationOf(t, s).name(1); o.job == nil || o.job.Name != want {
		t.Errorf("the Job is %v, want %s", o.job, want)
	}
}
