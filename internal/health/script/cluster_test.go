package script_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/script"
)

// patience is how long a test waits for what should take seconds.
const patience = 60 * time.Second

// access is all that a Checker needs.
const access = `
apiVersion: v1
kind: Namespace
metadata: {name: checker}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: checker, namespace: checker}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: checker}
rules:
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, create, delete]}
- {apiGroups: [""], resources: [pods, events], verbs: [list]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: checker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: checker}
subjects: [{kind: ServiceAccount, name: checker, namespace: checker}]
`

// cluster is a local cluster with a Job controller, and pods that pretend.
type cluster struct {
	plane *devplane.Plane
	// admin may do everything, checker what a Checker needs.
	admin, checker client.Client
}

func start(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	plane, err := devplane.Start(t.Context(), devplane.Options{Workloads: true})
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	must(t, plane.InstallCRDs(t.Context(), filepath.Join("..", "..", "..", "config", "crd")))
	// The garbage collector looks for new kinds every half minute, and when it starts.
	must(t, plane.Restart(t.Context(), component.ControllerManager))
	must(t, plane.Apply(t.Context(), []byte(access)))
	path, err := plane.ServiceAccountKubeconfig(t.Context(), "checker", "checker")
	must(t, err)
	data, err := os.ReadFile(path)
	must(t, err)
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	must(t, err)
	log.SetLogger(logr.Discard())
	config.QPS = -1
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c := &cluster{plane: plane}
	admin := rest.CopyConfig(plane.Config())
	admin.QPS = -1
	c.admin, err = client.New(admin, client.Options{Scheme: scheme})
	must(t, err)
	c.checker, err = client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// printed are the logs of every container: nothing runs that could print.
type printed string

func (p printed) Tail(context.Context, types.NamespacedName, string) (string, error) {
	return string(p), nil
}

// fixture is a namespace with a check of a deployment.
type fixture struct {
	*testing.T
	*cluster
	*script.Checker
	check   *v1alpha1.HealthCheck
	release health.Release
}

func (c *cluster) fixture(t *testing.T, s v1alpha1.ScriptCheck) *fixture {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "shop-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	must(t, c.admin.Create(t.Context(), ns))
	check := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "smoke.test"},
		Spec:       v1alpha1.HealthCheckSpec{Class: new(v1alpha1.HealthClassScript), Script: &s},
	}
	must(t, c.admin.Create(t.Context(), check))
	w := &fixture{T: t, cluster: c, check: check, release: health.Release{
		Namespace: ns.Name, Rollout: "hello", Tag: "1.0.0", Token: "ro/1/0", DeployedAt: time.Now().Truncate(time.Second), InFlight: true,
	}}
	w.Checker = w.another()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}}
	w.eventually("a service account for pods", func() error { return c.admin.Get(t.Context(), client.ObjectKeyFromObject(account), account) })
	return w
}

// another is a Checker that knows nothing of the others, as after a crash.
func (w *fixture) another() *script.Checker {
	return script.New(script.Options{Client: w.checker, Live: w.checker, Logs: printed("first\nlast\n")})
}

func (w *fixture) eventually(what string, check func() error) {
	w.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: not after %s: %v", what, patience, err)
		}
		<-tick.C
	}
}

func (w *fixture) runCheck(c *script.Checker) (health.Report, error) {
	return c.Check(w.Context(), health.CheckInput{Now: time.Now(), Check: w.check, Release: w.release})
}

// says waits for a report, or an error if the state is empty, whose text matches.
func (w *fixture) says(state v1alpha1.HealthState, pattern string) {
	w.Helper()
	want := regexp.MustCompile("^" + pattern + "$")
	w.eventually(string(state)+" "+pattern, func() error {
		report, err := w.runCheck(w.Checker)
		text := report.Message
		if err != nil {
			report.State, text = "", err.Error()
		}
		if report.State != state || !want.MatchString(text) {
			return fmt.Errorf("%s: %s", report.State, text)
		}
		return nil
	})
}

