package script

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// shelf is a reader of a few pods and events.
type shelf struct {
	client.Reader
	pods   []corev1.Pod
	events []corev1.Event
	err    error
	reads  int
}

func (s *shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	s.reads++
	switch list := list.(type) {
	case *corev1.PodList:
		list.Items = s.pods
	case *corev1.EventList:
		list.Items = s.events
	}
	return s.err
}

// printed are the logs of every container.
type printed struct {
	text string
	err  error
}

func (p printed) Tail(_ context.Context, _ types.NamespacedName, container string) (string, error) {
	return strings.ReplaceAll(p.text, "CONTAINER", container), p.err
}

func job(edits ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "smoke-1", UID: "job-uid"},
		Spec: batchv1.JobSpec{PodFailurePolicy: failOnDisruption(), Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{ActiveDeadlineSeconds: new(int64(300))},
		}},
		Status: batchv1.JobStatus{StartTime: &metav1.Time{Time: noon.Add(-time.Minute)}},
	}
	for _, edit := range edits {
		edit(j)
	}
	return j
}

func condition(kind batchv1.JobConditionType, reason, message string) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(noon),
		})
	}
}

func aPod(phase corev1.PodPhase, edits ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "smoke-1-x", Namespace: "shop", CreationTimestamp: metav1.NewTime(noon),
			OwnerReferences: []metav1.OwnerReference{{UID: "job-uid", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "script"}}}, Status: corev1.PodStatus{Phase: phase},
	}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: "script", Image: "busybox:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		})
	}
}

func exited(name string, code int32, reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}},
		})
	}
}

func podCondition(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message})
	}
}

func podReason(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Reason, p.Status.Message = reason, message }
}

func TestJudge(t *testing.T) {
	const backoff, limit = batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
	broke := condition(batchv1.JobFailed, backoff, limit)
	late := condition(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	lines := printed{text: "one\ntwo\n\nthree CONTAINER\n"}
	cases := map[string]struct {
		job     *batchv1.Job
		pods    []corev1.Pod
		events  []corev1.Event
		logs    LogReader
		problem string
		phase   phase
		want    string
	}{
		"not seen yet": {
			job: job(func(j *batchv1.Job) { j.Status.StartTime = nil }), want: "Job smoke-1 waits for Kubernetes to start it",
		},
		"suspended":  {job: job(func(j *batchv1.Job) { j.Spec.Suspend = new(true) }), want: "Job smoke-1 is suspended"},
		"no pod yet": {job: job(), want: "Job smoke-1 is starting"},
		"pod denied": {
			job: job(), events: []corev1.Event{
				{Message: `Error creating: pods "smoke-1-a" is forbidden: old`, LastTimestamp: metav1.NewTime(noon)},
				{Message: `Error creating: pods "smoke-1-b" is forbidden: exceeded quota: few`, LastTimestamp: metav1.NewTime(noon.Add(time.Second))},
			},
			want: "Job smoke-1 waits: no pod can be made: exceeded quota: few",
		},
		"its time is over": {job: job(), problem: "no node takes the pod", want: "Job smoke-1 waits: no node takes the pod"},
		"pulling":          {job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("ContainerCreating", ""))}, want: "Job smoke-1 is starting"},
		"running":          {job: job(), pods: []corev1.Pod{aPod(corev1.PodRunning)}, logs: lines, want: "Job smoke-1 is running"},
		"somebody else's pod": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodRunning, func(p *corev1.Pod) { p.OwnerReferences = nil })}, want: "Job smoke-1 is starting",
		},
		"unschedulable": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, podCondition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/1 nodes are available"))},
			want: "Job smoke-1 waits: no node takes the pod: 0/1 nodes are available",
		},
		"gated": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, podCondition(corev1.PodScheduled, corev1.ConditionFalse, "SchedulingGated", "gated"))},
			want: "Job smoke-1 waits: the scheduling gates of the pod are closed",
		},
		"pull error": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("ErrImagePull", "not found"))},
			want: "Job smoke-1 waits: the image busybox:1 cannot be pulled: not found",
		},
		"pull back-off": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("ImagePullBackOff", `Back-off pulling image "busybox:1": ErrImagePull: not found`))},
			want: "Job smoke-1 waits: the image busybox:1 cannot be pulled: not found",
		},
		"pull back-off of an older kubelet": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("ImagePullBackOff", `Back-off pulling image "busybox:1"`))},
			want: "Job smoke-1 waits: the image busybox:1 cannot be pulled",
		},
		"image name": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("InvalidImageName", "x"))},
			want: "Job smoke-1 waits: the image busybox:1 has no legal name",
		},
		"config error": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodPending, waiting("CreateContainerConfigError", `secret "x" not found`))},
			want: `Job smoke-1 waits: the container cannot be started: secret "x" not found`,
		},
		"crash loop": {
			job: job(), pods: []corev1.Pod{aPod(corev1.PodRunning, waiting("CrashLoopBackOff", "back-off"))},
			want: "Job smoke-1 waits: the container fails again and again",
		},
		"failing, not failed": {
			job: job(condition(batchv1.JobFailureTarget, backoff, limit)), pods: []corev1.Pod{aPod(corev1.PodRunning)}, want: "Job smoke-1 is running",
		},
		"complete": {
			job: job(condition(batchv1.JobComplete, "", "")), phase: passed, want: "Job smoke-1 completed",
		},
		"exit code": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("side", 0, "", ""), exited("main", 3, "Error", ""))}, logs: lines,
			phase: failed, want: "Job smoke-1 failed with exit code 3: one | two | three main",
		},
		"no logs": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 3, "Error", "the last\nlines\n"))}, logs: printed{err: errors.New("no")},
			phase: failed, want: "Job smoke-1 failed with exit code 3: the last | lines",
		},
		"nobody reads logs": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 3, "Error", ""))},
			phase: failed, want: "Job smoke-1 failed with exit code 3",
		},
		"out of memory": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 137, "OOMKilled", ""))},
			phase: failed, want: "Job smoke-1 failed: it ran out of memory",
		},
		"pod is gone": {job: job(broke), phase: failed, want: "Job smoke-1 failed: " + limit},
		"several pods": {
			job: job(broke), pods: []corev1.Pod{
				aPod(corev1.PodFailed, exited("script", 1, "", ""), func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(noon.Add(-time.Second)) }),
				aPod(corev1.PodFailed, exited("script", 2, "", "")),
				aPod(corev1.PodRunning, func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(noon.Add(time.Second)) }),
			},
			phase: failed, want: "Job smoke-1 failed with exit code 2",
		},
		"deadline of the pod": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, podReason("DeadlineExceeded", "x"), exited("script", 137, "Error", ""))}, logs: lines,
			phase: failed, want: "Job smoke-1 did not end within 5m: one | two | three script",
		},
		"deadline of a pod that did not start": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, podReason("DeadlineExceeded", "x"), waiting("ImagePullBackOff", "ErrImagePull: denied"))},
			phase: failed, want: "Job smoke-1 did not end within 5m: the image busybox:1 cannot be pulled: denied",
		},
		"deadline of the Job": {job: job(late), phase: failed, want: "Job smoke-1 did not end within 5m"},
		"deadline of a template": {
			job: job(late, func(j *batchv1.Job) {
				j.Spec.ActiveDeadlineSeconds, j.Spec.Template.Spec.ActiveDeadlineSeconds = new(int64(5400)), nil
			}),
			phase: failed, want: "Job smoke-1 did not end within 1h30m",
		},
		"deadline, and its pod is gone": {
			job: job(late), problem: "no node takes the pod", phase: failed, want: "Job smoke-1 did not end within 5m: no node takes the pod",
		},
		"taken away": {
			job:   job(condition(batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy, "Pod shop/x has condition DisruptionTarget")),
			phase: interrupted, want: "Job smoke-1: its pod was taken from its node",
		},
		"a policy of the user": {
			job: job(condition(batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy, "exit code 42"), func(j *batchv1.Job) {
				j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{}
			}),
			phase: failed, want: "Job smoke-1 failed: exit code 42",
		},
		"preempted": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 137, "", ""),
				podCondition(corev1.DisruptionTarget, corev1.ConditionTrue, "PreemptionByScheduler", "default-scheduler: preempting"))},
			phase: interrupted, want: "Job smoke-1: its pod was evicted or preempted: default-scheduler: preempting",
		},
		"evicted": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, exited("script", 137, "", ""), podReason("Evicted", "The node was low on resource: memory."))},
			phase: interrupted, want: "Job smoke-1: its pod was evicted or preempted: The node was low on resource: memory.",
		},
		"refused by the kubelet": {
			job: job(broke), pods: []corev1.Pod{aPod(corev1.PodFailed, podReason("OutOfcpu", "Node didn't have enough resource: cpu"))},
			phase: interrupted, want: "Job smoke-1: its node refused the pod: Node didn't have enough resource: cpu",
		},
		"deleted while running": {
			job:   job(func(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: noon} }),
			phase: interrupted, want: "Job smoke-1 was deleted",
		},
		"deleted afterwards": {
			job:   job(condition(batchv1.JobComplete, "", ""), func(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: noon} }),
			phase: passed, want: "Job smoke-1 completed",
		},
	}
	states := map[phase]v1alpha1.HealthState{
		running: v1alpha1.HealthPending, interrupted: v1alpha1.HealthPending, passed: v1alpha1.HealthHealthy, failed: v1alpha1.HealthUnhealthy,
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			checker := New(Options{Live: &shelf{pods: c.pods, events: c.events}, Logs: c.logs})
			known := memoryEntry{problem: map[types.UID]string{"job-uid": c.problem}}
			o, err := checker.evaluateJob(t.Context(), c.job, known)
			if err != nil {
				t.Fatal(err)
			}
			if o.phase != c.phase || o.report.Message != c.want || o.report.State != states[c.phase] {
				t.Errorf("\n got: %d %s %s\nwant: %d %s", o.phase, o.report.State, o.report.Message, c.phase, c.want)
			}
			if ended := c.phase != running; o.at.IsZero() == ended {
				t.Errorf("it ended at %s", o.at)
			}
		})
	}
}