// jobs are the Jobs there are, by the numbers of their runs.
func (w *fixture) jobs() map[string]*batchv1.Job {
	w.Helper()
	var list batchv1.JobList
	must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(w.check.Namespace)))
	found := map[string]*batchv1.Job{}
	for i := range list.Items {
		name := list.Items[i].Name
		found[name[strings.LastIndex(name, "-")+1:]] = &list.Items[i]
	}
	if len(found) != len(list.Items) {
		w.Fatalf("there are %d Jobs with %d numbers", len(list.Items), len(found))
	}
	return found
}

// numbers waits until there are just the Jobs with these numbers.
func (w *fixture) numbers(want ...string) {
	w.Helper()
	w.eventually("Jobs "+strings.Join(want, ", "), func() error {
		var got []string
		for number := range w.jobs() {
			got = append(got, number)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("there are %q", got)
		}
		return nil
	})
}

// pod waits for the pod of a Job.
func (w *fixture) pod(number string) *corev1.Pod {
	w.Helper()
	var list corev1.PodList
	w.eventually("the pod of Job "+number, func() error {
		job := w.jobs()[number]
		if job == nil {
			return errors.New("there is no Job")
		}
		must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)}))
		if len(list.Items) != 1 || list.Items[0].Status.Phase != corev1.PodRunning {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
	return &list.Items[0]
}

// endless is a Job whose pod runs until the test says otherwise; failing one whose pod fails at once; homeless one that no node
// takes.
func endless() v1alpha1.ScriptCheck {
	return template(`{"pod-container-running-failed.stage.kwok.x-k8s.io/delay": "1h"}`, `"true"`, `{}`, 300)
}

func failing() v1alpha1.ScriptCheck {
	const stage = "pod-container-running-failed.stage.kwok.x-k8s.io"
	return template(`{"`+stage+`/delay": "1ms", "`+stage+`/jitter-delay": "2ms", "`+stage+`/exit-code": "3"}`, `"true"`, `{}`, 300)
}

func homeless(deadline int) v1alpha1.ScriptCheck {
	return template(`{}`, `"false"`, `{"there": "is-none"}`, deadline)
}

func template(annotations, fails, selector string, deadline int) v1alpha1.ScriptCheck {
	text := fmt.Sprintf(`{"spec": {"activeDeadlineSeconds": %d, "template": {
		"metadata": {"annotations": %s, "labels": {"pod-container-running-failed.stage.kwok.x-k8s.io": %s}},
		"spec": {"nodeSelector": %s,
			"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
			"containers": [{"name": "main", "image": "main:1",
				"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}}}`,
		deadline, annotations, fails, selector)
	return v1alpha1.ScriptCheck{JobTemplate: &runtime.RawExtension{Raw: []byte(text)}}
}

// unrestricted is a Job whose pod a restricted namespace does not take.
func unrestricted() v1alpha1.ScriptCheck {
	return v1alpha1.ScriptCheck{JobTemplate: &runtime.RawExtension{
		Raw: []byte(`{"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "main:1"}]}}}}`),
	}}
}

func image() v1alpha1.ScriptCheck { return v1alpha1.ScriptCheck{Image: "busybox:1", Script: "exit 0"} }

func often() v1alpha1.ScriptCheck {
	s := image()
	s.Runs = v1alpha1.ScriptInterval
	return s
}

// job matches the name of the Job of a run.
func job(number string) string { return "Job smoke-test-[0-9a-f]{10}-" + number }

func TestCluster(t *testing.T) {
	c := start(t)
	for name, test := range map[string]struct {
		script v1alpha1.ScriptCheck
		run    func(*fixture)
	}{
		"success":              {image(), success},
		"failure":              {failing(), failure},
		"deadline":             {homeless(4), deadline},
		"quota":                {image(), quota},
		"admission":            {image(), admission},
		"pod denied":           {unrestricted(), podDenied},
		"bound to the release": {endless(), bound},
		"interval":             {often(), interval},
		"eviction":             {endless(), eviction},
		"image pull":           {endless(), imagePull},
		"deleted":              {endless(), deleted},
		"at once":              {image(), atOnce},
		"not ours":             {image(), notOurs},
		"remembered":           {image(), remembered},
		"landed":               {image(), landed},
		"edited":               {failing(), edited},
		"orphans":              {endless(), orphans},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(c.fixture(t, test.script))
		})
	}
}