// TestJudgedOnce: what an ended Job amounts to is not read again, and what cannot be read is no verdict.
func TestJudgedOnce(t *testing.T) {
	live := &shelf{err: errors.New("gone fishing")}
	checker := New(Options{Live: live})
	broken := job(condition(batchv1.JobFailed, "", "x"))
	if o, err := checker.evaluateJob(t.Context(), broken, memoryEntry{}); err == nil {
		t.Errorf("pods that cannot be read make %+v", o)
	}
	known := outcome{phase: failed, report: pending("as before")}
	o, err := checker.evaluateJob(t.Context(), broken, memoryEntry{ended: map[types.UID]outcome{"job-uid": known}})
	if err != nil || o.report.Message != "as before" || live.reads != 1 {
		t.Errorf("it is %+v, %v, after %d reads", o, err, live.reads)
	}
}

func TestTidy(t *testing.T) {
	long := strings.Repeat("x", 300)
	cases := map[string]struct{ in, want string }{
		"empty":     {"", ""},
		"blank":     {"\n \n\t\n", ""},
		"few":       {"a\nb\n", "a | b"},
		"many":      {"a\nb\nc\nd\ne\nf\ng", "c | d | e | f | g"},
		"colours":   {"\x1b[31;1mred\x1b[0m\x07\u202e", "red"},
		"returns":   {"a\r\nb\r\n", "a | b"},
		"too long":  {"first\n" + long + "\n" + long, long},
		"one line":  {strings.Repeat("é", 400), strings.Repeat("é", 254) + "…"},
		"not UTF-8": {"a\xffb", "ab"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tidy(c.in); got != c.want {
				t.Errorf("\n got: %q\nwant: %q", got, c.want)
			}
		})
	}
}

func FuzzTidy(f *testing.F) {
	f.Add("a\nb\x1b[0m")
	f.Fuzz(func(t *testing.T, text string) {
		if got := tidy(text); len(got) > maxLogText || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

// TestLogs: what is asked of the API server.
func TestLogs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("container") == "none" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, r.Method, " ", r.URL)
	}))
	defer server.Close()
	logs, err := NewLogs(&rest.Config{Host: server.URL}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	pod := types.NamespacedName{Namespace: "shop", Name: "smoke-1-x"}
	const want = "GET /api/v1/namespaces/shop/pods/smoke-1-x/log?container=main&limitBytes=16384&tailLines=5"
	if got, err := logs.Tail(t.Context(), pod, "main"); err != nil || got != want {
		t.Errorf("%v\n got: %s\nwant: %s", err, got, want)
	}
	if got, err := logs.Tail(t.Context(), pod, "none"); err == nil {
		t.Errorf("a container without a log says %q", got)
	}
}