// success: an image meets what a restricted namespace asks for, and each new Checker finds the run that there is.
func success(w *fixture) {
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	for range 3 {
		w.Checker = w.another()
		w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	}
	w.numbers("1")
}

func failure(w *fixture) {
	w.says(v1alpha1.HealthUnhealthy, job("1")+` failed with exit code 3: first \| last`)
	w.numbers("1")
}

func deadline(w *fixture) {
	w.says(v1alpha1.HealthPending, job("1")+" waits: no node takes the pod: 0/1 nodes are available: .*")
	w.says(v1alpha1.HealthUnhealthy, job("1")+" did not end within 4s: no node takes the pod: 0/1 nodes are available: .*")
	w.Checker = w.another()
	w.says(v1alpha1.HealthUnhealthy, job("1")+" did not end within 4s")
}

func quota(w *fixture) {
	must(w.T, w.plane.Apply(w.Context(), fmt.Appendf(nil, `
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: %s}
spec: {hard: {count/jobs.batch: "0"}}
`, w.check.Namespace)))
	none := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: w.check.Namespace, Name: "none"}}
	w.eventually("the quota counts", func() error {
		must(w.T, w.admin.Get(w.Context(), client.ObjectKeyFromObject(none), none))
		if len(none.Status.Hard) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	w.says("", "the Job cannot be created: exceeded quota: none, requested: count/jobs.batch=1, used: count/jobs.batch=0, limited: count/jobs.batch=0")
	if _, err := w.runCheck(w.Checker); !apierrors.IsForbidden(err) {
		w.Errorf("the cause is lost: %v", err)
	}
	must(w.T, w.admin.Delete(w.Context(), none))
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
}

func admission(w *fixture) {
	must(w.T, w.plane.Apply(w.Context(), fmt.Appendf(nil, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-jobs}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [batch], apiVersions: [v1], resources: [jobs], operations: [CREATE]}]}
  validations: [{expression: "false", message: "no Jobs on Sundays"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-jobs}
spec:
  policyName: no-jobs
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}}
`, w.check.Namespace)))
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: w.check.Namespace, Name: "probe"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: "Never", Containers: []corev1.Container{{Name: "a", Image: "a"}}}},
	}}
	w.eventually("the policy is in force", func() error {
		if err := w.admin.Create(w.Context(), probe.DeepCopy(), client.DryRunAll); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			return fmt.Errorf("a Job is let through: %w", err)
		}
		return nil
	})
	w.says("", "the Job cannot be created: ValidatingAdmissionPolicy 'no-jobs' with binding 'no-jobs' denied request: no Jobs on Sundays")
	w.numbers()
}

// podDenied: the Job is let in, its pod is not. Only events of the Job tell.
func podDenied(w *fixture) {
	w.says(v1alpha1.HealthPending, job("1")+` waits: no pod can be made: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false.*`)
}

// bound: another token is another run, and what is left of the earlier one goes, even if it is running.
func bound(w *fixture) {
	w.says(v1alpha1.HealthPending, job("1")+" is running")
	first := w.jobs()["1"]
	earlier := w.release
	w.release.Token, w.release.DeployedAt, w.release.Tag = "ro/1/9", w.release.DeployedAt.Add(time.Second), "1.0.1"
	w.says(v1alpha1.HealthPending, job("1")+" is running")
	w.numbers("1")
	second := w.jobs()["1"]
	if second.UID == first.UID || second.Name == first.Name {
		w.Errorf("the run of the first deployment speaks for the second: %s", second.Name)
	}
	if env := second.Spec.Template.Spec.Containers[0].Env[0]; env.Value != "1.0.1" {
		w.Errorf("the container gets %v", env)
	}
	w.eventually("the pod of the first run is gone", func() error {
		var list corev1.PodList
		must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(first.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(first.UID)}))
		if len(list.Items) > 0 {
			return errors.New("it is there")
		}
		return nil
	})

	// Whoever is late, as a controller that was paused, changes nothing.
	w.release, w.Checker = earlier, w.another()
	w.says(v1alpha1.HealthPending, "a later deployment has begun")
	if now := w.jobs()["1"]; now.UID != second.UID {
		w.Error("an outdated evaluation has replaced the run")
	}

	// Another Rollout that selects the check has its own runs.
	w.release.Rollout = "other"
	w.says(v1alpha1.HealthPending, job("1")+" is running")
	var list batchv1.JobList
	must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(w.check.Namespace)))
	if len(list.Items) != 2 {
		w.Errorf("there are %d Jobs", len(list.Items))
	}
}

// interval: run after run, of which few are kept, and never without a verdict once there is one.
func interval(w *fixture) {
	w.check.Spec.Interval = new(v1alpha1.Duration("1s"))
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	w.eventually("three runs", func() error {
		report, err := w.runCheck(w.Checker)
		must(w.T, err)
		if report.State != v1alpha1.HealthHealthy {
			w.Fatalf("between two runs it is %s: %s", report.State, report.Message)
		}
		if there := w.jobs(); len(there) > 3 {
			w.Fatalf("%d Jobs are kept", len(there))
		}
		if !regexp.MustCompile(job("3") + " completed").MatchString(report.Message) {
			return errors.New(report.Message)
		}
		return nil
	})
	w.release.InFlight = false
	w.says(v1alpha1.HealthHealthy, job("[345]")+" completed")
}

// eviction: a pod that is taken away says nothing about the deployment; one that is taken away again and again, that something is
// wrong.
func eviction(w *fixture) {
	for attempt := range 3 {
		number := fmt.Sprint(attempt + 1)
		w.says(v1alpha1.HealthPending, job(number)+" is running")
		pod := w.pod(number)
		before := pod.DeepCopy()
		pod.Status.Phase, pod.Status.Reason = corev1.PodFailed, "Evicted"
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", Message: "The node was low on resource: memory.",
		})
		must(w.T, w.admin.Status().Patch(w.Context(), pod, client.MergeFrom(before)))
		if attempt == 1 {
			w.Checker = w.another() // the Jobs say how many attempts there were
		}
	}
	w.says(v1alpha1.HealthUnhealthy, "interrupted 3 times in a row, the last time: "+job("3")+
		": its pod was evicted or preempted: The node was low on resource: memory.")
	failed := w.jobs()["3"].Status.Conditions
	if !slices.ContainsFunc(failed, func(c batchv1.JobCondition) bool { return c.Reason == batchv1.JobReasonPodFailurePolicy }) {
		w.Errorf("the Job does not say itself that its pod was taken away: %v", failed)
	}
	must(w.T, w.admin.Delete(w.Context(), w.pod3()))
	w.Checker = w.another()
	w.says(v1alpha1.HealthUnhealthy, "interrupted 3 times in a row, the last time: "+job("3")+".*")
	w.numbers("3")
}

// pod3 names the pod of the third Job.
func (w *fixture) pod3() *corev1.Pod {
	w.Helper()
	var list corev1.PodList
	must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(w.check.Namespace),
		client.MatchingLabels{batchv1.ControllerUidLabel: string(w.jobs()["3"].UID)}))
	if len(list.Items) != 1 {
		w.Fatalf("there are %d pods", len(list.Items))
	}
	return &list.Items[0]
}

func imagePull(w *fixture) {
	w.says(v1alpha1.HealthPending, job("1")+" is running")
	for _, state := range []corev1.ContainerStateWaiting{
		{Reason: "ErrImagePull", Message: "unauthorized"},
		{Reason: "ImagePullBackOff", Message: `Back-off pulling image "main:1": ErrImagePull: unauthorized`},
	} {
		var list corev1.PodList
		must(w.T, w.admin.List(w.Context(), &list, client.InNamespace(w.check.Namespace)))
		pod := &list.Items[0]
		before := pod.DeepCopy()
		pod.Status.Phase = corev1.PodPending
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Image: "main:1", State: corev1.ContainerState{Waiting: &state}}}
		must(w.T, w.admin.Status().Patch(w.Context(), pod, client.MergeFrom(before)))
		w.says(v1alpha1.HealthPending, job("1")+" waits: the image main:1 cannot be pulled: unauthorized")
	}
}

// deleted: a Job that somebody deletes while it runs is started again, but not for ever.
func deleted(w *fixture) {
	for _, number := range []string{"1", "2", "3"} {
		w.says(v1alpha1.HealthPending, job(number)+" is running")
		how := client.PropagationPolicy(metav1.DeletePropagationBackground)
		if number == "2" {
			how = client.PropagationPolicy(metav1.DeletePropagationForeground)
		}
		must(w.T, w.admin.Delete(w.Context(), w.jobs()[number], how))
	}
	w.says(v1alpha1.HealthUnhealthy, "interrupted 3 times in a row, the last time: its Job was deleted")
	w.numbers()
}

// atOnce: however many ask for the first time, in however many processes, one Job is made.
func atOnce(w *fixture) {
	var group sync.WaitGroup
	for range 4 {
		checker := w.another()
		for range 4 {
			group.Go(func() {
				if _, err := w.runCheck(checker); err != nil {
					w.Error(err)
				}
			})
		}
	}
	group.Wait()
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	w.numbers("1")
}

// notOurs: a Job that happens to have the name, or was put there, has no say.
func notOurs(w *fixture) {
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	forged := w.jobs()["1"].DeepCopy()
	must(w.T, w.admin.Delete(w.Context(), forged.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationBackground)))
	w.numbers()
	forged.ObjectMeta = metav1.ObjectMeta{Namespace: forged.Namespace, Name: forged.Name, Labels: map[string]string{
		script.LabelCheck: forged.Labels[script.LabelCheck],
	}, Annotations: forged.Annotations}
	forged.Spec.Selector, forged.Spec.Template.Labels = nil, nil
	must(w.T, w.admin.Create(w.Context(), forged))
	w.Checker = w.another()
	w.says("", "the Job smoke-test-[0-9a-f]{10}-1 exists and is not a run of this check: delete it")
}

// remembered: the verdict outlives its Job, in the process and in the status of the check.
func remembered(w *fixture) {
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	must(w.T, w.admin.Delete(w.Context(), w.jobs()["1"], client.PropagationPolicy(metav1.DeletePropagationBackground)))
	w.numbers()
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")

	w.Checker = w.another()
	w.check.Status = v1alpha1.HealthCheckStatus{
		ObservedGeneration: w.check.Generation, Status: v1alpha1.HealthHealthy, Message: new("as it was"),
		Deployments: []v1alpha1.CheckedDeployment{{Rollout: "hello", Token: w.release.Token}},
	}
	w.says(v1alpha1.HealthHealthy, "as it was")
	w.numbers()

	w.check.Status = v1alpha1.HealthCheckStatus{}
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	w.numbers("1")
}

// landed: nothing runs when nobody waits for a verdict.
func landed(w *fixture) {
	w.release.InFlight = false
	w.says(v1alpha1.HealthPending, "waits for a deployment")
	w.release.InFlight = true
	before := w.release.Token
	w.release.Token = ""
	w.says(v1alpha1.HealthPending, "waits for a deployment")
	w.numbers()
	w.release.Token = before
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	w.release.InFlight = false
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
}

// edited: a script that is edited while a release waits for it runs anew.
func edited(w *fixture) {
	w.says(v1alpha1.HealthUnhealthy, job("1")+".*")
	first := w.jobs()["1"].UID
	w.check.Spec.Script = new(image())
	w.says(v1alpha1.HealthHealthy, job("1")+" completed")
	w.numbers("1")
	if w.jobs()["1"].UID == first {
		w.Error("the Job is the old one")
	}
}

// orphans: a check that is deleted takes its runs with it.
func orphans(w *fixture) {
	w.says(v1alpha1.HealthPending, job("1")+" is running")
	must(w.T, w.admin.Delete(w.Context(), w.check.DeepCopy()))
	w.numbers()
}