// TestATrimmedJobIsJudgedTheSame: the template of a Job may be large, and of one that exists only its deadline is read.
func TestATrimmedJobIsJudgedTheSame(t *testing.T) {
	t.Parallel()
	whole := &batchv1.Job{}
	whole.Spec.Template.Spec.ActiveDeadlineSeconds = new(int64(60))
	whole.Spec.PodFailurePolicy = failOnDisruption()
	whole.Spec.Template.Spec.Containers = []corev1.Container{{Args: []string{strings.Repeat("x", 250<<10)}}}
	whole.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": strings.Repeat("x", 250<<10)}}
	whole.Spec.ManagedBy, whole.Spec.Suspend = new(strings.Repeat("x", 250<<10)), new(true)
	trimmed := whole.DeepCopy()
	Trim(trimmed)
	if trimmed.Size() > 1<<10 {
		t.Errorf("it takes %d bytes", trimmed.Size())
	}
	if !*trimmed.Spec.Suspend {
		t.Error("it is not suspended")
	}
	if deadlineText(trimmed) != deadlineText(whole) || onDisruption(trimmed) != onDisruption(whole) {
		t.Errorf("it may take %s instead of %s", deadlineText(trimmed), deadlineText(whole))
	}
	Trim(&corev1.Pod{})
}

// pages is a reader of pods and Jobs as the API server serves them: at most as many at once as are asked for.
type pages struct {
	client.Client
	pods []corev1.Pod
	jobs []batchv1.Job
	most int
}

func (p *pages) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch list := list.(type) {
	case *corev1.PodList:
		list.Items, list.Continue = page(p, p.pods, opts)
	case *batchv1.JobList:
		list.Items, list.Continue = page(p, p.jobs, opts)
	}
	return nil
}

// page is what is served of a list, and where the next page begins.
func page[T any](p *pages, all []T, opts []client.ListOption) (items []T, next string) {
	var o client.ListOptions
	o.ApplyOptions(opts)
	from, to := 0, len(all)
	if o.Continue != "" {
		from, _ = strconv.Atoi(o.Continue)
	}
	if o.Limit > 0 {
		to = min(to, from+int(o.Limit))
	}
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	p.most = max(p.most, to-from)
	return slices.Clone(all[from:to]), next
}

// TestJobsAreReadAFewAtOnce: anybody who may create Jobs can give thousands of them the label of a check, and a megabyte each.
func TestJobsAreReadAFewAtOnce(t *testing.T) {
	t.Parallel()
	shelf := &pages{}
	for range 50 {
		j := job()
		j.Annotations = map[string]string{"large": strings.Repeat("a", 1000)}
		j.Spec.Template.Spec.Containers = []corev1.Container{{Args: []string{strings.Repeat("x", 1000)}}}
		shelf.jobs = append(shelf.jobs, *j)
	}
	c := New(Options{Live: shelf, Client: shelf})
	q := evaluation{CheckInput: health.CheckInput{Check: &v1alpha1.HealthCheck{}}}
	found, err := c.jobs(t.Context(), q, true)
	if err != nil || len(found) != 50 || found[0].Annotations["large"] != "" || len(found[0].Spec.Template.Spec.Containers) > 0 {
		t.Errorf("%v: found %d Jobs", err, len(found))
	}
	if shelf.most != pageSize {
		t.Errorf("it reads %d Jobs at once", shelf.most)
	}
	for len(shelf.jobs) <= pageSize*maxPages {
		shelf.jobs = append(shelf.jobs, *job())
	}
	if _, err := c.jobs(t.Context(), q, true); err == nil || !strings.Contains(err.Error(), "more than 512 Jobs have the label kuberik.com/health-check") {
		t.Errorf("%v", err)
	}
}

// TestPodsAreReadAFewAtOnce: anybody who may create pods can give thousands of them the labels of a Job, and a megabyte each.
func TestPodsAreReadAFewAtOnce(t *testing.T) {
	t.Parallel()
	shelf := &pages{}
	for i := range 50 {
		shelf.pods = append(shelf.pods, aPod(corev1.PodFailed, func(p *corev1.Pod) {
			p.Name, p.Annotations = fmt.Sprintf("pod-%02d", i), map[string]string{"large": strings.Repeat("a", 1000)}
			p.CreationTimestamp = metav1.NewTime(time.Unix(int64(i), 0))
			if i%2 == 1 {
				p.OwnerReferences = nil
			}
		}))
	}
	found, err := New(Options{Live: shelf}).pods(t.Context(), job())
	if err != nil || len(found) != 25 || found[0].Name != "pod-48" || found[0].Annotations != nil || found[0].Status.Phase != corev1.PodFailed {
		t.Errorf("%v: found %d pods: %v", err, len(found), found)
	}
	if shelf.most != pageSize {
		t.Errorf("it reads %d pods at once", shelf.most)
	}
}
